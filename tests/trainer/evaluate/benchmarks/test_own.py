"""Our own gaps: what the files say, and that every one of them is fair."""

import itertools

import pytest

from spa_lsp.completion import Alternative
from spa_lsp.errors import Damaged
from trainer.evaluate.benchmarks.load import load_benchmark
from trainer.evaluate.benchmarks.own import BEGIN, CANARY, END, GAPS, load_gaps, read_gap
from trainer.evaluate.judge.verdict import judge
from trainer.evaluate.sameness.normalize import ast_key
from trainer.evaluate.views import shown_view

FILES = sorted(GAPS.glob("*.md"))
MODULE = '''```python
class Box:
    def double(self, n):
        """Twice n."""
        return n⟦ * 2⟧


def twice(n):
    return Box().double(n)
```
'''
TEST = "```python test\nassert probe(4) == 8\n```\n"
REST = f"```python probe\ndef probe(n):\n    return twice(n)\n```\n{TEST}```python right\n + n\n```\n"


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def gap(request):
    return read_gap(request.param.stem, request.param.read_text("utf-8"))


@pytest.fixture
def ways(gap):
    """Its solution and all other right ways."""
    return [gap.problem.solution, *gap.others]


@pytest.mark.usefixtures("sandbox")
def test_every_right_way_passes_and_a_gap_left_open_does_not(gap, ways):
    verdicts = judge(gap.problem, [*ways, "", "pass"])
    assert [verdict.error for verdict in verdicts if verdict.kind == "pass"] == [""] * len(ways)
    assert {verdict.kind for verdict in verdicts[len(ways) :]} == {"fail"}


@pytest.mark.usefixtures("sandbox")
def test_every_right_way_is_still_right_as_an_editor_shows_it(gap, ways):
    shown = [shown_view(gap.problem, alternative(way)).completion for way in ways]
    changed = [text for text in shown if text not in ways]
    assert {verdict.kind for verdict in judge(gap.problem, changed)} <= {"pass"}


def test_the_right_ways_are_three_at_least_and_different_programs(gap, ways):
    keys = {ast_key(gap.problem.program(way), gap.problem.compared) for way in ways}
    assert len(keys) == len(ways) >= 3 and None not in keys


def test_the_file_has_the_cut_text_between_its_marks_and_the_canary(gap):
    problem = gap.problem
    text = (GAPS / f"{problem.task_id.removeprefix('own/')}.md").read_text("utf-8")
    assert f"```python\n{problem.prefix}{BEGIN}{problem.solution}{END}{problem.suffix}```\n" in text
    assert text.startswith(f"<!-- Benchmark data, never to be trained on: {CANARY} -->\n")


def test_a_module_is_of_everyday_size_and_its_gap_fits_into_a_completion(gap):
    problem = gap.problem
    assert 40 <= problem.program(problem.solution).count("\n") <= 150
    assert len(problem.solution) <= 300  # some 90 of the 96 tokens that a completion may have


def test_there_are_forty_gaps_or_more_of_single_lines_and_of_several_and_a_quarter_is_typed_into():
    problems = load_benchmark("own", None)
    is_single = [problem.solution.count("\n") == 0 for problem in problems]
    is_typed = [bool(problem.prefix.rpartition("\n")[2].strip()) for problem in problems]
    assert len({problem.task_id for problem in problems}) == len(problems) >= 40
    assert sum(is_single) >= 12 and is_single.count(False) >= 20
    assert 0.2 <= sum(is_typed) / len(problems) <= 0.35


def test_no_two_gaps_have_the_same_solution():
    solutions = ["".join(gap.problem.solution.split()) for gap in load_gaps()]
    assert [pair for pair in itertools.combinations(solutions, 2) if pair[0] == pair[1]] == []


def test_the_method_around_the_gap_is_compared_and_the_probe_is_called():
    problem = read_gap("box", MODULE + REST).problem
    assert (problem.task_id, problem.compared, problem.entry_point) == ("own/box", "Box.double", "probe")
    assert problem.program(" * 2").endswith("    return Box().double(n)\n")
    assert problem.runnable(" * 2").endswith("    return twice(n)\n")


def test_without_a_probe_the_function_around_the_gap_is_called():
    module = MODULE.replace("⟦ * 2⟧", " * 2").replace("double(n)\n`", "double(n)⟦ + 0⟧\n`")
    problem = read_gap("box", module + TEST).problem
    assert (problem.compared, problem.entry_point) == ("twice", "twice")


@pytest.mark.parametrize(
    "text, message",
    [
        (MODULE, "gap box: 0 blocks are the test"),
        (MODULE.replace("⟧", "") + REST, "gap box: the module needs one ⟦ and, behind it, one ⟧"),
        (MODULE.replace("⟦ * 2⟧", "⟧ * 2⟦") + REST, "gap box: the module needs one ⟦"),
        (MODULE.replace("* 2", "*") + REST, "gap box: the module does not parse"),
        (MODULE.replace("⟦ * 2⟧", "").replace("Box:", "Box⟦⟧:") + REST, "gap box: it is in no function"),
    ],
)
def test_a_file_that_is_no_gap_says_what_it_lacks(text, message):
    with pytest.raises(Damaged, match=message):
        read_gap("box", text)


def alternative(text):
    return Alternative(text=text, adapter="a", label="", index=0, mean_logprob=0.0, n_tokens=1, finish="stop")
