"""After `forget` no byte of what came from a repository or a file is in the store, nor in the cache."""

import json
from unittest.mock import Mock

import pytest

from spa_lsp import paths
from spa_lsp.errors import Busy
from spa_lsp.storage.store import load_manifests, open_store
from tests.trainer.synthesize.conftest import CLAMP, RIGHT, CannedBase
from trainer.attribute import gradients
from trainer.configs import (
    AttributeConfig,
    Budget,
    FinetuneConfig,
    ItemsConfig,
    PartitionConfig,
    PublishConfig,
    SourcesConfig,
    SynthesizeConfig,
)
from trainer.data.samples import import_file, load_samples
from trainer.evaluate.arms import parse_arms
from trainer.pipeline.arm_sets import arm_set
from trainer.pipeline.stage_rows import read_status
from trainer.pipeline.stages import open_trainer, run_attribute, run_finetune, run_partition, run_publish
from trainer.pipeline.staleness import commands_again
from trainer.pipeline.synthesis import run_synthesize
from trainer.rows.runs import begin_run, find_run, latest_run
from trainer.rows.stages import (
    EVALUATE,
    FINETUNE,
    SIZES,
    EvaluateParents,
    EvaluateSettings,
    SizesParents,
    SizesSettings,
)
from trainer.synthesize.forget import forget, forgotten_sets

pytestmark = pytest.mark.usefixtures("sandbox", "tiny_base")
MARKER = "Zanzibar"
BASE = "tiny-qwen2"
ASKED = EvaluateSettings(
    arm="influence", benchmark="humaneval", layout="infill", k=1, temperature=0.0, top_p=1.0, max_tokens=9,
    stop="multi", base=BASE, quantization="fp32", adapter_set="mine",
)  # fmt: skip
COMPLETION = {
    "problem_id": "p", "task_id": "t", "place": 0, "adapter": "a", "label": "a", "n_tokens": 1, "mean_logprob": 0.0,
    "finish": "stop", "seconds": 0.1, "quantization": "fp32", "device": "cpu",
}  # fmt: skip
ITEMS = ItemsConfig(infill_share=1.0, max_tokens=400)


def planted(n):
    return (
        f'def add_{n}(value: int) -> int:\n    """Add the {MARKER} constant number {n}."""\n'
        f"    total = value * {n + 2}\n    total += {n}\n    return total\n"
    )


@pytest.fixture
def folder(make_repository):
    return make_repository({f"{MARKER}/one.py": planted(1), f"{MARKER}/two.py": planted(2), "helpers.py": CLAMP})


@pytest.fixture
def anchors(tmp_path):
    """Some that the tiny base can read."""
    anchor = {"anchor": "p", "label": "p", "layout": "infill", "instruction": "", "suffix": "", "completion": "1\n"}
    path = tmp_path / "anchors.jsonl"
    path.write_text("\n".join(json.dumps({**anchor, "prefix": f"{name} = "}) for name in "abc"))
    return path


def synthesize(db, *folders):
    config = SynthesizeConfig(recipe="behaviour", responses=5)
    return run_synthesize(db, config, SourcesConfig(folders=folders), base_id=BASE, load=lambda *_: CannedBase())


def synthesize_more(db, folder):
    """With other settings: its solutions are added to the tasks of `synthesize`."""
    config = SynthesizeConfig(recipe="behaviour", responses=15)
    return run_synthesize(db, config, SourcesConfig(folders=(folder,)), base_id=BASE, load=lambda *_: CannedBase())


def train(db):
    run_attribute(db, AttributeConfig(method="bm25"), ITEMS, base_id=BASE)
    run_partition(db, PartitionConfig(method="kmeans", k=1))
    run_finetune(db, FinetuneConfig(steps=1, rank=2, accumulate=1), ITEMS, base_id=BASE)
    return run_publish(db, PublishConfig(name="mine"))


def traces():
    """Files of the store and the cache that have the marker; nobody else may have made any."""
    files = [path for top in (paths.data_dir(), paths.cache_dir()) for path in top.rglob("*") if path.is_file()]
    return sorted(path.name for path in files if MARKER.encode() in path.read_bytes())


