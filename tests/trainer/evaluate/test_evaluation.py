"""Arms on three problems of our own, with a model that says what it is told; the sandbox is real."""

import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from spa_lsp.adapters.row_plan import BRANCHES
from spa_lsp.errors import BadInput, Unavailable
from spa_lsp.storage.store import open_store
from tests.fakes import NAMES, FakeCompleter
from tests.tiny_set import make_adapters, make_set
from trainer.evaluate import judgements
from trainer.evaluate.answering import EvaluationSettings
from trainer.evaluate.arms import parse_arms
from trainer.evaluate.benchmarks.problems import anchor_back
from trainer.evaluate.figures.estimates import likeliest_by_adapter, needed_packages
from trainer.evaluate.figures.export import differences
from trainer.evaluate.judge.verdict import Verdict
from trainer.evaluate.judgements import rules_version
from trainer.evaluate.served import BLOCK_PROBLEMS, run_arms
from trainer.pipeline.stages import open_trainer

pytestmark = pytest.mark.usefixtures("sandbox")

LOOP = "    result = 0\n    for number in numbers:\n        result += number\n"
RENAMED = "    result = 0\n    for n in numbers:\n        result += n\n"
BUILTIN = "    result = sum(numbers)\n"
OVERSHOT = "    result = sum(numbers)\n    return result\n    return 1\n"
WRONG = "    result = 3\n"
BROKEN = "    result = (\n"
TEXTS = (LOOP, RENAMED, BUILTIN, WRONG, BROKEN)


@pytest.fixture
def db():
    with open_trainer() as db:
        yield db


@pytest.fixture
def problems(problem):
    return [replace(problem, task_id=f"Own/total/{n}", benchmark="own") for n in range(3)]


@dataclass
class FakeModel:
    """The model behind all arms: a FakeCompleter answers, what is measured is given."""

    completer: FakeCompleter
    average_kl: Callable[[Any, str], float | None] = lambda *_: None
    log_likelihoods: Callable[[Any], dict[str, list[float]]] = lambda _: {}
    base_id: str = "fake-base"
    used: list[Any] = field(default_factory=list)

    @property
    def made_with(self):
        return NAMES["quantization"], NAMES["device"]

    def use(self, adapter_set):
        self.used.append(adapter_set.name if adapter_set else "base")

    def complete_many(self, requests, *, on_result):
        return self.completer.complete_many(requests, on_result=on_result)


@pytest.fixture
def evaluate_arms(db):
    def run(model, problems, arms, *, adapter_set=None, has_kl=True, **settings):
        entries = parse_arms(arms, k=5)
        sets = [(adapter_set or make_set()) if entry.arm.recipe else None for entry in entries]
        arms = [(entry.with_set(chosen), chosen) for entry, chosen in zip(entries, sets, strict=True)]
        settings = EvaluationSettings(base_id=model.base_id, **settings)
        return run_arms(db, model, problems, arms, settings, has_kl=has_kl)

    return run


@pytest.fixture
def evaluate(evaluate_arms):
    """One arm, and what is measured beside its answers."""

    def run(completer, problems, arm="influence", *, measured=None, **options):
        (result,) = evaluate_arms(FakeModel(completer, **measured or {}), problems, arm, **options)
        return result

    return run


def breaks_at(n, error):
    """A completer that fails at its n-th answer, counted from 0."""
    completer = FakeCompleter(texts=TEXTS)

    def count():
        if len(completer.asked) > n:
            raise error

    completer.before = count
    return completer


def means(result, *names):
    return [result.figures[name].mean for name in names]


