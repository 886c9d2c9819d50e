"""Near-duplicates, benchmarks, secrets and personal data: what may not become a sample."""

import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import pytest

from tests.trainer.evaluate.benchmarks.tiny_benchmarks import tiny_data  # noqa: F401  a fixture
from trainer.synthesize.cases import Case
from trainer.synthesize.contamination import Known, contamination, grams_of, read_benchmarks
from trainer.synthesize.duplicates import Seen
from trainer.synthesize.filters import Filters, clean_seed, filter_task
from trainer.synthesize.recipes import Made, Task
from trainer.synthesize.seeds import Seed
from trainer.synthesize.solutions import Solution

NOTHING = Known(grams=frozenset(), names=frozenset(), benchmarks=(), missing=())
PROBLEM = "Write a Python function `double(n)` that returns twice the number that it is given, also for negative ones."
SEED = Seed(
    id="s", kind="function", text="def double(n):\n    return 2 * n\n", entry_point="double", repository="r",
    path="a.py", commit="c", licence="MIT", first_line=1, last_line=2,
)  # fmt: skip


def made(problem=PROBLEM, code=SEED.text, name="double"):
    solution = Solution(code=code, key=code, approach="")
    cases = (Case(arguments=(1,), expected=2),)
    task = Task(recipe="behaviour", entry_point=name, problem=problem, cases=cases, solutions=(solution,))
    return Made(seed=SEED, task=task)


def filters(known=NOTHING):
    return Filters(known=known, seen=Seen())


def known_of(text, *names):
    return Known(grams=frozenset(grams_of(text)), names=frozenset(names), benchmarks=("humaneval",), missing=())


def refusal(item, own=None):
    return filter_task(item, own or filters(), Counter()).reason


# #14
def test_a_worker_elsewhere_knows_the_same_ten_words():
    text = "return the sum of all even elements of a list of integers"
    code = f"from trainer.synthesize.contamination import grams_of; print(*grams_of({text!r}))"
    found = [
        subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True)
        for seed in ("1", "2")
    ]
    assert [each.stdout.split() for each in found] == [[str(gram).encode() for gram in grams_of(text)]] * 2


def test_a_task_that_nothing_speaks_against_stays():
    assert filter_task(made(), filters(), Counter()) == made()


def test_a_task_like_one_before_it_is_a_near_duplicate():
    own = filters()
    filter_task(made(), own, Counter())
    assert refusal(made(problem=PROBLEM.replace("negative ones", "negative numbers")), own) == "near-duplicate"


# #14
def test_a_task_whose_problem_was_masked_is_known_again():
    named = made(problem=f"{PROBLEM} Ask jane@corp.de what it is for.")
    item = replace(named, task=replace(named.task, recipe="self-align"))
    own = filters()
    kept = filter_task(item, own, Counter()).task
    assert "jane" not in kept.problem
    assert refusal(item, own) == "near-duplicate"
    assert refusal(item, replace(own, kept=frozenset({("s", kept.id)}))) == ""


def test_a_task_that_only_sounds_alike_is_none():
    own = filters()
    filter_task(made(), own, Counter())
    other = made(
        problem="Write a Python function `halve(n)` that halves its argument, rounding towards zero.", name="halve"
    )
    assert refusal(other, own) == ""


def test_ten_words_of_a_benchmark_contaminate_whatever_their_signs():
    known = known_of("return the sum of all even elements of a list of integers")
    text = "Return: the sum of ALL even elements, of a list of integers."
    assert contamination([text], "f", known) == "ten words"


def test_nine_words_do_not():
    known = known_of("return the sum of all even elements of a list of integers")
    assert contamination(["the sum of all even elements of a list"], "f", known) == ""


def test_a_function_called_as_a_task_contaminates():
    assert refusal(made(), filters(known_of("", "double"))) == "contaminated: name of a task"


def test_the_name_of_a_benchmark_contaminates():
    assert refusal(made(problem=f"{PROBLEM} (HumanEval/12)")) == "contaminated: name of a task"


def test_a_seed_of_a_benchmark_is_never_shown_to_the_base():
    assert clean_seed(SEED, known_of("", "double"), Counter()) == (None, "contaminated: name of a task")


def test_a_seed_with_a_secret_is_never_shown_to_the_base():
    seed = replace(SEED, text=SEED.text + f"KEY = 'AK{'IA'}ABCDEFGH12345678'\n")
    assert clean_seed(seed, filters().known, Counter()) == (None, "secret")


def test_a_seed_loses_its_personal_data_which_is_counted():
    counts = Counter()
    seed, reason = clean_seed(replace(SEED, text=SEED.text + "# ask jane@corp.de\n"), filters().known, counts)
    assert (seed.text, reason, counts.total()) == (SEED.text + "# ask user@example.com\n", "", 1)


def test_a_secret_in_what_the_base_wrote_is_dropped():
    assert refusal(made(code=SEED.text + f"KEY = 'gh{'p_'}{'a1B2' * 9}'\n")) == "secret"


def test_personal_data_in_a_solution_drop_the_task():
    assert refusal(made(code=SEED.text + "# by jane@corp.de\n")) == "personal data in a solution"


def test_an_endless_problem_is_too_long():
    assert refusal(made(problem=PROBLEM * 40)) == "too long"


@pytest.mark.usefixtures("tiny_data")
def test_benchmarks_that_are_there_are_read_and_the_others_named(tiny_data):  # noqa: F811
    known = read_benchmarks(tiny_data)
    assert known.names and known.grams and {*known.benchmarks} & {*known.missing} == set()
