"""The rows by which stages speak to each other: influence, parts, runs to go on from, and what `status` reads."""

import json
import os
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlite_utils import Database

from spa_lsp import paths
from spa_lsp.errors import BadInput, NotFound
from spa_lsp.progress import progress
from spa_lsp.storage.store import open_store, transaction
from trainer.attribute.vectors import load_vectors
from trainer.configs import ItemsConfig
from trainer.data.samples import Sample, load_samples, make_items, samples_by_id
from trainer.partition.solutions import tasks_of, without_topic
from trainer.pipeline.staleness import next_step, run_bytes, stage_states
from trainer.rows.records import plain
from trainer.rows.runs import (
    Figures,
    Parents,
    Run,
    Settings,
    Stage,
    find_run,
    finish_run,
    latest_run,
    list_records,
)
from trainer.rows.stages import AttributeRun, PartitionRun
from trainer.synthesize.forget import forgotten_sets
from trainer.synthesize.origins import ORIGINS

OWN_REPOSITORY = "own repository"
_LISTED = "(SELECT value FROM json_each(?))"  # of a JSON array


def source_run(
    db: Database, stage: Stage[Settings, Parents, Figures], run_id: str | None
) -> Run[Settings, Parents, Figures]:
    """The finished run to go on from."""
    if run_id is None:
        found = latest_run(db, stage)
        if found is None:
            raise NotFound(f"there is no finished {stage.name} run; run: trainer {stage.name}")
        return found
    query = "SELECT id FROM runs WHERE stage = ? AND status = 'finished' AND forgotten = '' AND substr(id, 1, ?) = ?"
    ids = [row["id"] for row in db.query(query, [stage.name, len(run_id), run_id])]
    if len(ids) != 1:
        many = f"{len(ids)} finished {stage.name} runs begin" if ids else f"no finished {stage.name} run begins"
        raise NotFound(f"{many} with {run_id!r}; trainer status shows the ids")
    return find_run(db, stage, ids[0])


def finish_with_rows(
    db: Database,
    run: Run[Settings, Parents, Figures],
    figures: Figures,
    table: str,
    column: str,
    rows: Sequence[tuple[str, object]],
) -> Run[Settings, Parents, Figures]:
    """Write the rows `(sample_id, value)` of a run and finish it, all or nothing."""
    with transaction(db):
        db.table(table).insert_all(
            {"run_id": run.id, "sample_id": sample_id, column: value} for sample_id, value in rows
        )
        return finish_run(db, run, figures)


def load_influence(
    db: Database, run: AttributeRun, limit: int | None, within: str | None = None
) -> tuple[list[str], NDArray[np.float32]]:
    """Sample ids in the order of import, and `[N, Q, items]`; of those that the attribute run `within` has too."""
    query = (
        "SELECT influence.sample_id, data FROM influence JOIN samples ON samples.id = influence.sample_id "
        "WHERE run_id = ? AND sample_id IN (SELECT sample_id FROM influence WHERE run_id = ?) ORDER BY n LIMIT ?"
    )
    rows = list(db.query(query, [run.id, within or run.id, -1 if limit is None else limit]))
    shape = (len(rows), len(run.figures.anchors), run.figures.n_items)
    influence = np.frombuffer(b"".join(row["data"] for row in rows), dtype=np.float32).reshape(shape)
    return [row["sample_id"] for row in rows], influence


def problems_of(db: Database, sample_ids: Sequence[str]) -> list[str]:
    """A key of each sample's problem: samples that have it in common are solutions of one task."""
    query = f"SELECT id, problem_key FROM samples WHERE id IN {_LISTED}"
    keys = {row["id"]: row["problem_key"] for row in db.query(query, [json.dumps(list(sample_ids))])}
    return [keys[sample_id] for sample_id in sample_ids]


def embedding_rows(db: Database, run: AttributeRun, sample_ids: Sequence[str]) -> NDArray[np.float32]:
    """The embeddings of a run's samples for k-means, `[N, D]`: less their mean, and of length one.

    Of a run with `differences` they are those, and a task's only solution is 0.
    """
    vectors = load_vectors(db, run)
    rows = np.stack([vectors[sample_id].ravel() for sample_id in sample_ids])
    if run.settings.attribute.differences:
        rows = without_topic(rows, tasks_of(problems_of(db, sample_ids)))
    rows -= rows.mean(axis=0)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: NDArray[np.float32] = (rows / np.maximum(lengths, 1e-12)).astype(np.float32)
    return unit


def load_parts(db: Database, run: PartitionRun, limit: int | None) -> dict[int, list[Sample]]:
    """The samples of each part of a partition run in the order of their import, at most `limit` of each.

    Where the run made no partition (`whole`), each part has all samples.

    Raises:
        BadInput: a part is empty.
    """
    members = _members(db, run, limit)
    for name, sample_ids in zip(run.figures.names, members, strict=True):
        if not sample_ids:
            raise BadInput(f"part '{name}' has no samples; run: trainer partition --method balanced")
    return {part: samples_by_id(db, sample_ids) for part, sample_ids in enumerate(members)}