def test_the_figures_are_those_counted_by_hand(evaluate, problems):
    result = evaluate(FakeCompleter(texts=TEXTS), problems)
    levels = [f"{kind}_{level}" for kind in ("distinct", "dc") for level in ("exact", "ast", "near", "approach")]
    assert means(result, *levels) == [5, 3, 3, 3, 3, 2, 2, 2]
    assert means(result, "pass_at_1", "pass_at_1_min", "pass_at_k", "pass_at_5", "diversity") == [0.6, 0, 1, 1, 1]
    assert means(result, "parse_share", "stops_share", "n_tokens") == pytest.approx([0.8, 1, 4])
    # the first and third earn 1 + 0.64 of 1 + 0.8 + 0.64 + 0.512 + 0.4096
    assert means(result, "utility_ast") == pytest.approx([1.64 / 3.3616])
    assert result.figures["dc_ast"].standard_error == 0


def test_a_text_is_counted_as_it_came_and_as_it_is_shown(evaluate, problems):
    result = evaluate(FakeCompleter(texts=(BUILTIN, OVERSHOT)), problems)
    names = ("distinct_exact", "distinct_ast", "diversity")
    assert means(result, *names) == [1, 1, 0]
    assert means(result, *(f"raw_{name}" for name in names)) == [2, 2, 1]


# #15
def test_the_first_one_shown_is_the_first_of_the_editors_order(evaluate, problems):
    result = evaluate(FakeCompleter(texts=(WRONG, LOOP, BROKEN, RENAMED)), problems)  # two agree
    assert set(map(tuple, result.orders.values())) == {(1, 0, 2)}
    assert means(result, "pass_first") == [1]


# #15
def test_of_a_served_set_the_lead_is_the_first_one_shown(evaluate, problems):
    result = evaluate(FakeCompleter(texts=(WRONG, LOOP, BROKEN, RENAMED)), problems, "influence@served")
    assert set(map(tuple, result.orders.values())) == {(0, 1, 2)}
    assert means(result, "pass_first", "pass_lead", "pass_at_k") == [0, 0, 1]


# #15
def test_where_the_lead_has_nothing_to_insert_the_next_one_is_the_first_shown(evaluate, problems):
    result = evaluate(FakeCompleter(texts=("", WRONG, LOOP, LOOP)), problems, "influence@served")
    assert means(result, "pass_first", "pass_lead") == [1, 0]


# #15
def test_where_nothing_is_shown_nothing_is_right(evaluate, problems):
    result = evaluate(FakeCompleter(texts=("", "")), problems)
    assert (means(result, "pass_first"), set(map(tuple, result.orders.values()))) == ([0], {()})


# #15
def test_the_first_one_shown_is_known_of_stored_completions(evaluate, problems):
    evaluate(FakeCompleter(texts=TEXTS), problems)
    again = evaluate(FakeCompleter(error=Unavailable("not to be asked")), problems)
    assert again.figures["pass_first"].mean == 1


# #13
def test_what_needs_a_package_is_counted_apart_and_never_as_wrong(evaluate, problems):
    needing = "    import pandas as np\n    result = np.sum(numbers)\n"
    result = evaluate(FakeCompleter(texts=(LOOP, needing, WRONG, needing)), problems)
    assert means(result, "pass_at_1", "needs_share", "raw_needs_share", "dc_ast", "distinct_ast") == [
        0.5,
        0.5,
        0.5,
        1,
        3,
    ]
    assert [own.verdict for own in next(iter(result.attempts.values()))][1] == "needs pandas"
    assert needed_packages(result.attempts) == {"pandas": 6}


# #13
def test_where_nothing_could_be_judged_there_is_no_figure_of_what_is_right(evaluate, problems):
    needing = "    import pandas as np\n    result = np.sum(numbers)\n"
    result = evaluate(FakeCompleter(texts=(needing,)), problems)
    assert result.figures["needs_share"].mean == 1
    assert not {"pass_at_1", "pass_at_k", "dc_ast", "utility_ast", "pass_at_1_min"} & result.figures.keys()


