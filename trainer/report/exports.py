"""Reads what `trainer evaluate --export` wrote and puts together what answers the same problems. Draws nothing.

The format is described in `trainer/evaluate/figures/export.py`. Two more fields are read where they are there,
`n_samples` of an arm (trained on) and of an entry of `by_adapter` (its part); `problems` may be left out.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from spa_lsp.errors import BadInput, NotFound, TooNew

FORMAT = 1
_MOST = 1e12  # no figure and no count comes near; plots of larger ones overflow
LEVELS = ("exact", "ast", "near", "approach")

_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A mean over problems and its 95 % interval; differences and single problems have no standard error."""

    mean: float
    low: float
    high: float
    standard_error: float | None = None


@dataclass(frozen=True, kw_only=True)
class Alternative:
    """A completion as a person sees it, what the judge said and its class at each level, None for no class."""

    text: str
    adapter: str
    finish: str
    verdict: str
    raw_text: str
    raw_verdict: str
    classes: Mapping[str, int | None]


@dataclass(frozen=True, kw_only=True)
class ProblemShown:
    """What was asked, and the k alternatives of one arm; a canary goes wherever the prompt goes."""

    task_id: str
    prompt: str
    canary: str
    alternatives: Sequence[Alternative]


@dataclass(frozen=True, kw_only=True)
class AdapterFigure:
    """One adapter of an arm, with the size of its part where the export has it.

    Questions with options have both ways of scoring, all else has `pass_at_1` alone.
    """

    adapter: str
    label: str
    pass_at_1: Figure
    accuracy_loglik: Figure | None
    n_samples: int | None


@dataclass(frozen=True, kw_only=True)
class Arm:
    """An arm at a temperature and a k."""

    label: str  # as in the export: `base@0.8`
    note: str  # tells arms apart that share label and k; mostly empty
    about: str
    adapter_set: str
    method: str
    k: int
    temperature: float
    run_id: str
    n_samples: int | None
    figures: Mapping[str, Figure]
    by_adapter: Sequence[AdapterFigure]
    problems: Sequence[ProblemShown]

    @property
    def name(self) -> str:
        """The label without its temperature: what has one curve, one colour."""
        return self.label.partition("@")[0] + self.note

    @property
    def title(self) -> str:
        """Label and note."""
        return self.label + self.note


@dataclass(frozen=True, kw_only=True)
class Difference:
    """`first - second` in a figure, paired over problems, between arms of one evaluation with this k."""

    first: str
    second: str
    figure: str
    k: int
    value: Figure


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Arms that answered the same problems on the same base, from one export or several."""

    benchmark: str
    base: str
    quantization: str
    n_problems: int
    begun_chars: int | None
    arms: Sequence[Arm]
    differences: Sequence[Difference]
    sources: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class ExportSource:
    """An export's name and its settings, as text by name."""

    name: str
    settings: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Report:
    """All there is to show."""

    comparisons: Sequence[Comparison]
    sources: Sequence[ExportSource]


def read_report(paths: Sequence[Path]) -> Report:
    """Read exports and put together the arms that answered the same problems with the same base and limits.

    An arm that stands in several exports with the same run is taken once.

    Raises:
        NotFound: a file is not there.
        BadInput: a file is no export.
        TooNew: a newer version wrote it.
    """
    exports = [_read_export(path, name) for path, name in zip(paths, _names(paths), strict=True)]
    found: dict[str, list[Comparison]] = {}
    for _, comparisons in exports:
        for key, comparison in comparisons:
            found.setdefault(key, []).append(comparison)
    return Report(comparisons=[_merged(own) for own in found.values()], sources=[source for source, _ in exports])


def _names(paths: Sequence[Path]) -> list[str]:
    """File names; whole paths where two share one."""
    names = [path.name for path in paths]
    return [path.name if names.count(path.name) == 1 else str(path) for path in paths]


def _read_export(path: Path, name: str) -> tuple[ExportSource, list[tuple[str, Comparison]]]:
    document = _read(path)
    try:
        return _source(document, name), _comparisons(document, name)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise BadInput(
            f"{path} is no export of an evaluation ({what}); write one with: trainer evaluate --export FILE"
        ) from error


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise NotFound(f"{path}: no such file; write one with: trainer evaluate --export {path.name}") from error
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path} is not JSON ({error}); write it again with: trainer evaluate --export FILE") from error
    number = document.get("format") if isinstance(document, dict) else None
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise BadInput(f"{path} is no export of an evaluation; write one with: trainer evaluate --export FILE")
    if number > FORMAT:
        raise TooNew(f"{path} has format {number}, this version reads {FORMAT}; upgrade spa-lsp")
    return dict(document)


