"""A trace of typing, and its replay against the real front with a fake completer behind a real engine."""

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner

from spa_lsp.bench.typing_replay import TypingPlan, measure_typing
from spa_lsp.bench.typing_trace import Step, Trace, make_trace
from spa_lsp.cli import main
from spa_lsp.engine.client import running_engines
from spa_lsp.errors import BadInput, Unavailable
from spa_lsp.outcomes.file import read_answers, read_outcomes
from spa_lsp.text.marked_text import bundled_texts
from tests.command_engine import BASE, serving
from tests.conftest import TINY_ID
from tests.fakes import PATIENCE_S, SLOW, FakeCompleter

TEXT = "import os\n\n\ndef add(a, b):\n    c = a\n    return c + b\n"
PLAN = TypingPlan(base_id=TINY_ID)


def trace(*steps, before="def plus(a, b):\n    "):
    return Trace(name="plus.py", language="python", before=before, after="\n", steps=steps)


def key(text, pause_s=PATIENCE_S):
    return Step(kind="type", text=text, pause_s=pause_s)


class StandingClock:
    """Time passes only in sleeps, and those are over at once: an answer is in time however slow the machine is."""

    def __init__(self):
        self.s = 0.0

    def now(self):
        return self.s

    def sleep(self, seconds):
        self.s += seconds


def replay(completer, *steps, way="vscode"):
    with serving(completer):
        return measure_typing(replace(PLAN, way=way), [trace(*steps)], clock=StandingClock()).figures


# --- the trace ---


@pytest.mark.parametrize("text", bundled_texts(), ids=lambda text: text.name)
def test_a_trace_ends_with_the_file_it_was_made_from(text):
    whole = text.prefix + text.suffix
    made = make_trace(text.name, whole, language="python", seed=1)
    typed = made.before
    for step in made.steps:
        typed = typed[:-1] if step.kind == "erase" else typed + step.text
    assert typed + made.after == whole
    assert all(step.pause_s > 0 for step in made.steps)


def test_the_default_traces_have_slips_and_accepts():
    texts = [(text.name, text.prefix + text.suffix) for text in bundled_texts()]
    traces = [make_trace(name, text, language="python", seed=0) for name, text in texts]
    kinds = [step.kind for made in traces for step in made.steps]
    assert kinds.count("erase") >= 5 and kinds.count("accept") >= 5


def test_the_same_seed_makes_the_same_trace_and_another_one_another():
    traces = [make_trace("a.py", TEXT, language="python", seed=seed) for seed in (1, 1, 2)]
    assert traces[0] == traces[1] != traces[2]


def test_a_new_line_brings_its_indentation_and_only_so_many_keys_are_typed():
    made = make_trace("a.py", TEXT, language="python", seed=3, n_keys=16)
    keys = [step.text for step in made.steps if step.kind == "type"]
    assert keys[-2:] == ["\n    ", "c"] and made.before == "import os\n\n\n"


def test_a_file_without_a_function_is_no_trace():
    with pytest.raises(BadInput, match="no function"):
        make_trace("a.py", "x = 1\n", language="python", seed=0)


# --- the replay ---


def test_what_an_alternative_says_is_typed_without_the_engine(homes):
    completer = FakeCompleter(texts=("return add(a, b)", "raise TypeError"))
    figures = replay(completer, key("x"), key("r"), key("e"), key("x"))
    assert len(completer.asked) == figures["requests to the engine"] == 2  # for "x", and for "xrex"
    assert (figures["asked"], figures["shown before the next key"]) == (4, 4)


def test_the_share_from_the_cache_is_of_what_the_editor_asked_by_itself(homes):
    completer = FakeCompleter(texts=("return a", "raise b"))
    figures = replay(completer, key("x"), key("r"), key("e"), key("t"))
    assert (figures["share of answers from the cache"], figures["all shown before the next key"]) == (0.75, 4)
    assert figures["alternatives of them, mean"] == 1.5  # 2, 2, 1, 1


def test_the_eager_way_gets_all_at_once(homes):
    figures = replay(FakeCompleter(texts=("return a", "raise b")), key("x"), way="eager")
    assert (figures["alternatives of them, mean"], figures["requests to the engine"]) == (2.0, 1)


def test_an_answer_that_comes_too_late_is_overtaken(homes):
    completer = FakeCompleter(**SLOW, slow_in="slow")
    figures = replay(completer, key("slow", 0.2), key("!", 0.2), key("?", 0.2))
    assert figures["overtaken by the next key"] == 3 and figures["first shown, p50 ms"] is None


def test_the_time_of_work_is_that_of_all_requests(homes):
    figures = replay(FakeCompleter(n_steps=5, step_s=0.01), key("x"))
    assert figures["engine time, s"] >= 0.05 and figures["engine time on cancelled ones, s"] == 0


def test_an_accepted_alternative_is_inserted_looked_at_and_undone_and_nothing_is_recorded(homes):
    completer = FakeCompleter(texts=("pass",))
    figures = replay(completer, key("x"), Step(kind="accept", pause_s=PATIENCE_S), key("y"))
    assert figures["accepted"] == 1 and figures["asked"] == 3
    assert [(each.prefix + each.begun).rpartition("    ")[2] for each in completer.asked] == ["x", "xpass", "xy"]
    assert read_outcomes() == [] and read_answers() == []


def test_a_front_that_ends_is_one_sentence(homes):
    with serving(), pytest.raises(Unavailable, match="ended early"):
        measure_typing(PLAN, [trace(key("x"))], command=("false",))


# --- the command ---


def bench(*arguments, status=0):
    result = CliRunner().invoke(main, ["bench", "typing", *map(str, arguments)])
    assert result.exit_code == status, result.output
    return result


SHORT = (*BASE, "--file", "cart.py", "--keys", 8, "--pace", 0.5, "--way", "both")


def test_the_command_prints_what_was_measured_and_under_which_circumstances(homes, monkeypatch):
    monkeypatch.setattr("os.getloadavg", lambda: (1.256, 0.0, 0.0))
    with serving():
        report = json.loads(bench(*SHORT, "--json").stdout)
        assert len(running_engines()) == 1  # it was there before
    assert set(report["ways"]) == {"vscode", "eager"}
    setting, figures = report["ways"]["eager"]["setting"], report["ways"]["eager"]["figures"]
    assert (setting["base"], setting["files"], setting["pace"]) == ("fake-base", ["cart.py"], 0.5)
    assert len(report["ways"]["eager"]["times_ms"]["first"]) == figures["shown before the next key"]
    assert len(report["ways"]["eager"]["goals"]) == 4
    assert report["machine"]["load_1min"] == 1.26


def test_for_a_person_the_command_prints_a_line_per_figure(homes):
    with serving():
        lines = bench(*SHORT, "--keys", 2, "--way", "vscode").stdout.splitlines()
    assert lines[-1].startswith("share of the engine's time in vain") and any("p95" in line for line in lines)


def test_a_base_that_is_not_there_is_said_at_once(homes):
    assert "none-such" in bench("--base", "none-such", status=1).output
