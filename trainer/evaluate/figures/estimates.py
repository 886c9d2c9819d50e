"""From the attempts of an arm to its figures: a value per problem, a mean over problems with its interval.

Every figure of completions comes twice: as a person sees them, and with `raw_` before the server's post-processing.
Completions that need a package were not judged: figures of what is right leave them out, `needs_share` counts them.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from trainer.evaluate.attempts import Attempt
from trainer.evaluate.figures import metrics
from trainer.evaluate.figures.bootstrap import Estimate, estimate, minimum_estimate
from trainer.evaluate.judge.verdict import NEEDS
from trainer.evaluate.sameness.distinct import LEVELS, Level

ViewName = Literal["shown", "raw"]
NEEDS_SHARE = "needs_share"  # left out where no completion of an arm needs a package
MINIMUM = "pass_at_1_min"  # over adapters: no value per problem, so no paired difference
N_ATTEMPTS = 5  # the paper's pass@5
# what two arms are compared in
COMPARED = (*(f"dc_{level}" for level in LEVELS), "pass_first", "pass_lead", *(f"distinct_{level}" for level in LEVELS),
            "utility_near", "pass_at_1", "pass_at_5", "pass_at_k", "accuracy_loglik", "diversity", "parse_share",
            "stops_share")  # fmt: skip

# a figure's values by problem id; problems that have no such figure are missing in it
Values = dict[str, dict[str, float]]


def values_of(
    attempts: Mapping[str, Sequence[Attempt]],
    *,
    is_code: bool,
    orders: Mapping[str, Sequence[int]] | None = None,
    has_lead: bool = False,
) -> Values:
    """Every figure that can be said of a single problem, by name and then by problem.

    What looks at programs is left out where answers are none: it would be a zero that says nothing.

    Args:
        attempts: by problem, each by place.
        is_code: the answers are programs.
        orders: by problem the places that an editor shows, the first one first; problems that none shows are missing.
        has_lead: the first completion of each is what an editor shows while it waits for the others.
    """
    levels: Sequence[Level] = LEVELS if is_code else ("exact",)
    each = {problem_id: _problem_values(own, levels) for problem_id, own in attempts.items()}
    for problem_id, order in (orders or {}).items():
        each[problem_id] |= _right(attempts[problem_id], "pass_first", order[:1])
        each[problem_id] |= _right(attempts[problem_id], "pass_lead", [0]) if has_lead else {}
    names = dict.fromkeys(name for values in each.values() for name in values)
    found = {name: {key: values[name] for key, values in each.items() if name in values} for name in names}
    return {name: own for name, own in found.items() if not name.endswith(NEEDS_SHARE) or any(own.values())}


def estimates_of(
    values: Values, attempts: Mapping[str, Sequence[Attempt]], tasks: Mapping[str, str]
) -> dict[str, Estimate]:
    """The figures over all problems, and the least adapter's pass@1; `tasks` has the task of each problem."""
    found = {name: estimate_of(own, tasks) for name, own in values.items()}
    by_adapter = passes_by_adapter(attempts)
    judged = [key for key in attempts if by_adapter and all(key in own for own in by_adapter.values())]
    if judged:
        columns = [[own[key] for key in judged] for own in by_adapter.values()]
        found[MINIMUM] = minimum_estimate(columns, tasks=[tasks[key] for key in judged])
    return found


def estimate_of(values: Mapping[str, float], tasks: Mapping[str, str]) -> Estimate:
    """A figure over the problems that have it."""
    return estimate(list(values.values()), tasks=[tasks[key] for key in values])


def needed_packages(attempts: Mapping[str, Sequence[Attempt]]) -> dict[str, int]:
    """How many completions, as a person sees them, were not judged for want of each package; most wanted first."""
    verdicts = [attempt.verdict for own in attempts.values() for attempt in own]
    return dict(Counter(verdict.removeprefix(NEEDS) for verdict in verdicts if not is_judged(verdict)).most_common())


def is_judged(verdict: str) -> bool:
    """Whether an attempt is right or wrong, and not without a package that it needs."""
    return not verdict.startswith(NEEDS)