def _comparisons(document: Mapping[str, Any], source: str) -> list[tuple[str, Comparison]]:
    """The benchmarks of one export, each with the key of what it can be put together with."""
    settings = _typed(document["settings"], dict)
    begun_chars = settings.get("begun_chars")  # older exports do not say
    found = []
    for own in _typed(document["benchmarks"], list):
        arms = [_arm(arm) for arm in own["arms"]]
        comparison = Comparison(
            benchmark=_typed(own["name"], str),
            base=_typed(settings["base"], str),
            quantization=_typed(settings["quantization"], str),
            n_problems=_count(own["n_problems"]),
            begun_chars=None if begun_chars is None else _count(begun_chars),
            arms=arms,
            differences=[_difference(difference, settings) for difference in own["differences"]],
            sources=[source],
        )
        asked = sorted({problem.task_id for arm in arms for problem in arm.problems}) or settings.get("seed")
        key = [comparison.benchmark, comparison.base, comparison.quantization, comparison.n_problems, asked]
        how = [settings.get("max_tokens"), begun_chars, settings.get("allow_packages") or []]
        found.append((json.dumps([*key, *how]), comparison))
    return found


def _arm(own: Mapping[str, Any]) -> Arm:
    return Arm(
        label=_typed(own["arm"], str),
        note="",
        about=_typed(own["about"], str),
        adapter_set=_typed(own["adapter_set"], str),
        method=_typed(own["method"], str),
        k=_count(own["k"]),
        temperature=_number(own["temperature"]),
        run_id=_typed(own["run_id"], str),
        n_samples=_number_of_samples(own),
        figures={name: _figure(value) for name, value in own["figures"].items()},
        by_adapter=[_adapter(adapter) for adapter in own["by_adapter"]],
        problems=[_problem(problem) for problem in own.get("problems", [])],
    )


def _adapter(own: Mapping[str, Any]) -> AdapterFigure:
    return AdapterFigure(
        adapter=_typed(own["adapter"], str),
        label=_typed(own["label"], str),
        pass_at_1=_figure(own["pass_at_1"]),
        accuracy_loglik=_figure(own["accuracy_loglik"]) if "accuracy_loglik" in own else None,
        n_samples=_number_of_samples(own),
    )


def _number_of_samples(own: Mapping[str, Any]) -> int | None:
    found = own.get("n_samples")
    return None if found is None else _count(found)


def _problem(own: Mapping[str, Any]) -> ProblemShown:
    return ProblemShown(
        task_id=_typed(own["task_id"], str),
        prompt=_typed(own["prompt"], str),
        canary=_typed(own.get("canary", ""), str),
        alternatives=[_alternative(alternative) for alternative in own["alternatives"]],
    )


def _alternative(own: Mapping[str, Any]) -> Alternative:
    texts = {name: _typed(own[name], str) for name in ("text", "adapter", "finish", "verdict", "raw_text")}
    classes = {level: own[f"class_{level}"] for level in LEVELS}
    return Alternative(
        **texts,
        raw_verdict=_typed(own["raw_verdict"], str),
        classes={level: None if value is None else _typed(value, int) for level, value in classes.items()},
    )


def _difference(own: Mapping[str, Any], settings: Mapping[str, Any]) -> Difference:
    names = {name: _typed(own[name], str) for name in ("first", "second", "figure")}
    return Difference(**names, k=_count(settings["k"]), value=_figure(own))


def _figure(own: Mapping[str, Any]) -> Figure:
    error = own.get("standard_error")
    bounds = {name: _number(own[name]) for name in ("mean", "low", "high")}
    return Figure(**bounds, standard_error=None if error is None else _number(error))


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _MOST:
        raise ValueError(f"{repr(value)[:40]} stands where there should be a number")
    return float(value)


def _count(value: Any) -> int:
    if not 0 <= _typed(value, int) < _MOST:
        raise ValueError(f"{repr(value)[:40]} stands where there should be a count")
    return int(value)


def _typed(value: Any, kind: type[_T]) -> _T:
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ValueError(f"{repr(value)[:40]} stands where there should be a {kind.__name__}")
    return value


def _source(document: Mapping[str, Any], name: str) -> ExportSource:
    return ExportSource(name=name, settings={key: _plain(value) for key, value in document["settings"].items()})


def _plain(value: Any) -> str:
    """A setting as one line: nested ones as `name value`."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return " ".join(_plain(inner) for inner in value)
    return "–" if value is None else str(value)


def _merged(comparisons: Sequence[Comparison]) -> Comparison:
    arms = {
        (arm.run_id, arm.label, arm.k): (arm, comparison.sources[0])
        for comparison in comparisons
        for arm in comparison.arms
    }
    differences = dict.fromkeys(difference for comparison in comparisons for difference in comparison.differences)
    return replace(
        comparisons[0],
        arms=_told_apart(list(arms.values())),
        differences=list(differences),
        sources=list(dict.fromkeys(source for comparison in comparisons for source in comparison.sources)),
    )


def _told_apart(arms: Sequence[tuple[Arm, str]]) -> list[Arm]:
    """Arms sorted by name, k and temperature; those that share label, k and size get their export's name as a note."""
    keys = [(arm.label, arm.k, arm.n_samples) for arm, _ in arms]
    noted = [
        arm if keys.count(key) == 1 else replace(arm, note=f" ({source}, {arm.run_id[:7]})")
        for (arm, source), key in zip(arms, keys, strict=True)
    ]
    order = list(dict.fromkeys(arm.name for arm in noted))
    return sorted(noted, key=lambda arm: (order.index(arm.name), arm.k, arm.temperature, arm.n_samples or 0))