def test_the_marker_is_there_before(folder):
    with open_trainer() as db:
        synthesize(db, folder)
    assert traces() == ["spa.db"]


def test_nothing_of_a_repository_is_left(folder):
    with open_trainer() as db:
        synthesize(db, folder)
        found = forget(db, repository=str(folder))
    assert found.n_samples > 0 and traces() == []


def test_nothing_of_a_file_is_left_and_the_others_stay(folder):
    with open_trainer() as db:
        synthesize(db, folder)
        n_before = len(load_samples(db))
        for name in ("one.py", "two.py"):
            forget(db, file=folder / MARKER / name)
        assert 0 < len(load_samples(db)) < n_before
    assert traces() == []


def test_nothing_is_left_while_the_store_is_still_open(folder):
    with open_trainer() as db:
        synthesize(db, folder)
        forget(db, repository=str(folder))
        assert traces() == []


def test_nothing_is_left_in_what_was_kept_before_an_upgrade(folder):
    with open_trainer() as db:
        synthesize(db, folder)
        db.execute("VACUUM INTO ?", [str(paths.data_dir() / "backup-trainer-6.db")])
        forget(db, repository=str(folder))
    assert traces() == []


def test_what_was_trained_on_it_goes_and_the_set_is_marked(folder):
    with open_trainer() as db:
        synthesize(db, folder)
        train(db)
        found = forget(db, repository=str(folder))
        assert found.sets == ("mine",) and found.again == ("attribute", "partition", "finetune", "publish")
        assert [row["name"] for row in forgotten_sets(db)] == ["mine"]
        assert latest_run(db, FINETUNE) is None
    assert not any((paths.cache_dir() / "runs").iterdir()) and traces() == []


# #14
def test_the_arms_of_an_evaluation_that_learned_of_it_go_too(folder, anchors):
    """An arm's run begins before the runs that train it."""
    (entry,) = parse_arms("lexical", k=1)
    budget = Budget(finetune=FinetuneConfig(steps=1, rank=2, accumulate=1), items=ITEMS, anchors_path=anchors)
    with open_trainer() as db:
        synthesize(db, folder)
        arm_set(db, entry, base_id=BASE, budget=budget, may_train=True)
        assert any((paths.cache_dir() / "runs").rglob("set/*.safetensors"))
        forget(db, repository=str(folder))
    assert not any((paths.cache_dir() / "runs").iterdir())


def test_a_status_shows_the_sets_that_saw_it(folder):
    with open_trainer() as db:
        synthesize(db, folder)
        train(db)
        forget(db, repository=str(folder))
    assert [row["name"] for row in read_status()["forgotten"]] == ["mine"]


def test_what_was_forgotten_can_be_made_again(folder):
    with open_trainer() as db:
        first = synthesize(db, folder).run.figures.n_samples
        forget(db, repository=str(folder))
        assert synthesize(db, folder).run.figures.n_samples == first


def test_a_reader_that_holds_old_pages_is_named_and_the_next_call_is_clean(folder, monkeypatch):
    monkeypatch.setattr("spa_lsp.storage.sqlite_file.BUSY_S", 0.2)
    with open_trainer() as db:
        synthesize(db, folder)
        reader = open_store()
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM samples").fetchall()
        with pytest.raises(Busy, match="call trainer forget again"):
            forget(db, repository=str(folder))
        reader.close()
        assert forget(db, repository=str(folder)).n_samples == 0
        assert traces() == []


def test_what_is_not_known_is_forgotten_already(folder):
    with open_trainer() as db:
        assert forget(db, repository="/nowhere").n_samples == 0


def test_what_its_adapters_answered_in_an_evaluation_goes_too(folder):
    with open_trainer() as db:
        synthesize(db, folder)
        digest = train(db).run.parents.finetune_run
        adapters = tuple(find_run(db, FINETUNE, digest).figures.sha256.values())
        run = begin_run(db, EVALUATE, ASKED, parents=EvaluateParents(adapters=adapters), seed=0)
        db.table("completions").insert({"run_id": run.id, "text": MARKER, **COMPLETION})
        forget(db, repository=str(folder))
    assert traces() == []


