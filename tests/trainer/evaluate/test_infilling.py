import dataclasses
import json

import pytest

from spa_lsp.completion import Alternative, CompletionResult
from spa_lsp.errors import BadInput, Unavailable
from trainer.evaluate.infilling import evaluate_infilling, values_per_problem

pytestmark = pytest.mark.usefixtures("sandbox")

LOOP = "    result = 0\n    for number in numbers:\n        result += number\n"
RENAMED = "    result = 0\n    for n in numbers:\n        result += n\n"
BUILTIN = "    result = sum(numbers)\n"
WRONG = "    result = 3\n"
BROKEN = "    result = (\n"


class FakeCompleter:
    """Answers with the given texts, one adapter each; breaks down at the n-th request when told to."""

    def __init__(self, *texts, finish="stop", breaks_at=None, adapter_set="fake"):
        self.texts, self.finish, self.breaks_at, self.adapter_set = texts, finish, breaks_at, adapter_set
        self.requests = []

    def complete(self, request, *, on_alternative=None, is_cancelled=None):
        if len(self.requests) == self.breaks_at:
            raise Unavailable("the engine is gone")
        self.requests.append(request)
        alternatives = tuple(
            Alternative(
                text=text, adapter=f"a{n}", label="", index=n, mean_logprob=-1.0, n_tokens=9, finish=self.finish
            )
            for n, text in enumerate(self.texts)
        )
        return CompletionResult(
            base="tiny", adapter_set=self.adapter_set, quantization="fp32", device="cpu", alternatives=alternatives
        )


@pytest.fixture
def problems(problem):
    return [dataclasses.replace(problem, task_id=f"Own/total/{n}") for n in range(3)]


@pytest.fixture
def evaluate(tmp_path):
    def run(completer, problems, **options):
        settings = {"arm": "adapters", "k": 5, "temperature": 0.0, "seed": 0} | options
        return evaluate_infilling(completer, problems, checkpoint_path=tmp_path / "rows" / "x.jsonl", **settings)

    return run


def test_the_figures_are_those_counted_by_hand(evaluate, problems):
    figures = evaluate(FakeCompleter(LOOP, RENAMED, BUILTIN, WRONG, BROKEN), problems).figures
    names = ("distinct_exact", "distinct_ast", "pass_at_1", "pass_at_k", "dc_at_k", "stops_share", "parse_share")
    assert [figures[name]["mean"] for name in names] == pytest.approx([5, 3, 0.6, 1, 2, 1, 0.8])
    assert figures["dc_at_k"]["standard_error"] == 0
    assert {name: value["mean"] for name, value in figures["pass_at_1_by_adapter"].items()} == {
        "a0": 1,
        "a1": 1,
        "a2": 1,
        "a3": 0,
        "a4": 0,
    }
    assert figures["verdicts"] == {"pass": 9, "fail": 6}


def test_the_figures_say_what_was_measured_with_what(evaluate, problems, sandbox):
    figures = evaluate(FakeCompleter(LOOP), problems).figures
    assert (figures["base"], figures["adapter_set"], figures["arm"], figures["k"]) == ("tiny", "fake", "adapters", 5)
    assert (figures["n_problems"], figures["sandbox"]) == (3, sandbox)
    json.dumps(figures)


def test_the_request_asks_for_the_arm(evaluate, problems):
    completer = FakeCompleter(LOOP)
    evaluate(completer, problems[:1], arm="base-sampled", temperature=0.8, k=8)
    request = completer.requests[0]
    assert (request.use_base, request.k, request.temperature, request.top_p) == (True, 8, 0.8, 0.95)
    assert (request.stop, request.max_tokens, request.layout) == ("multi", 96, "infill")


def test_base_greedy_asks_for_one_greedy_row(evaluate, problems):
    completer = FakeCompleter(LOOP)
    evaluate(completer, problems[:1], arm="base-greedy", temperature=0.8)
    assert (completer.requests[0].k, completer.requests[0].temperature) == (1, 0.0)


