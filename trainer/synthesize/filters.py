"""The filters between the base and the store, in their order, each with the reason that it is counted under. Pure."""

from collections import Counter
from dataclasses import dataclass, replace

from trainer.synthesize.clean import mask_code, mask_personal
from trainer.synthesize.contamination import Known, contamination
from trainer.synthesize.duplicates import Seen
from trainer.synthesize.recipes import Made, Task
from trainer.synthesize.secrets import holds_secret
from trainer.synthesize.seeds import Seed

MAX_PROBLEM = 2400  # characters


@dataclass(frozen=True, kw_only=True)
class Filters:
    """What a run compares with."""

    known: Known
    seen: Seen
    kept: frozenset[tuple[str, str]] = frozenset()  # tasks of the store, by seed and own id: no copies of themselves


def clean_seed(seed: Seed, known: Known, counts: Counter[str]) -> tuple[Seed | None, str]:
    """The seed without personal data, before anything is asked or run; else None and the reason."""
    if holds_secret(seed.text):
        return None, "secret"
    if found := contamination([seed.text], seed.entry_point, known):
        return None, f"contaminated: {found}"
    masked = mask_code(seed.text)
    if masked is None:
        return None, "personal data in code"  # masked, it would be another program, or none
    text, n_masked = masked
    counts["personal data masked"] += n_masked
    return replace(seed, text=text), ""


def filter_task(made: Made, filters: Filters, counts: Counter[str]) -> Made:
    """What was made, without the task when a filter refuses it."""
    if made.task is None:
        return made
    task, n_masked = made.task, 0
    if task.recipe != "behaviour":  # of that one everything is the seed's, which is masked, and code that must stay
        problem, n_masked = mask_personal(task.problem)
        task = replace(task, problem=problem)
    is_again = (made.seed.id, task.id) in filters.kept
    reason = _refusal(made.task, filters.known)
    if not reason and not is_again and filters.seen.is_near(_text_of(task)):
        reason = "near-duplicate"
    if reason:
        return replace(made, task=None, reason=reason)
    counts["personal data masked"] += n_masked
    if not is_again:
        filters.seen.add(_text_of(task))
    return replace(made, task=task)


def _refusal(task: Task, known: Known) -> str:
    """What speaks against a task by itself, as it was written."""
    texts = [task.problem, *(solution.code for solution in task.solutions)]
    if len(task.problem) > MAX_PROBLEM:
        return "too long"
    if any(map(holds_secret, texts)):
        return "secret"
    if any(mask_code(solution.code) != (solution.code, 0) for solution in task.solutions):
        return "personal data in a solution"  # masked, it would no longer be the program that was judged
    found = contamination(texts, task.entry_point, known)
    return f"contaminated: {found}" if found else ""


def _text_of(task: Task) -> str:
    """What makes a task the same as another: what it asks for, and one way to do it."""
    return f"{task.problem}\n{task.solutions[0].code}"