def test_a_name_that_is_not_known_costs_no_backup(folder):
    with open_trainer() as db:
        synthesize(db, folder)
        db.execute("VACUUM INTO ?", [str(paths.data_dir() / "backup-trainer-6.db")])
        forget(db, repository="/nowhere")
    assert (paths.data_dir() / "backup-trainer-6.db").exists()


def test_a_folder_whose_name_goes_on_behind_a_space_is_another(folder, tmp_path):
    other = folder.rename(tmp_path / "my code")
    with open_trainer() as db:
        n_samples = synthesize(db, other).run.figures.n_samples
        assert forget(db, repository=str(tmp_path / "my")).n_samples == 0
        assert len(load_samples(db)) == n_samples


def test_what_a_broken_call_left_of_a_run_goes_with_the_next(folder, monkeypatch):
    with open_trainer() as db:
        synthesize(db, folder)
        train(db)
        with monkeypatch.context() as broken, pytest.raises(KeyboardInterrupt):
            broken.setattr("shutil.rmtree", Mock(side_effect=KeyboardInterrupt))
            forget(db, repository=str(folder))
        forget(db, repository=str(folder))
    assert not any((paths.cache_dir() / "runs").iterdir()) and traces() == []


def test_stages_go_on_after_one_of_two_files_was_forgotten(folder):
    with open_trainer() as db:
        synthesize(db, folder)
        train(db)
        forget(db, file=folder / MARKER / "one.py")
        synthesize(db, folder)
        assert train(db).run.is_finished


# #14
def test_what_trains_anew_is_named_with_its_options_after_a_second_file_too(folder, anchors):
    with open_trainer() as db:
        synthesize(db, folder)
        run_attribute(db, AttributeConfig(method="embedding"), ITEMS, base_id=BASE, seed=3, anchors_path=anchors)
        forget(db, file=folder / MARKER / "one.py")
        found = forget(db, file=folder / MARKER / "two.py")
        (again,) = commands_again(db, found.again, found.runs)
    assert again == "trainer attribute --method embedding --infill-share 1.0 --max-tokens 400 --seed 3"


# #14
def test_options_of_another_run_are_not_those_of_the_one_to_be_done_again(folder):
    with open_trainer() as db:
        synthesize(db, folder)
        run_attribute(db, AttributeConfig(method="bm25"), ITEMS, base_id=BASE)
        found = forget(db, file=folder / MARKER / "one.py")
        run_attribute(db, AttributeConfig(method="random"), ITEMS, base_id=BASE)
        (again,) = commands_again(db, found.again, found.runs)
    assert again == "trainer attribute --method bm25 --infill-share 1.0 --max-tokens 400"


def import_row(db, tmp_path, **changed):
    """Import one row: a sample of the store with some fields changed."""
    row = {
        **next(db.query("SELECT lang, problem, solution FROM samples WHERE problem LIKE ?", [f"%{MARKER}%"])),
        **changed,
    }
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row) + "\n")
    return import_file(db, path)


# #14
def test_an_import_of_the_same_solution_alone_keeps_nothing(folder, tmp_path):
    with open_trainer() as db:
        synthesize(db, folder)
        import_row(db, tmp_path, problem="Another problem.")
        forget(db, repository=str(folder))
        assert load_samples(db) == [] and traces() == []


# #14
def test_an_import_of_the_very_same_sample_keeps_it(folder, tmp_path):
    with open_trainer() as db:
        synthesize(db, folder)
        import_row(db, tmp_path)
        forget(db, repository=str(folder))
        assert len(load_samples(db)) == 1


# #14
def test_nothing_names_one_of_two_repositories_that_was_forgotten(folder, make_repository):
    other = make_repository({"a.py": planted(3).replace(MARKER, "plain")}, f"of-{MARKER}")
    with open_trainer() as db:
        synthesize(db, folder, other)
        forget(db, repository=str(other))
        forget(db, file=folder / MARKER / "one.py")
        forget(db, file=folder / MARKER / "two.py")
        assert len(load_samples(db)) > 0 and traces() == []


