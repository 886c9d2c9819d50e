"""One who types, in front of a language server and a clock that are not real: what is noted, and when."""

import math

import pytest

from spa_lsp.bench.figures import to_lines
from spa_lsp.bench.typing_figures import to_figures, to_goals
from spa_lsp.bench.typing_trace import Step, Trace
from spa_lsp.bench.typist import PATIENCE_S, Seen, Typist
from spa_lsp.errors import Unavailable

ITEMS = [{"insertText": "pass", "command": {"command": "accept", "arguments": []}}, {"insertText": "return"}]
SPENT = {"n_requests": 4, "n_cancelled": 3, "worked_s": 8.0, "cancelled_s": 2.0}
ANSWERED = {"answers": 0, "from_cache": 0}


class FakeClock:
    def __init__(self):
        self.s = 100.0

    def now(self):
        return self.s

    def sleep(self, seconds):
        self.s += seconds


class FakeServer:
    """Answers to the first question of a key with one item, to the next with all, each after its own time."""

    def __init__(self, clock, *, first_s, all_s=0.0, items=ITEMS, error=""):
        self.clock, self.delays, self.items, self.error = clock, (first_s, all_s), items, error
        self.said, self.kinds = [], []

    def notify(self, method, parameters):
        self.said.append(method)

    def ask(self, method, parameters):
        if method == "textDocument/inlineCompletion":
            self.kinds.append(parameters["context"]["triggerKind"])
        return len(self.kinds)

    def wait(self, call_id, timeout_s):
        is_automatic = self.kinds[-1] == 2
        delay_s = self.delays[0] if is_automatic else self.delays[1]
        self.clock.sleep(min(delay_s, timeout_s))
        if delay_s > timeout_s:
            return None
        if self.error:
            return {"error": {"message": self.error}}
        return {"result": {"items": self.items[:1] if is_automatic else self.items}}


def type_steps(*steps, way="vscode", **server):
    clock, seen = FakeClock(), Seen()
    fake = FakeServer(clock, **server)
    trace = Trace(name="a.py", language="python", before="x\n", after="\n", steps=steps)
    typist = Typist(fake, trace, seen, way=way, clock=clock)
    for step in steps:
        typist.do(step)
    return seen, fake, clock


def key(pause_s, text="x"):
    return Step(kind="type", text=text, pause_s=pause_s)


def test_as_vs_code_asks_the_first_are_shown_and_then_all():
    seen, server, _ = type_steps(key(0.5), first_s=0.125, all_s=0.25)
    assert (seen.first_ms, seen.all_ms, seen.n_items, server.kinds) == ([125.0], [375.0], [2], [2, 1])


def test_the_eager_way_asks_once_and_what_comes_is_all():
    seen, server, _ = type_steps(key(0.5), way="eager", first_s=0.25)
    assert (seen.first_ms, seen.all_ms, server.kinds) == ([250.0], [250.0], [2])


def test_an_answer_behind_the_next_key_is_overtaken_and_given_up():
    seen, server, clock = type_steps(key(0.25), first_s=0.5)
    assert (seen.n_asked, seen.n_overtaken, seen.first_ms) == (1, 1, [])
    assert server.said[-1] == "$/cancelRequest" and clock.now() == 100.25


def test_behind_a_pause_all_are_awaited_but_what_came_late_was_not_shown_before_the_next_key():
    seen, _, clock = type_steps(key(1.0, "\n"), first_s=0.5, all_s=4.0)
    assert (seen.first_ms, seen.all_ms) == ([500.0], [])
    assert (seen.pause_first_ms, seen.pause_all_ms) == ([500.0], [4500.0])
    assert clock.now() == 104.5


def test_who_waits_in_vain_goes_on_and_the_pause_counts_as_without_end():
    seen, _, clock = type_steps(key(1.0), first_s=60.0)
    assert (seen.pause_first_ms, seen.pause_all_ms, seen.n_overtaken) == ([math.inf], [math.inf], 1)
    assert clock.now() == 100 + PATIENCE_S


def test_an_empty_answer_shows_nothing_and_is_not_asked_again():
    seen, server, _ = type_steps(key(1.0), first_s=0.5, items=[])
    assert (seen.first_ms, seen.pause_first_ms, seen.n_overtaken) == ([], [math.inf], 0)
    assert server.kinds == [2]


def test_what_is_accepted_is_taken_out_again_and_is_no_pause():
    seen, server, _ = type_steps(key(0.5), Step(kind="accept", pause_s=2.0), first_s=0.125)
    assert (seen.n_accepted, seen.n_asked, seen.pause_first_ms) == (1, 2, [])
    assert server.said.count("textDocument/didChange") == 3  # the key, the text, and its end


def test_a_refusal_is_one_sentence():
    with pytest.raises(Unavailable, match="refused: no such base"):
        type_steps(key(0.5), first_s=0.0, error="no such base")


# --- the figures ---


def test_percentiles_are_by_nearest_rank_and_nothing_has_none():
    seen = Seen(n_asked=21, first_ms=[float(n) for n in range(20, 0, -1)], n_overtaken=1)
    figures = to_figures(seen, ANSWERED, SPENT)
    assert (figures["first shown, p50 ms"], figures["first shown, p95 ms"]) == (10.0, 19.0)
    assert figures["all shown, p95 ms"] is None and figures["share of answers from the cache"] is None


def test_the_goals_are_of_keys_pauses_and_the_engines_time():
    seen = Seen(n_asked=10, first_ms=[1.0] * 5, pause_first_ms=[700.0, 900.0], pause_all_ms=[4000.0, math.inf])
    goals = to_goals(seen, SPENT)
    assert [goal.value for goal in goals] == [0.5, 0.7, 4.0, 0.25]
    assert [goal.is_reached for goal in goals] == [True, True, False, True]
    assert goals[2].note == "p95 over 15 s, 2 pauses"


def test_pauses_in_which_mostly_nothing_came_miss_the_goal():
    never = to_goals(Seen(n_asked=2, pause_first_ms=[math.inf] * 2, pause_all_ms=[math.inf] * 2), SPENT)[1]
    assert (never.value, never.is_reached) == (PATIENCE_S, False) and "never" in never.note


def test_without_pauses_and_work_there_are_no_figures():
    idle = to_goals(Seen(), {**SPENT, "worked_s": 0.0})
    assert {goal.is_reached for goal in idle} == {None} and "nobody paused" in "".join(to_lines(idle))