def test_every_problem_has_a_seed_of_its_own_wherever_it_stands(evaluate, problems, tmp_path):
    completer = FakeCompleter(LOOP)
    evaluate(completer, problems)
    again = FakeCompleter(LOOP)
    options = {"arm": "adapters", "k": 5, "temperature": 0.0, "seed": 0}
    evaluate_infilling(again, problems[::-1], checkpoint_path=tmp_path / "other.jsonl", **options)
    seeds = [request.seed for request in completer.requests]
    assert len(set(seeds)) == 3
    assert [request.seed for request in again.requests] == seeds[::-1]


def test_a_broken_evaluation_goes_on_where_it_broke(evaluate, problems):
    with pytest.raises(Unavailable):
        evaluate(FakeCompleter(LOOP, breaks_at=2), problems)
    completer = FakeCompleter(LOOP)
    report = evaluate(completer, problems)
    assert len(completer.requests) == 1
    assert [row.row.task_id for row in report.rows] == [problem.task_id for problem in problems]


def test_a_finished_evaluation_asks_nothing_and_says_the_same(evaluate, problems):
    first = evaluate(FakeCompleter(LOOP, WRONG), problems)
    completer = FakeCompleter()
    assert evaluate(completer, problems).figures == first.figures
    assert completer.requests == []


def test_a_line_that_was_not_written_to_its_end_is_asked_again(evaluate, problems, tmp_path):
    evaluate(FakeCompleter(LOOP), problems)
    path = tmp_path / "rows" / "x.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    completer = FakeCompleter(LOOP)
    evaluate(completer, problems)
    assert len(completer.requests) == 1
    assert len(path.read_text().splitlines()) == 4
    assert all(map(json.loads, path.read_text().splitlines()))


def test_rows_of_other_settings_are_not_mixed_in(evaluate, problems):
    evaluate(FakeCompleter(LOOP), problems)
    with pytest.raises(BadInput, match=r"x\.jsonl was begun with .*'seed': 0.*choose another --output"):
        evaluate(FakeCompleter(LOOP), problems, seed=1)


def test_rows_of_another_set_are_not_mixed_in(evaluate, problems):
    evaluate(FakeCompleter(LOOP), problems[:1])
    with pytest.raises(BadInput, match="holds answers of tiny/fake/fp32, not of tiny/other/fp32"):
        evaluate(FakeCompleter(LOOP, adapter_set="other"), problems)


def test_another_kind_of_file_is_refused_and_kept(evaluate, problems, tmp_path):
    path = tmp_path / "rows" / "x.jsonl"
    path.parent.mkdir()
    path.write_text("[1]\n")
    with pytest.raises(BadInput, match="is not a checkpoint"):
        evaluate(FakeCompleter(LOOP), problems)
    assert path.read_text() == "[1]\n"


def test_each_row_is_told_those_of_the_checkpoint_too(evaluate, problems):
    evaluate(FakeCompleter(LOOP), problems[:2])
    seen = []
    evaluate(FakeCompleter(LOOP), problems, on_row=lambda row: seen.append(row.task_id))
    assert seen == ["Own/total/0", "Own/total/1", "Own/total/2"]


def test_a_disabled_adapter_neither_passes_nor_parses(evaluate, problem):
    # with nothing in its gap this program would pass
    easy = dataclasses.replace(problem, suffix="    return sum(numbers)\n")
    figures = evaluate(FakeCompleter("", finish="disabled"), [easy]).figures
    assert [figures[name]["mean"] for name in ("pass_at_1", "parse_share", "dc_at_k")] == [0, 0, 0]


def test_no_alternatives_at_all_is_an_error_and_not_a_row(evaluate, problems, tmp_path):
    with pytest.raises(Unavailable, match="no completion came back for Own/total/0"):
        evaluate(FakeCompleter(), problems)
    assert len((tmp_path / "rows" / "x.jsonl").read_text().splitlines()) == 1


def test_values_per_problem_are_in_the_order_of_the_problems(evaluate, problem):
    easy = dataclasses.replace(problem, task_id="Own/easy/0", suffix="    return sum(numbers)\n")
    report = evaluate(FakeCompleter(WRONG), [easy, problem])
    assert values_per_problem(report.rows)["pass_at_1"] == [1.0, 0.0]
