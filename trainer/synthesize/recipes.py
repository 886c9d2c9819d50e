"""The recipes: a block of seeds in, a task with its verified solutions, or the reason why there is none, out for each.

- behaviour: the seed is a pure function; the exercise is what it does, and its recorded behaviour is the oracle.
- self-align (SelfCodeAlign, arXiv:2410.24198): concepts → exercise → solutions and tests that bear each other out.
- oss-instruct (Magicoder, arXiv:2312.02120): a snippet inspires an exercise; the rest is the same.

All questions of a block that do not wait for each other go to the base at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from trainer.configs import Recipe
from trainer.evaluate.benchmarks.text import text_before_function
from trainer.rows.records import content_id
from trainer.synthesize.cases import Case
from trainer.synthesize.generation import Asker
from trainer.synthesize.observe import observe
from trainer.synthesize.prompts import (
    code_questions,
    concepts_question,
    describe_function,
    problem_question,
    read_assertions,
    read_concepts,
    read_problem,
    signature_in,
    signature_of,
    tests_question,
)
from trainer.synthesize.seeds import Seed
from trainer.synthesize.solutions import Solution, agreeing, choose_distinct, passing, read_solutions, seed_solution

_N_TESTS = 2  # answers with assertions for each exercise


@dataclass(frozen=True, kw_only=True)
class Task:
    """An exercise, the cases that decide what is right, and the distinct programs that are."""

    recipe: Recipe
    entry_point: str
    problem: str
    cases: tuple[Case, ...]
    solutions: tuple[Solution, ...]

    @property
    def id(self) -> str:
        """The same for the same exercise, whatever solves it."""
        return content_id([self.entry_point, self.problem])


@dataclass(frozen=True, kw_only=True)
class Made:
    """What became of a seed: a task, or why there is none. Counts are of the answers for it."""

    seed: Seed
    task: Task | None = None
    reason: str = ""
    n_answers: int = 0
    n_unreadable: int = 0  # no program, too long, or one that does nothing
    n_wrong: int = 0  # different programs that the cases refuse


@dataclass(frozen=True, kw_only=True)
class _Exercise:
    seed: Seed
    recipe: Recipe
    entry_point: str
    problem: str
    signature: str
    given: str = ""  # what of the seed's module stands before the function
    cases: tuple[Case, ...] = ()  # recorded; empty where tests must be written


def make_tasks(
    seeds: Sequence[Seed], asker: Asker, *, recipes: Sequence[Recipe], responses: int, temperature: float, rng_seed: int
) -> list[Made]:
    """One for each seed, in their order.

    Raises:
        Unavailable: there is no working sandbox.
    """
    observed = [_observed(seed, rng_seed) for seed in seeds] if "behaviour" in recipes else []
    exercises = {each.seed.id: each for each in observed if each is not None}
    exercises |= _invented([seed for seed in seeds if seed.id not in exercises], asker, recipes)
    found = list(exercises.values())
    questions = [
        code_questions(each.problem, each.given, each.signature, n=responses, temperature=temperature) for each in found
    ]
    untested = [each for each in found if not each.cases]
    for_tests = [tests_question(each.problem, each.entry_point, n=_N_TESTS) for each in untested]
    answers = iter(asker.ask([*for_tests, *(question for own in questions for question in own)]))
    tests = {each.seed.id: _read_tests(next(answers), each.entry_point) for each in untested}
    solved = {
        each.seed.id: [answer for _ in own for answer in next(answers)]
        for each, own in zip(found, questions, strict=True)
    }
    made = {each.seed.id: _verified(each, solved[each.seed.id], tests.get(each.seed.id, [])) for each in found}
    return [made.get(seed.id) or Made(seed=seed, reason=_why_none(seed, recipes)) for seed in seeds]


def _observed(seed: Seed, rng_seed: int) -> _Exercise | None:
    cases = observe(seed, rng_seed=rng_seed) if seed.kind == "function" else []
    if not cases:
        return None
    return _Exercise(
        seed=seed,
        recipe="behaviour",
        entry_point=seed.entry_point,
        problem=describe_function(seed.text, seed.entry_point, cases),
        signature=signature_of(seed.text, seed.entry_point),
        given=text_before_function(seed.text, seed.entry_point),
        cases=tuple(cases),
    )


def _invented(seeds: Sequence[Seed], asker: Asker, recipes: Sequence[Recipe]) -> dict[str, _Exercise]:
    functions = [seed for seed in seeds if seed.kind == "function" and "self-align" in recipes]
    snippets = [seed for seed in seeds if seed.kind == "snippet" and "oss-instruct" in recipes]
    listed = asker.ask([concepts_question(seed.text) for seed in functions])
    concepts = [read_concepts(answer) for (answer,) in listed]
    questions = [
        *(problem_question(concepts=own or "functions, strings") for own in concepts),
        *(problem_question(code=seed.text) for seed in snippets),
    ]
    answers = asker.ask(questions)
    found: dict[str, _Exercise] = {}
    for seed, (answer,) in zip([*functions, *snippets], answers, strict=True):
        problem, entry_point = read_problem(answer)
        recipe: Recipe = "self-align" if seed.kind == "function" else "oss-instruct"
        if problem:
            signature, given = signature_in(problem)
            found[seed.id] = _Exercise(
                seed=seed, recipe=recipe, entry_point=entry_point, problem=problem, signature=signature, given=given
            )
    return found


def _read_tests(answers: Sequence[str], entry_point: str) -> list[Case]:
    return list({repr(case): case for answer in answers for case in read_assertions(answer, entry_point)}.values())


def _verified(exercise: _Exercise, answers: Sequence[str], tests: Sequence[Case]) -> Made:
    solutions, n_unreadable = read_solutions(answers, exercise.entry_point, given=exercise.given)
    if exercise.cases:
        own = seed_solution(exercise.seed.text, exercise.entry_point)
        others = [each for each in solutions if each.key != own.key]
        right = passing([own, *others], exercise.entry_point, exercise.cases)
        n_wrong = len(others) - sum(not each.is_of_seed for each in right)
        cases: Sequence[Case] = exercise.cases
    else:
        right, cases = agreeing(solutions, exercise.entry_point, tests)
        n_wrong = len(solutions) - len(right)
    made = Made(seed=exercise.seed, n_answers=len(answers), n_unreadable=n_unreadable, n_wrong=n_wrong)
    if not right:
        return replace(made, reason="no solution passes" if exercise.cases else "tests and solutions disagree")
    task = Task(
        recipe=exercise.recipe,
        entry_point=exercise.entry_point,
        problem=exercise.problem,
        cases=tuple(cases),
        solutions=tuple(choose_distinct(right)),
    )
    return replace(made, task=task)


def _why_none(seed: Seed, recipes: Sequence[Recipe]) -> str:
    is_only_observed = seed.kind == "function" and "self-align" not in recipes
    return "behaviour cannot be recorded" if is_only_observed else "no exercise"