# #13
def test_with_other_packages_the_same_completions_are_judged_anew(evaluate, problems, db):
    evaluate(FakeCompleter(texts=(LOOP,)), problems)
    evaluate(FakeCompleter(error=Unavailable("not to be asked")), problems, allow_packages=("x",))
    versions = [row["version"] for row in db.query("SELECT DISTINCT version FROM judgements")]
    assert {*versions} == {rules_version(), rules_version(("x",))}


def test_completions_are_rows(evaluate, problems, db):
    result = evaluate(FakeCompleter(texts=TEXTS), problems)
    rows = list(db.query("SELECT * FROM completions WHERE task_id = 'Own/total/1' ORDER BY place"))
    assert [row["text"] for row in rows] == list(TEXTS)
    assert {row["run_id"] for row in rows} == {result.run.id}
    assert (rows[0]["adapter"], rows[0]["quantization"], rows[0]["device"]) == ("a1", "fp32", "cpu")


def test_judgements_are_rows_of_a_version_in_each_view(evaluate, problems, db):
    evaluate(FakeCompleter(texts=TEXTS), problems[:1])
    for view in ("shown", "raw"):
        rows = list(db.query("SELECT * FROM judgements WHERE view = ? ORDER BY place", [view]))
        assert [row["verdict"] for row in rows] == ["pass", "pass", "pass", "fail", "fail"]
        assert [row["class_ast"] for row in rows] == [0, 0, 1, 2, None]
        assert {row["version"] for row in rows} == {rules_version()}


def of_another_version(monkeypatch, name):
    monkeypatch.setattr("trainer.evaluate.served.rules_version", lambda _: name)


def test_another_judge_judges_anew_and_asks_no_model(evaluate, problems, monkeypatch):
    first = evaluate(FakeCompleter(texts=TEXTS), problems)
    of_another_version(monkeypatch, "a judge who lets all pass")
    monkeypatch.setattr("trainer.evaluate.judgements.judge", lambda _, texts: [Verdict(kind="pass", seconds=0.0)] * 10)
    again = evaluate(FakeCompleter(error=Unavailable("not to be asked")), problems)
    assert [means(result, "pass_at_1", "raw_pass_at_1") for result in (first, again)] == [[0.6, 0.6], [1, 1]]


# #15
def test_how_far_judging_anew_is_is_told(evaluate, problems, monkeypatch, capsys):
    evaluate(FakeCompleter(texts=TEXTS), problems[:2])
    of_another_version(monkeypatch, "of tomorrow")
    assert capsys.readouterr().err.splitlines()[-1].endswith("2 answers")
    evaluate(FakeCompleter(texts=TEXTS), problems, has_kl=False)
    told = capsys.readouterr().err.splitlines()
    assert told[0] == "own: 3 answers" and told[-1].endswith("3 answers")


def test_judgements_of_another_version_stay_and_are_found_again(evaluate, problems, monkeypatch):
    with monkeypatch.context() as meanwhile:
        of_another_version(meanwhile, "before")
        evaluate(FakeCompleter(texts=TEXTS), problems[:1])
    evaluate(FakeCompleter(texts=TEXTS), problems)
    of_another_version(monkeypatch, "before")
    monkeypatch.setattr("trainer.evaluate.judgements.judge", pytest.fail)
    result = evaluate(FakeCompleter(error=Unavailable("not to be asked")), problems[:1])
    assert means(result, "pass_at_1", "dc_ast") == [0.6, 2]


def test_a_sandbox_that_failed_costs_no_completion(evaluate, problems, monkeypatch):
    broken = [Verdict(kind="sandbox_error", seconds=0.0, error="no memory")] * 10
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr("trainer.evaluate.judgements.judge", lambda *_: broken)
        with pytest.raises(Unavailable, match="the sandbox failed on a program of Own/total/0 .no memory.; run again"):
            evaluate(FakeCompleter(texts=TEXTS), problems[:1])
    result = evaluate(FakeCompleter(error=Unavailable("not to be asked")), problems[:1])
    assert means(result, "pass_at_1") == [0.6]