def _members(db: Database, run: PartitionRun, limit: int | None) -> list[list[str]]:
    """The ids of the samples of each part, as `load_parts` has them."""
    query = (
        "SELECT part, sample_id FROM part_members JOIN samples ON samples.id = part_members.sample_id "
        "WHERE run_id = ? ORDER BY n"
    )
    rows = list(db.query(query, [run.id]))
    is_whole = run.settings.partition.method == "whole"
    n_parts = len(run.figures.names)
    return [[row["sample_id"] for row in rows if is_whole or row["part"] == part][:limit] for part in range(n_parts)]


def data_record(db: Database, partitioned: PartitionRun, limit: int | None = None) -> dict[str, Any]:
    """What a set was made from, for its manifest: digests, counts and licences; no text of a sample, no path.

    With `limit`, of each part at most that many samples were learned. Of synthesized samples the packages are named, as
    their licences ask for. A person's own repository is not, nor an imported file: the name of a folder may tell whose
    it is, or for whom.
    """
    sample_ids = set(chain.from_iterable(_members(db, partitioned, limit)))
    chosen = json.dumps(sorted(sample_ids))
    query = f"SELECT DISTINCT dataset_id FROM dataset_samples WHERE sample_id IN {_LISTED} ORDER BY dataset_id"
    datasets = [{"sha256": row["dataset_id"]} for row in db.query(query, [chosen])]
    record = {"datasets": datasets, "n_samples": len(sample_ids), "partition_run": partitioned.id}
    sources = _sources(db, chosen)
    return {**record, "sources": sources} if sources else record


def _sources(db: Database, chosen: str) -> list[dict[str, Any]]:
    query = (
        f"SELECT repository, licence, count(DISTINCT sample_id) AS n FROM ({ORIGINS}) AS origins "
        f"WHERE sample_id IN {_LISTED} GROUP BY repository, licence"
    )
    n_samples: Counter[tuple[str, str]] = Counter()
    for row in db.query(query, [chosen]):
        name = OWN_REPOSITORY if os.path.isabs(row["repository"]) else row["repository"]
        n_samples[name, row["licence"]] += row["n"]
    return [{"name": name, "licence": licence, "n_samples": n} for (name, licence), n in sorted(n_samples.items())]


def read_status() -> dict[str, Any]:
    """What the store holds, read without disturbing a trainer at work: `datasets`, `samples` by language, `runs`.

    And the sets that have learned of what was `forgotten` since. With their sizes, which stages are stale and why
    (`stages`), and the command to go on with (`next`).
    """
    nothing: dict[str, Any] = {"datasets": [], "samples": {}, "runs": [], "forgotten": [], "stages": []}
    nothing["next"] = "trainer import FILE"
    try:
        db = open_store()
    except NotFound:
        return nothing
    with closing(db):
        if not db.table("runs").exists():
            return nothing
        datasets = (
            "SELECT id, name, n_bytes, imported, count(sample_id) AS n_samples "
            "FROM datasets JOIN dataset_samples ON dataset_id = id GROUP BY id ORDER BY imported"
        )
        samples = "SELECT lang, count(*) AS n FROM samples GROUP BY lang ORDER BY n DESC, lang"
        by_language = {row["lang"]: row["n"] for row in db.query(samples)}
        is_current = "forgotten" in db.table("runs").columns_dict  # else no trainer of this version has opened it yet
        states = stage_states(db) if is_current else []
        return {
            "datasets": list(db.query(datasets)),
            "samples": by_language,
            "n_bytes": paths.store_path().stat().st_size,
            "runs": [{**record, "n_bytes": run_bytes(record["id"])} for record in list_records(db)],
            "forgotten": forgotten_sets(db) if db.table("forgotten_sets").exists() else [],
            "stages": [plain(state) for state in states],
            "next": next_step(states, has_samples=bool(by_language)),
        }


def usable_samples(db: Database, items: ItemsConfig, language: str, limit: int | None, seed: int) -> list[Sample]:
    """The samples of a language, of the first `limit` ones, that have code to learn from.

    Raises:
        BadInput: there is none.
    """
    samples = load_samples(db, language=language, limit=limit)
    if not samples:
        known = ", ".join(row["lang"] for row in db.query("SELECT DISTINCT lang FROM samples ORDER BY lang"))
        others = f"it has some in {known}: pass --language, or" if known else "run: trainer synthesize --from DIR, or"
        raise BadInput(f"the store has no samples in {language}; {others} trainer import FILE")
    usable = []
    with progress("find code", len(samples), "samples") as shown:
        for sample in samples:
            usable += [sample] if make_items(sample, config=items, seed=seed) else []
            shown.advance()
    if not usable:
        raise BadInput(f"none of the {len(samples)} samples in {language} has code to learn from; import others")
    return usable