# #14
def test_no_call_with_a_budget_names_what_was_forgotten(folder):
    asked = SizesSettings(
        budget_s=60.0,
        base=BASE,
        attribute=AttributeConfig(),
        partition=PartitionConfig(),
        finetune=FinetuneConfig(),
        items=ITEMS,
        sources=(f"{folder / MARKER} at a commit",),
    )
    with open_trainer() as db:
        synthesize(db, folder)
        begin_run(db, SIZES, asked, parents=SizesParents(samples="s", base="b"), seed=0)
        forget(db, repository=str(folder))
    assert traces() == []


# #14
def test_a_published_set_tells_licences_and_counts_and_no_folder(folder):
    with open_trainer() as db:
        n_samples = synthesize(db, folder).run.figures.n_samples
        train(db)
        (manifest,) = load_manifests(db)
    assert manifest["data"]["sources"] == [{"name": "own repository", "licence": "unknown", "n_samples": n_samples}]
    assert str(folder) not in json.dumps(manifest) and folder.name not in json.dumps(manifest)


@pytest.fixture
def moved(make_repository, tmp_path):
    """A function under two folders: one run has a solution of it from the old one, another run more from the new."""
    old = make_repository({"helpers.py": CLAMP}, "old")
    few = SynthesizeConfig(recipe="behaviour", responses=1)
    base = CannedBase(bodies={"clamp": RIGHT[:1]})
    with open_trainer() as db:
        run_synthesize(db, few, SourcesConfig(folders=(old,)), base_id=BASE, load=lambda *_: base)
        new = old.rename(tmp_path / "new")
        synthesize_more(db, new)
        yield db, old, new


def repositories(db):
    return [row["name"] for row in db.query("SELECT json_extract(extra, '$.origin.repository') AS name FROM samples")]


# #14
def test_solutions_of_a_later_run_to_an_older_task_go_with_their_repository(moved):
    db, old, new = moved
    n_new = repositories(db).count(str(new))
    assert forget(db, repository=str(new)).n_samples == n_new > 0
    assert set(repositories(db)) == {str(old)}


# #14
def test_a_run_that_found_what_is_forgotten_makes_it_anew(moved):
    db, old, new = moved
    n_samples = len(load_samples(db))
    forget(db, repository=str(old))
    assert set(repositories(db)) == {str(new)}
    then = synthesize_more(db, new).run.figures
    assert then.outcomes == {"kept": 2} and then.n_samples == len(load_samples(db)) == n_samples


# #14
def test_what_waits_to_be_made_anew_is_forgotten_too(moved):
    db, old, new = moved
    forget(db, repository=str(old))
    assert forget(db, repository=str(new)).n_tasks == 2
    assert load_samples(db) == [] and forget(db, repository="/nowhere").repositories == ()


# #14
def test_a_set_that_was_trained_anew_is_no_longer_named(folder):
    with open_trainer() as db:
        synthesize(db, folder)
        train(db)
        forget(db, file=folder / MARKER / "one.py")
        (folder / MARKER / "one.py").unlink()
        synthesize(db, folder)
        train(db)
        assert forgotten_sets(db) == []


# #14
def test_a_set_that_came_out_the_same_is_no_longer_named(folder):
    with open_trainer() as db:
        synthesize(db, folder)
        first = train(db).run.figures.set_id
        forget(db, repository=str(folder))
        synthesize(db, folder)
        assert train(db).run.figures.set_id == first and forgotten_sets(db) == []


# #14
def test_a_warm_up_whose_attribution_broke_before_its_first_sample_goes(folder, anchors, monkeypatch):
    config = AttributeConfig(method="datainf", warmup_samples=2, warmup_rank=2, projected=2, max_tokens=400)
    with open_trainer() as db:
        synthesize(db, folder)
        with monkeypatch.context() as broken, pytest.raises(KeyboardInterrupt):
            broken.setattr(gradients, "sample_gradients", Mock(side_effect=KeyboardInterrupt))
            run_attribute(db, config, ITEMS, base_id=BASE, anchors_path=anchors)
        assert any((paths.cache_dir() / "runs").rglob("*.safetensors"))
        assert forget(db, repository=str(folder)).again == ("attribute",)
    assert not any((paths.cache_dir() / "runs").iterdir())