def test_the_version_is_that_of_the_sources_that_judge(monkeypatch, tmp_path):
    for name in ("spa_lsp", "trainer"):
        shutil.copytree(judgements._ROOT / name, tmp_path / name)
    monkeypatch.setattr(judgements, "_ROOT", tmp_path)
    version = judgements.rules_version.__wrapped__
    same = version()
    (tmp_path / "trainer/evaluate/arms.py").write_text("")
    assert version() == same == rules_version()
    (tmp_path / "spa_lsp/text/shown.py").write_text("")
    assert version() != same


@pytest.mark.parametrize(
    ("arm", "wanted"),
    [
        ("base", (True, 1, 0.0, 1.0, ())),
        ("base@0.8", (True, 5, 0.8, 0.95, ())),
        ("influence", (False, 5, 0.0, 1.0, ())),
        ("single", (False, 5, 0.1, 0.95, ("a1",) * 5)),
        ("influence@served", (False, 5, 0.7, 0.95, ())),
        ("single@served", (False, 5, 0.7, 0.95, ("a1",) * 5)),
    ],
)
def test_the_request_asks_for_the_arm(evaluate, problems, arm, wanted):
    completer = FakeCompleter(texts=(LOOP,))
    evaluate(completer, problems[:1], arm, adapter_set=make_set(temperature=0.7))
    (request,) = completer.asked
    assert request.lead_first == arm.endswith("@served")
    assert (request.use_base, request.k, request.temperature, request.top_p, request.adapters) == wanted
    assert (request.stop, request.max_tokens, request.layout) == ("multi", 96, "infill")
    assert (request.prefix, request.suffix) == (problems[0].prefix, problems[0].suffix)


# #15
@pytest.mark.parametrize(
    ("arm", "activation", "others"),
    [("influence", "completion", BRANCHES), ("influence", "all", ""), ("single", "all", BRANCHES)],
)
def test_a_served_run_says_how_the_rows_behind_the_lead_come_about(evaluate, problems, arm, activation, others):
    served = make_set(activation=activation, temperature=0.7)
    result = evaluate(FakeCompleter(texts=(LOOP,)), problems[:1], f"{arm}@served", adapter_set=served)
    assert result.run.settings.others == others


def test_an_instruction_is_asked_as_a_chat_turn(evaluate, problem):
    whole = problem.program(problem.solution)
    asked = {"layout": "instruct", "instruction": "Sum up.", "benchmark": "own"}
    task = replace(problem, **asked, prefix="", suffix="", solution=whole)
    completer = FakeCompleter(texts=("```python\ndef total(numbers):\n    return sum(numbers)\n```",))
    result = evaluate(completer, [task])
    (request,) = completer.asked
    assert (request.prefix, request.suffix, request.layout, request.stop) == ("Sum up.", "", "instruct", "multi")
    assert means(result, "pass_at_1", "parse_share") == [1, 1]


def test_an_answer_that_was_begun_is_judged_with_its_beginning_and_is_another_run(evaluate, problem):
    whole = problem.program(problem.solution)
    asked = {"layout": "instruct", "instruction": "Sum up.", "benchmark": "own"}
    task = replace(problem, **asked, prefix="", suffix="", solution=whole)
    begun = replace(task, begun="Here:\n```python\n")
    completer = FakeCompleter(texts=("def total(numbers):\n    return sum(numbers)\n```\n",))
    result = evaluate(completer, [begun])
    assert completer.asked[0].begun == begun.begun
    assert means(result, "pass_at_1", "parse_share") == [1, 1]
    evaluate(completer, [task])
    assert [request.begun for request in completer.asked] == [begun.begun, ""]


def test_every_problem_has_a_seed_of_its_own_wherever_it_stands(evaluate, problems):
    first, second = FakeCompleter(texts=TEXTS), FakeCompleter(texts=TEXTS)
    evaluate(first, problems)
    evaluate(second, problems[::-1], "random")
    seeds = [request.seed for request in first.asked]
    assert len(set(seeds)) == 3
    assert [request.seed for request in second.asked] == seeds[::-1]


