"""What a finished set gets besides its adapters: a lead, and a ranker. Either way it is published anew, as rows."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlite_utils import Database

from spa_lsp import paths
from spa_lsp.adapters.finding import find_set, list_sets
from spa_lsp.adapters.manifest import AdapterSet, with_name
from spa_lsp.adapters.reading import read_adapter
from spa_lsp.adapters.writing import publish
from spa_lsp.errors import BadInput
from trainer.evaluate.answering import EvaluationSettings
from trainer.evaluate.arms import parse_arms
from trainer.evaluate.benchmarks.problems import Problem
from trainer.evaluate.completions import load_completions
from trainer.evaluate.ranker import RankerFigures, fit, measure, named, rank_problem
from trainer.evaluate.served import Served, run_arms


@dataclass(frozen=True, kw_only=True)
class FittedRanker:
    """A ranker, what it is worth, and whether a set was published with it."""

    weights: dict[str, float]
    figures: RankerFigures
    is_published: bool


def publish_with_lead(
    db: Database, set_name: str | None, of: str, *, base_id: str, name: str | None = None
) -> tuple[AdapterSet, float]:
    """The published set with another lead, and how much of it the set's rank holds; its ranker, if any, is gone.

    Args:
        db: the store.
        set_name: None: the one in use.
        of: as for `with_lead`, or the name of a set of one adapter.
        base_id: of both sets.
        name: of the published set, by default the set's own.

    Raises:
        NotFound: no such set. BadInput: no such adapter, or an imported set would hide the new one; as `pipeline.lead`.
    """
    from trainer.pipeline.lead import BASE, MEAN, with_lead, with_lead_of_another  # torch

    found = find_set(set_name, base_id)
    files = {info.name: read_adapter(found, info.name) for info in found.adapters}
    is_own = of in (MEAN, BASE, *files)
    other = None if is_own else next((each for each in list_sets(base_id) if each.name == of), None)
    share = 1.0
    if other is None:
        made, files, share = with_lead(found, files, of)
    else:
        made, files = with_lead_of_another(found, files, other, read_adapter(other, other.adapters[0].name))
    _check_seen(found, name)
    made = with_name(replace(made, ranker={}, folder=None), name)
    publish(db, made, files)
    return made, share


def publish_with_ranker(
    db: Database,
    set_name: str | None,
    problems: Sequence[Problem],
    settings: EvaluationSettings,
    *,
    k: int,
    name: str | None = None,
    is_forced: bool = False,
) -> FittedRanker:
    """Fit a ranker on what the set, asked as an editor does, makes of these infillings.

    It is published with it only if that is clearly better than the orders without one, or if `is_forced`.

    Raises:
        SpaError: as `run_arms`. BadInput: the completions tell nothing apart; an imported set would hide the new one.
    """
    found = find_set(set_name, settings.base_id)
    _check_seen(found, name)
    arm, n_rows = ("single", k) if found.k == 1 else ("influence", min(k, found.k))
    (asked,) = parse_arms(f"{arm}={found.name}@served", k=n_rows)
    served = Served(settings.base_id, settings.quantization)
    (result,) = run_arms(db, served, problems, [(asked.with_set(found), found)], settings, has_kl=False)
    known = [
        rank_problem(
            problem,
            [each.alternative for each in load_completions(db, result.run, key)],
            [attempt.verdict for attempt in attempts],
        )
        for problem, (key, attempts) in zip(problems, result.attempts.items(), strict=True)
    ]
    ranked = [own for own in known if own is not None]
    figures, weights = measure(ranked, seed=settings.seed), named(fit(ranked))
    is_published = figures.is_better or is_forced
    if is_published:
        made = with_name(replace(found, ranker=weights, folder=None), name)
        publish(db, made, {info.name: read_adapter(found, info.name) for info in found.adapters})
    return FittedRanker(weights=weights, figures=figures, is_published=is_published)


def _check_seen(found: AdapterSet, name: str | None) -> None:
    """Refuse the name of an imported set, which comes before a published one: nobody would be served by that."""
    name = name or found.name
    if (paths.user_sets_dir() / found.base_id / name).exists():
        raise BadInput(f"an imported set is named {name}, and would be served instead; pass another --name")