def passes_by_adapter(attempts: Mapping[str, Sequence[Attempt]]) -> dict[str, dict[str, float]]:
    """For each adapter the share of its completions that pass, by problem."""
    return _by_adapter(attempts, lambda attempt: attempt.verdict == "pass" if is_judged(attempt.verdict) else None)


def likeliest_by_adapter(attempts: Mapping[str, Sequence[Attempt]]) -> dict[str, dict[str, float]]:
    """For each adapter whether the right option is the likeliest, by problem; without those that have no options."""
    return _by_adapter(attempts, lambda attempt: None if attempt.is_likeliest is None else attempt.is_likeliest == 1)


def _by_adapter(
    attempts: Mapping[str, Sequence[Attempt]], is_right: Callable[[Attempt], bool | None]
) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for problem_id, own in attempts.items():
        for adapter in dict.fromkeys(attempt.adapter for attempt in own):
            known = [is_right(attempt) for attempt in own if attempt.adapter == adapter]
            if right := [value for value in known if value is not None]:
                found.setdefault(adapter, {})[problem_id] = metrics.pass_at_1(right)
    return found


def _problem_values(attempts: Sequence[Attempt], levels: Sequence[Level]) -> dict[str, float]:
    first = attempts[0]
    known_kl = {} if first.average_kl is None else {"average_kl": first.average_kl}
    likeliest = [bool(attempt.is_likeliest) for attempt in attempts if attempt.is_likeliest is not None]
    return {
        **_view_values(attempts, "shown", levels),
        **{f"raw_{name}": value for name, value in _view_values(attempts, "raw", levels).items()},
        "stops_share": metrics.stops_share([attempt.finish for attempt in attempts]),
        "n_tokens": sum(attempt.n_tokens for attempt in attempts) / len(attempts),
        "seconds": first.seconds,
        **known_kl,
        **({"accuracy_loglik": metrics.pass_at_1(likeliest)} if likeliest else {}),
    }


def _right(attempts: Sequence[Attempt], name: str, places: Sequence[int]) -> dict[str, float]:
    """Whether the one at the place is right, which it is not where there is none; nothing where it was not judged."""
    verdicts = [attempts[place].verdict for place in places]
    return {name: float("pass" in verdicts)} if all(map(is_judged, verdicts)) else {}


def _view_values(attempts: Sequence[Attempt], view: ViewName, levels: Sequence[Level]) -> dict[str, float]:
    is_raw = view == "raw"
    verdicts = [attempt.raw_verdict if is_raw else attempt.verdict for attempt in attempts]
    texts = [attempt.raw_text if is_raw else attempt.shown_text for attempt in attempts]
    prefix = "raw_class_" if is_raw else "class_"
    keys = {level: [getattr(attempt, f"{prefix}{level}") for attempt in attempts] for level in levels}
    found: dict[str, float] = {f"distinct_{level}": metrics.distinct_at_k(keys[level]) for level in levels}
    found |= _passed_values(verdicts, keys)
    if (diversity := metrics.diversity(texts)) is not None:
        found["diversity"] = diversity
    if "ast" in levels:
        found["parse_share"] = metrics.parse_share(keys["ast"])
        found[NEEDS_SHARE] = sum(not is_judged(verdict) for verdict in verdicts) / len(verdicts)
    return found


def _passed_values(verdicts: Sequence[str], keys: Mapping[Level, Sequence[int | None]]) -> dict[str, float]:
    """What depends on what is right, over the completions that were judged; nothing where none was."""
    judged = [place for place, verdict in enumerate(verdicts) if is_judged(verdict)]
    if not judged:
        return {}
    passes = [verdicts[place] == "pass" for place in judged]
    found: dict[str, float] = {}
    for level, own in keys.items():
        classes = [own[place] for place in judged]
        found[f"dc_{level}"] = metrics.dc_at_k(classes, passes)
        found[f"utility_{level}"] = metrics.utility_at_k(classes, passes)
    found["pass_at_1"] = metrics.pass_at_1(passes)
    found["pass_at_k"] = float(metrics.pass_any(passes))
    if len(passes) >= N_ATTEMPTS:
        found["pass_at_5"] = metrics.pass_at_n(passes, N_ATTEMPTS)
    return found