@pytest.mark.parametrize("error", [Unavailable("the engine is gone"), KeyboardInterrupt()])
def test_a_broken_evaluation_goes_on_behind_its_last_answer(evaluate, problems, error):
    with pytest.raises(type(error)):
        evaluate(breaks_at(2, error), problems)
    completer = FakeCompleter(texts=TEXTS)
    result = evaluate(completer, problems)
    assert len(completer.asked) == 1
    assert [own[0].task_id for own in result.attempts.values()] == ["Own/total/0", "Own/total/1", "Own/total/2"]


def test_an_answer_that_broke_left_no_row_and_those_before_it_are_kept(evaluate, problems):
    with pytest.raises(Unavailable):
        evaluate(breaks_at(1, Unavailable("the engine is gone")), problems)
    with closing(open_store()) as reader:
        assert [row["task_id"] for row in reader.table("completions").rows] == ["Own/total/0"] * len(TEXTS)


def test_a_finished_evaluation_asks_nothing_and_says_the_same(evaluate, problems):
    first = evaluate(FakeCompleter(texts=TEXTS), problems)
    again = evaluate(FakeCompleter(error=Unavailable("not to be asked")), problems)
    assert again.figures == first.figures


def test_more_problems_ask_only_the_new_ones(evaluate, problems):
    evaluate(FakeCompleter(texts=TEXTS), problems[:2])
    completer = FakeCompleter(texts=TEXTS)
    evaluate(completer, problems)
    assert len(completer.asked) == 1


@pytest.mark.parametrize("change", ["another wording", "another seed", "another set", "another arm"])
def test_what_an_answer_depends_on_makes_it_another(evaluate, problems, change):
    evaluate(FakeCompleter(texts=TEXTS), problems[:1])
    completer = FakeCompleter(texts=TEXTS)
    asked = {
        "another wording": lambda: evaluate(completer, [replace(problems[0], prefix="# sum\n" + problems[0].prefix)]),
        "another seed": lambda: evaluate(completer, problems[:1], seed=1),
        "another set": lambda: evaluate(completer, problems[:1], adapter_set=make_set(make_adapters(seed=1))),
        "another arm": lambda: evaluate(completer, problems[:1], "random"),
    }
    asked[change]()
    assert len(completer.asked) == 1


def test_completions_of_another_precision_are_not_mixed_in(evaluate, problems, monkeypatch):
    evaluate(FakeCompleter(texts=TEXTS), problems[:1])
    monkeypatch.setitem(NAMES, "quantization", "nf4")
    with pytest.raises(BadInput, match="in fp32 on cpu, these are in nf4 on cpu; pass --quantization fp32"):
        evaluate(FakeCompleter(texts=TEXTS), problems)


def test_no_alternatives_at_all_is_an_error_and_not_a_row(evaluate, problems, db):
    with pytest.raises(Unavailable, match="no completion came back"):
        evaluate(FakeCompleter(texts=()), problems)
    assert db.table("completions").count == 0


def test_a_disabled_adapter_neither_passes_nor_parses(evaluate, problem):
    # with nothing in its gap this program would pass
    easy = replace(problem, suffix="    return sum(numbers)\n", benchmark="own")

    class Disabled(FakeCompleter):
        def complete(self, request, **options):
            result = super().complete(request, **options)
            return replace(result, alternatives=tuple(replace(a, finish="disabled") for a in result.alternatives))

    result = evaluate(Disabled(texts=("",)), [easy])
    assert means(result, "pass_at_1", "raw_pass_at_1", "parse_share", "dc_ast") == [0, 0, 0, 0]


def test_kl_is_measured_once_per_problem_on_one_of_the_greedy_texts(evaluate, problems):
    measured = []

    def measure(request, text):
        measured.append((request, text))
        return 0.25

    result = evaluate(FakeCompleter(texts=TEXTS), problems, measured={"average_kl": measure})
    assert means(result, "average_kl") == [0.25]
    assert [text for _, text in measured] == [TEXTS[request.seed % 5] for request, _ in measured]


@pytest.mark.parametrize("arm", ["base", "base@0.5", "influence@0.5", "single"])
def test_kl_is_not_measured_where_there_is_no_greedy_set(evaluate, problems, arm):
    result = evaluate(FakeCompleter(texts=TEXTS), problems[:1], arm, measured={"average_kl": pytest.fail})
    assert "average_kl" not in result.figures


def test_kl_is_not_measured_where_it_is_not_wanted(evaluate, problems):
    result = evaluate(FakeCompleter(texts=TEXTS), problems[:1], measured={"average_kl": pytest.fail}, has_kl=False)
    assert "average_kl" not in result.figures


# #15
def test_kl_that_was_not_wanted_before_is_measured_on_the_stored_completions(evaluate, problems):
    evaluate(FakeCompleter(texts=TEXTS), problems[:2], has_kl=False)
    wanted = {"average_kl": lambda request, text: TEXTS.index(text) + request.seed / 2**40}
    at_once = evaluate(FakeCompleter(texts=TEXTS), problems, "random", measured=wanted)
    completer = FakeCompleter(texts=TEXTS)
    result = evaluate(completer, problems, measured=wanted)
    assert len(completer.asked) == 1 and len(result.values["average_kl"]) == 3
    assert result.values["average_kl"] == at_once.values["average_kl"]
    again = evaluate(FakeCompleter(), problems, measured={"average_kl": pytest.fail})
    assert again.figures == result.figures


# #15
def test_kl_of_some_problems_is_no_figure_of_all(evaluate, problems):
    evaluate(FakeCompleter(texts=TEXTS), problems[:1], measured={"average_kl": lambda *_: 0.25})
    result = evaluate(FakeCompleter(texts=TEXTS), problems, has_kl=False)
    assert "average_kl" not in result.figures


# #15
def test_kl_in_another_precision_is_not_mixed_in(evaluate, problems, monkeypatch):
    evaluate(FakeCompleter(texts=TEXTS), problems, has_kl=False)
    monkeypatch.setitem(NAMES, "quantization", "nf4")
    with pytest.raises(BadInput, match="in fp32 on cpu, these are in nf4 on cpu; pass --quantization fp32"):
        evaluate(FakeCompleter(texts=TEXTS), problems, measured={"average_kl": lambda *_: 0.25})


# #15
def test_an_answer_without_text_has_no_kl_to_come_later(evaluate, problems):
    evaluate(FakeCompleter(texts=("", "")), problems, has_kl=False)
    evaluate(FakeCompleter(), problems, measured={"average_kl": pytest.fail})


@pytest.fixture
def question(problem):
    fields = {"layout": "choice", "instruction": "Which?", "options": ("A", "B"), "answer": "B", "benchmark": "own"}
    pairs = (("Which?", " A"), ("Which?", " B"))
    return replace(problem, prefix="", suffix="", entry_point="", test="", likelihoods=pairs, **fields)


def test_an_answer_to_a_question_is_read_and_not_run(evaluate, question):
    result = evaluate(FakeCompleter(texts=("B, for it is.", "B, as it was.", "A", "import os")), [question])
    assert means(result, "pass_at_1", "distinct_exact", "dc_exact", "diversity") == [0.5, 4, 2, 1]


def test_a_question_has_no_figure_that_looks_at_programs(evaluate, question):
    figures = evaluate(FakeCompleter(texts=("B", "import os")), [question]).figures
    ends = ("_ast", "_near", "_approach", "parse_share")
    assert figures and [name for name in figures if name.endswith(ends)] == []


def test_the_likeliest_option_is_a_second_accuracy_which_a_resumed_run_has_too(evaluate, question):
    def measure(choices):
        assert choices == question.likelihoods
        return {"a1": [-2.0, -1.0], "a2": [-1.0, -2.0], "a3": [-3.0, -1.0], "a4": [-9.0, -8.0]}

    evaluate(FakeCompleter(texts=("B", "B", "A", "A")), [question], measured={"log_likelihoods": measure})
    result = evaluate(FakeCompleter(error=Unavailable("not to be asked")), [question])
    assert means(result, "accuracy_loglik", "pass_at_1") == [0.75, 0.5]
    by_adapter = likeliest_by_adapter(result.attempts)
    assert {name: list(own.values()) for name, own in by_adapter.items()} == {
        "a1": [1],
        "a2": [0],
        "a3": [1],
        "a4": [1],
    }


def test_what_has_no_options_has_no_likeliest_one(evaluate, problems, question):
    free = replace(question, options=(), likelihoods=())
    for asked in (problems, [free]):
        result = evaluate(FakeCompleter(texts=("B",)), asked, measured={"log_likelihoods": pytest.fail})
        assert "accuracy_loglik" not in result.figures and likeliest_by_adapter(result.attempts) == {}


def test_an_anchored_problem_is_asked_with_what_is_begun_in_the_same_run_and_never_mixed(evaluate, problem):
    completer = FakeCompleter(texts=(problem.solution,))
    anchored = anchor_back(problem, most=9)
    results = [evaluate(completer, [each]) for each in (problem, anchored)]
    assert [(request.prefix, request.begun) for request in completer.asked] == [
        (problem.prefix, ""),
        (anchored.prefix, anchored.begun),
    ]
    assert results[0].run.id == results[1].run.id and means(results[1], "pass_at_1") == [1]


# #15
def test_all_arms_answer_some_problems_and_then_the_next(evaluate_arms, question):
    asked = [replace(question, task_id=f"Own/which/{n}") for n in range(BLOCK_PROBLEMS + 1)]
    model = FakeModel(FakeCompleter(texts=("B",)))
    base, influence = evaluate_arms(model, asked, "base,influence")
    assert model.used == ["base", influence.adapter_set.name] * 2
    assert [len(result.attempts) for result in (base, influence)] == [len(asked)] * 2


# #15
def test_only_the_arm_that_lacks_answers_is_asked(evaluate_arms, problems):
    evaluate_arms(FakeModel(FakeCompleter(texts=TEXTS)), problems, "base")
    model = FakeModel(FakeCompleter(texts=TEXTS))
    results = evaluate_arms(model, problems, "base,random")
    assert (model.used, len(model.completer.asked)) == ([results[1].adapter_set.name], 3)
    assert [result.entry.label for result in results] == ["base", "random"]


@pytest.fixture
def gaps(problem):
    """Two of each of two tasks."""
    names = ("0/L1", "0/L2", "1/L1", "1/L2")
    return [replace(problem, task_id=f"Multi/HumanEval/{name}", benchmark="infilling-multi") for name in names]


# #15
def test_gaps_of_one_task_are_drawn_together_in_figures_and_in_differences(evaluate, gaps):
    base = evaluate(FakeCompleter(texts=(BUILTIN,)), gaps, "base")
    evaluate(FakeCompleter(texts=(WRONG,)), gaps[:2])
    influence = evaluate(FakeCompleter(texts=(BUILTIN,)), gaps)  # all wrong in the first task, all right in the second
    assert [vars(influence.figures[name]) for name in ("pass_at_1", "pass_at_1_min")] == [
        {"mean": 0.5, "low": 0, "high": 1, "standard_error": pytest.approx(error, abs=0.01)} for error in (0.5, 0.35)
    ]
    (found,) = [own for own in differences([base, influence]) if own["figure"] == "pass_at_1"]
    assert (found["mean"], found["low"], found["high"]) == (-0.5, -1, 0)
