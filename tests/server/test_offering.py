"""Which work is done for which request. The engine is a function here that says what the test lets it say."""

import asyncio
from dataclasses import replace
from threading import get_ident
from time import sleep

import pytest

from spa_lsp.completion import CompletionResult
from spa_lsp.server import work
from spa_lsp.server.documents import Document
from spa_lsp.server.neighbours import Neighbours
from spa_lsp.server.offering import Ask, Offering
from spa_lsp.server.spots import Cursor
from spa_lsp.settings.schema import Settings
from tests.fakes import NAMES, PATIENCE_S, make_alternative
from tests.server.conftest import eventually

BEFORE, AFTER = "def add(a, b):\n    ", "\n"
TEXTS = {"a1": "return a + b", "a2": "return sum([a, b])", "a3": "raise TypeError"}


class Engine:
    """Says `texts` by adapter, each when it is let go; a request is over when all have spoken."""

    def __init__(self, texts=TEXTS, *, is_held=False):
        self.texts = dict(texts)
        self.asked = []
        self.n_cancelled = 0
        self.is_there = True
        self.is_dying = False  # with the next alternative
        self.finish = "stop"
        self.tokens_per_s = 0.0  # as it says
        self.adapter = ""  # that all say they are; empty: each its own
        self.adapter_set = "s"  # as it says
        self.so_far = ""  # of the lead, told at once
        self.gates = {name: asyncio.Event() for name in texts}
        if not is_held:
            self.let_go(*texts)

    def let_go(self, *names):
        for name in names:
            self.gates[name].set()

    async def complete(self, request, on_alternative=None):
        self.asked.append(request)
        if not self.is_there:
            return None
        try:
            return await self._say(request, on_alternative)
        except asyncio.CancelledError:
            self.n_cancelled += 1
            raise

    async def _say(self, request, on_alternative):
        names = list(request.adapters or self.texts)[: request.k]
        found = []
        if self.so_far and on_alternative:
            on_alternative(make_alternative(self.so_far, int(names[0][1:]) - 1, finish="growing"))
        for name in names:
            await asyncio.wait_for(self.gates[name].wait(), PATIENCE_S)
            if self.is_dying:
                return None
            made = make_alternative(self.texts[name], int(name[1:]) - 1, finish=self.finish)
            found.append(replace(made, adapter=self.adapter or made.adapter))
            if on_alternative:
                on_alternative(found[-1])
        return CompletionResult(
            **NAMES, adapter_set=self.adapter_set, alternatives=tuple(found), prompt_tokens_per_s=self.tokens_per_s
        )

    async def names(self, adapter_set):
        return tuple(self.texts) if adapter_set else ()


def neighbours():
    return Neighbours(lambda: [], lambda uri: False)


class Desk:
    """One document and one who types in it."""

    def __init__(self, engine, /, **settings):
        self.engine = engine
        self.settings = Settings(**settings)
        self.offering = Offering(engine.complete, engine.names, lambda uri: self.settings, neighbours())
        self.version = 0
        self.write("")

    def write(self, typed, *, after=AFTER):
        self.version += 1
        self.cursor = len(BEFORE + typed)
        text = BEFORE + typed + after
        self.document = Document(uri="u", language="python", version=self.version, text=text)

    def find(self, uri):
        return self.document if uri == "u" else None

    def wish(self, **how):
        return Ask(cursor=Cursor(document=self.document, start=self.cursor, end=self.cursor), **how)

    def ask(self, **options):
        return self.offering.answer(self.wish(**options))

    def knows(self, **options):
        return self.offering.knows(self.wish(**options))

    async def texts(self, **options):
        answer = await self.ask(**options)
        return [offer.text for offer in answer.offers] if answer else None


HASTE = {"first_items_ms": 1}


async def test_all_alternatives_are_offered_when_the_last_is_there():
    engine = Engine(is_held=True)
    asking = asyncio.ensure_future(Desk(engine).texts())
    engine.let_go("a1", "a2")
    await asyncio.sleep(0.05)
    assert not asking.done()
    engine.let_go("a3")
    assert await asking == list(TEXTS.values())


async def test_who_is_hasty_gets_the_first_good_ones():
    engine = Engine({"a1": " ", **{f"b{n}": text for n, text in enumerate(TEXTS.values())}}, is_held=True)
    desk = Desk(engine, **HASTE)
    asking = asyncio.ensure_future(desk.texts(is_hasty=True))
    engine.let_go("a1")
    await asyncio.sleep(0.05)
    assert not asking.done()  # nothing good yet
    engine.let_go("b0")
    assert await asking == ["return a + b"]
    engine.let_go(*engine.texts)


async def test_who_is_hasty_gets_all_that_come_within_the_budget():
    desk = Desk(Engine(), first_items_ms=30_000)
    assert await desk.texts(is_hasty=True) == list(TEXTS.values())


async def test_asked_again_the_work_goes_on_and_the_first_item_stays():
    engine = Engine({"a1": "raise", "a2": "return a + b", "a3": "return a+b"}, is_held=True)
    desk = Desk(engine, **HASTE)
    engine.let_go("a1")
    assert await desk.texts(is_hasty=True) == ["raise"]
    engine.let_go("a2", "a3")
    assert await desk.texts() == ["raise", "return a + b"]  # two agree on the second, but the first was shown
    assert len(engine.asked) == 1


async def test_asked_again_while_the_work_runs_one_waits_for_it():
    engine = Engine(is_held=True)
    desk = Desk(engine, **HASTE)
    engine.let_go("a1")
    await desk.texts(is_hasty=True)
    assert desk.knows(is_hasty=True) and not desk.knows()
    invoked = asyncio.ensure_future(desk.texts())
    await asyncio.sleep(0.02)
    assert not invoked.done()
    engine.let_go("a2", "a3")
    assert await invoked == list(TEXTS.values()) and len(engine.asked) == 1


# #11
async def test_when_the_work_dies_after_a_part_the_next_request_asks_anew():
    engine = Engine(is_held=True)
    desk = Desk(engine, **HASTE)
    engine.let_go("a1")
    assert await desk.texts(is_hasty=True) == ["return a + b"]
    engine.is_dying = True
    engine.let_go("a2")
    await desk.texts()
    engine.is_dying = False
    engine.let_go("a3")
    assert await desk.texts() == list(TEXTS.values()) and len(engine.asked) == 2


async def test_a_request_right_after_a_cancel_does_not_join_what_ends():
    engine = Engine(is_held=True)
    desk = Desk(engine)
    first = asyncio.ensure_future(desk.texts())
    await eventually(lambda: engine.asked)
    first.cancel()
    second = asyncio.ensure_future(desk.texts())
    await asyncio.sleep(0)
    engine.let_go(*TEXTS)
    assert await second == list(TEXTS.values())


async def test_a_request_that_joined_keeps_the_work_alive():
    engine = Engine(is_held=True)
    desk = Desk(engine)
    first, second = asyncio.ensure_future(desk.texts()), asyncio.ensure_future(desk.texts())
    await eventually(lambda: engine.asked)
    first.cancel()
    engine.let_go(*TEXTS)
    assert await second == list(TEXTS.values())
    assert len(engine.asked) == 1 and engine.n_cancelled == 0


async def test_a_cancelled_request_frees_the_engine():
    engine = Engine(is_held=True)
    asking = asyncio.ensure_future(Desk(engine).texts())
    await eventually(lambda: engine.asked)
    asking.cancel()
    await eventually(lambda: engine.n_cancelled)


async def test_a_request_elsewhere_frees_the_engine_of_what_was_shown_in_part():
    engine = Engine(is_held=True)
    desk = Desk(engine, **HASTE)
    engine.let_go("a1")
    await desk.texts(is_hasty=True)
    desk.write("x = ")
    asking = asyncio.ensure_future(desk.texts())
    await eventually(lambda: engine.n_cancelled == 1)
    engine.let_go(*TEXTS)
    await asking


async def test_what_is_typed_through_needs_no_engine():
    engine = Engine()
    desk = Desk(engine)
    await desk.texts()
    for typed in ("r", "re", "return "):
        desk.write(typed)
        assert await desk.texts()
    assert await desk.texts() == ["a + b", "sum([a, b])"]
    assert len(engine.asked) == 1


async def test_what_is_on_the_screen_goes_on_first():
    desk = Desk(Engine())
    await desk.texts()
    desk.offering.is_on_screen("s", 1)
    desk.write("return ")
    assert await desk.texts() == ["sum([a, b])", "a + b"] and len(desk.engine.asked) == 1


async def test_after_a_change_of_settings_nothing_old_is_shown():
    desk = Desk(Engine())
    await desk.texts()
    desk.offering.clear()
    await desk.texts()
    assert len(desk.engine.asked) == 2


async def test_what_was_shown_in_part_is_completed_while_one_types_through_it():
    engine = Engine(is_held=True)
    desk = Desk(engine, **HASTE)
    engine.let_go("a1")
    await desk.texts(is_hasty=True)
    desk.write("return ")
    assert await desk.texts(is_hasty=True) == ["a + b"]
    engine.let_go(*TEXTS)
    assert await desk.texts() == ["a + b", "sum([a, b])"]
    assert len(engine.asked) == 1


async def test_the_same_place_in_another_version_gets_the_same_first_item():
    desk = Desk(Engine())
    first = await desk.texts()
    desk.write("r")
    desk.write("")
    assert await desk.texts() == first and len(desk.engine.asked) == 1


SAME = {"a1": "return a + b", "a2": "return a+b", "a3": "return  a + b  # sum", "a4": "raise", "a5": "pass"}


async def test_when_too_few_differ_further_adapters_are_asked_once():
    engine = Engine(SAME)
    assert await Desk(engine, alternatives=3).texts() == ["return a + b", "raise", "pass"]
    assert [request.adapters for request in engine.asked] == [(), ("a4", "a5")]


async def test_no_more_than_wanted_are_offered_after_the_second_asking():
    many = {"a1": "return a", "a2": "return b", "a3": "return a", "a4": "raise", "a5": "pass"}
    assert await Desk(Engine(many), alternatives=3).texts() == ["return a", "return b", "raise"]


# #11
async def test_when_the_time_is_over_no_others_are_asked():
    engine = Engine(SAME)
    engine.finish = "deadline"
    assert len(await Desk(engine, alternatives=3).texts()) < 3 and len(engine.asked) == 1


async def test_when_enough_differ_no_others_are_asked():
    engine = Engine()
    assert len(await Desk(engine, alternatives=2).texts()) == 2
    assert len(engine.asked) == 1


async def test_where_more_are_wanted_than_the_set_has_it_is_asked_once():
    desk = Desk(Engine(), alternatives=9)
    assert await desk.texts() == list(TEXTS.values()) and len(desk.engine.asked) == 1


async def test_when_there_are_no_others_the_count_is_honest():
    engine = Engine({"a1": "return a + b", "a2": "return a+b"})
    assert await Desk(engine, alternatives=2).texts() == ["return a + b"]
    assert await Desk(engine).texts() == ["return a + b"]
    assert len(engine.asked) == 2


async def test_an_engine_that_is_not_there_is_asked_again():
    engine = Engine()
    engine.is_there = False
    desk = Desk(engine)
    assert await desk.texts() is None
    engine.is_there = True
    assert await desk.texts() == list(TEXTS.values())


async def test_where_nothing_was_offered_the_engine_is_asked_again():
    desk = Desk(Engine({"a1": " "}))
    assert await desk.texts() == [] and await desk.texts() == []
    assert len(desk.engine.asked) == 2


async def test_a_failure_is_raised_to_who_waits():
    async def fail(request, on_alternative=None):
        raise RuntimeError

    desk = Desk(Engine())
    desk.offering = Offering(fail, desk.engine.names, lambda uri: Settings(), neighbours())
    with pytest.raises(RuntimeError):
        await desk.texts()


async def test_the_order_is_learned_unless_that_is_off():
    desk = Desk(Engine())
    desk.offering.learned.add("python", "a3")
    assert (await desk.texts())[:2] == [TEXTS["a1"], TEXTS["a3"]]  # the lead stays first
    other = Desk(Engine(), learned_order=False)
    other.offering.learned.add("python", "a3")
    assert (await other.texts())[:2] == [TEXTS["a1"], TEXTS["a2"]]


async def accepted(engine=None, **settings):
    """A desk whose user has just accepted the first alternative."""
    desk = Desk(engine or Engine(), **settings)
    await desk.texts()
    desk.write(TEXTS["a1"])
    desk.offering.accepted("s", 0, desk.find)
    return desk


async def test_after_an_accept_what_follows_is_asked_for():
    desk = await accepted()
    await eventually(lambda: len(desk.engine.asked) == 2)
    assert desk.engine.asked[1].prefix + desk.engine.asked[1].begun == BEFORE + TEXTS["a1"]
    await eventually(lambda: desk.offering.answers.latest("s", 0)[0].spot.start == desk.cursor)
    assert await desk.texts() and len(desk.engine.asked) == 2


async def test_a_request_for_what_follows_joins_the_speculation():
    desk = await accepted()
    for gate in desk.engine.gates.values():
        gate.clear()
    await eventually(lambda: len(desk.engine.asked) == 2)
    asking = asyncio.ensure_future(desk.texts())
    await asyncio.sleep(0.02)
    desk.engine.let_go(*TEXTS)
    assert await asking and len(desk.engine.asked) == 2


async def test_a_request_elsewhere_ends_the_speculation():
    desk = await accepted()
    for gate in desk.engine.gates.values():
        gate.clear()
    await eventually(lambda: len(desk.engine.asked) == 2)
    desk.write("x = ")
    asking = asyncio.ensure_future(desk.texts())
    await eventually(lambda: desk.engine.n_cancelled == 1)
    desk.engine.let_go(*TEXTS)
    await asking


async def test_while_the_engine_works_nothing_is_speculated():
    engine = Engine()
    desk = Desk(engine)
    await desk.texts()
    for gate in engine.gates.values():
        gate.clear()
    desk.write(TEXTS["a1"])
    asking = asyncio.ensure_future(desk.texts())
    await eventually(lambda: len(engine.asked) == 2)
    desk.offering.accepted("s", 0, desk.find)
    await asyncio.sleep(0.1)
    engine.let_go(*TEXTS)
    await asking
    assert len(engine.asked) == 2


@pytest.mark.parametrize("changed", [{"text": "something else"}, {"uri": "v"}])
async def test_where_the_document_has_changed_nothing_is_speculated(changed):
    desk = Desk(Engine())
    await desk.texts()
    desk.offering.accepted("s", 0, lambda uri: replace(desk.document, **changed))
    await asyncio.sleep(0.1)
    assert len(desk.engine.asked) == 1


async def test_speculation_can_be_turned_off():
    desk = await accepted(speculative=False)
    await asyncio.sleep(0.1)
    assert len(desk.engine.asked) == 1


async def test_a_closed_document_frees_the_engine():
    engine = Engine(is_held=True)
    desk = Desk(engine)
    asking = asyncio.ensure_future(desk.texts())
    await eventually(lambda: engine.asked)
    desk.offering.forget("u")
    assert await asking is None and engine.n_cancelled == 1


async def test_what_was_shown_in_part_stays_first_though_its_work_was_given_up():
    engine = Engine({"a1": "raise", "a2": "return a + b", "a3": "return a+b"}, is_held=True)
    desk = Desk(engine, **HASTE)
    engine.let_go("a1")
    assert await desk.texts(is_hasty=True) == ["raise"]
    desk.write("x = ")
    elsewhere = asyncio.ensure_future(desk.texts())
    await eventually(lambda: engine.n_cancelled == 1)
    engine.let_go(*engine.texts)
    await elsewhere
    desk.write("")
    assert await desk.texts() == ["raise", "return a + b"] and len(engine.asked) == 3


async def test_what_is_being_computed_is_not_shown_after_a_change_of_settings():
    engine = Engine(is_held=True)
    desk = Desk(engine)
    asking = asyncio.ensure_future(desk.texts())
    await eventually(lambda: engine.asked)
    desk.offering.clear()
    engine.let_go(*TEXTS)
    assert await asking is None and not desk.knows()


async def test_alternatives_are_compared_outside_of_the_event_loop(monkeypatch):
    threads = []
    make_offers = work.make_offers
    monkeypatch.setattr(
        work, "make_offers", lambda *args, **kept: threads.append(get_ident()) or make_offers(*args, **kept)
    )
    await Desk(Engine(), **HASTE).texts(is_hasty=True)
    assert threads and get_ident() not in threads


async def test_an_answer_in_part_that_is_late_does_not_take_the_place_of_the_whole(monkeypatch):
    """It is being ranked while the last alternative comes."""
    make_offers = work.make_offers

    def slowly(alternatives, *args, **options):
        sleep(0.1 if len(alternatives) < 3 else 0)
        return make_offers(alternatives, *args, **options)

    monkeypatch.setattr(work, "make_offers", slowly)
    engine = Engine({"a1": "raise", "a2": "return a + b", "a3": "return a+b"}, is_held=True)
    desk = Desk(engine, **HASTE)
    engine.let_go("a1")
    asking = asyncio.ensure_future(desk.texts(is_hasty=True))
    await asyncio.sleep(0.05)
    engine.let_go(*engine.texts)
    first = await asking
    assert await desk.texts() == ["raise", "return a + b"] and first[0] == "raise" and desk.knows()


# #12
async def test_the_prompt_stays_while_one_types_and_what_is_typed_begins_the_completion():
    desk = Desk(Engine())
    await desk.texts()
    desk.write("other = 1")
    await desk.texts()
    first, second = desk.engine.asked
    assert (second.prefix, second.suffix, second.begun) == (first.prefix, first.suffix, "other = 1")


async def test_the_lead_is_shown_first_whatever_the_others_are_worth():
    engine = Engine({name: TEXTS[name] for name in ("a3", "a1", "a2")})
    assert await Desk(engine).texts() == [TEXTS["a3"], TEXTS["a1"], TEXTS["a2"]] and engine.asked[0].lead_first


async def test_an_unasked_request_waits_for_a_pause_and_an_asked_one_does_not(monkeypatch):
    waited = []
    monkeypatch.setattr("spa_lsp.server.pace.MIN_WAIT_S", 7.0)
    sleep = asyncio.sleep
    monkeypatch.setattr("asyncio.sleep", lambda seconds: (waited.append(seconds), sleep(0))[1])
    await Desk(Engine()).texts()
    await Desk(Engine()).texts(is_asked=True)
    assert waited.count(7.0) == 1


async def test_in_idle_time_the_prompt_is_read_anew_where_the_user_is_and_larger(monkeypatch):
    monkeypatch.setattr("spa_lsp.server.offering.SETTLE_S", 0.0)
    desk = Desk(Engine())
    await desk.texts()
    desk.write("another_long_name = 1")
    await desk.texts()
    await eventually(lambda: len(desk.engine.asked) == 3)
    read = desk.engine.asked[2]
    assert (read.prefix, read.begun, read.max_tokens, read.use_base) == (BEFORE + "another_long_name = 1", "", 1, True)
    assert read.deadline_s is None  # nobody waits for it
    desk.write("another_long_name = 1 + x")
    await desk.texts()
    assert (desk.engine.asked[3].prefix, desk.engine.asked[3].begun) == (read.prefix, " + x")


async def test_nothing_is_read_in_idle_time_where_that_is_off_or_in_vain_or_little_was_typed(monkeypatch):
    monkeypatch.setattr("spa_lsp.server.offering.SETTLE_S", 0.0)
    off, elsewhere = {"speculative": False}, {"engine": "http://127.0.0.1:1"}  # #16
    long = "another_long_name = 1"
    for settings, typed in ((off, long), (elsewhere, long), ({}, "x = 1")):
        desk = Desk(Engine(), **settings)
        await desk.texts()
        desk.write(typed)
        await desk.texts()
        await asyncio.sleep(0.05)
        assert len(desk.engine.asked) == 2


async def test_a_bracket_far_back_is_open_however_little_the_model_sees():
    desk = Desk(Engine({"a1": "1\n})\nrun()"}), stop="multi")
    desk.offering.tokens_per_s = 50.0
    desk.write("call({\n" + "    'a_long_name': 12345678,\n" * 60 + "    'b': ")
    assert await desk.texts() == ["1\n})\nrun()"]
    assert len(desk.engine.asked[0].prefix) < 1000


# #12
async def test_what_the_model_sees_shrinks_when_the_engine_reads_more_slowly():
    desk = Desk(Engine())
    for tokens_per_s, text in ((50.0, "x = 1\n"), (0.0, "y = 2\n")):
        desk.engine.tokens_per_s = tokens_per_s
        desk.write(text * 1000)
        await desk.texts()
    wide, narrow = (len(request.prefix) for request in desk.engine.asked[:2])
    assert (wide > 3000, narrow < 1000) == (True, True)


async def test_who_asks_again_gets_what_the_deadline_had_cut():
    desk = Desk(Engine())
    desk.engine.finish = "deadline"
    await desk.texts()
    desk.engine.finish = "stop"
    assert await desk.texts() and len(desk.engine.asked) == 1
    assert await desk.texts(is_asked=True) and len(desk.engine.asked) == 2


BLOCK = {"is_asked": True, "wants_block": True}


async def desk_with_single_lines(engine):
    desk = Desk(engine)
    desk.write("x = ")
    await desk.texts()
    assert [request.stop for request in engine.asked] == ["single"]
    return desk


# #12
async def test_blocks_take_the_place_of_single_lines_for_all_who_come_later():
    desk = await desk_with_single_lines(Engine())
    desk.engine.texts["a1"] = "(\n        a + b\n    )"
    assert "(\n        a + b\n    )" in await desk.texts(**BLOCK)
    assert await desk.texts() == await desk.texts(**BLOCK) and len(desk.engine.asked) == 2


# #12
async def test_a_block_that_is_typed_through_is_enough_for_who_asks():
    desk = await desk_with_single_lines(Engine())
    await desk.texts(**BLOCK)
    desk.write("x = return ")
    assert await desk.texts(**BLOCK) == ["a + b", "sum([a, b])"] and len(desk.engine.asked) == 2


# #12
async def test_who_asks_does_not_wait_for_single_lines_that_are_being_computed():
    engine = Engine(is_held=True)
    desk = Desk(engine)
    desk.write("x = ")
    unasked = asyncio.ensure_future(desk.texts())
    await eventually(lambda: engine.asked)
    asked = asyncio.ensure_future(desk.texts(**BLOCK))
    await eventually(lambda: len(engine.asked) == 2)
    engine.let_go(*TEXTS)
    assert len(await asked) == 3 and engine.asked[1].stop == "multi" and engine.n_cancelled == 1
    await unasked


# #12
async def test_who_looks_at_all_that_is_offered_sees_the_single_lines():
    desk = await desk_with_single_lines(Engine())
    assert await desk.texts(is_asked=True) and len(desk.engine.asked) == 1


# #12
async def test_single_lines_that_the_settings_want_are_enough_for_who_asks():
    desk = Desk(Engine(), stop="single")
    await desk.texts()
    assert await desk.texts(**BLOCK) and len(desk.engine.asked) == 1


async def test_a_second_asking_has_what_is_left_of_the_time():
    same = {"a1": "return a + b", "a2": "return a + b", "a3": "raise TypeError"}
    desk = Desk(Engine(same), alternatives=2, deadline_s=5.0)
    await desk.texts()
    first, second = desk.engine.asked
    assert first.deadline_s == 5.0 and 0 < second.deadline_s < 5.0


def typing_at(desk, gap_s, *, answer_s):
    """Let the desk know that its user types a key in this time, and the engine says something in that."""
    for n in range(20):
        desk.offering.pace.key(n * gap_s)
    desk.offering.pace.answered(answer_s)
    desk.offering.adapter_set = "s"


async def test_where_the_lead_comes_before_the_next_key_the_others_are_asked_for_when_the_user_has_stopped(monkeypatch):
    waited, sleep = [], asyncio.sleep
    monkeypatch.setattr("asyncio.sleep", lambda seconds: (waited.append(seconds), sleep(0))[1])
    desk = Desk(Engine())
    typing_at(desk, 0.2, answer_s=0.1)
    assert await desk.texts() == list(TEXTS.values())
    lead, others = desk.engine.asked
    assert (lead.k, lead.lead_first, others.adapters, others.lead_first) == (1, True, ("a2", "a3"), False)
    assert (lead.behind, others.behind) == ("", "a1")
    assert any(0.1 < seconds <= 0.2 for seconds in waited)


# issue 15: after "no set" was chosen the first place got one alternative, for good
async def test_where_the_lead_is_of_no_set_though_one_was_believed_all_are_asked_for(monkeypatch):
    sleep = asyncio.sleep
    monkeypatch.setattr("asyncio.sleep", lambda seconds: sleep(0))
    engine = Engine()
    engine.adapter_set = ""
    desk = Desk(engine)
    typing_at(desk, 0.2, answer_s=0.1)
    answer = await desk.ask()
    assert ([offer.text for offer in answer.offers], answer.adapter_set) == (list(TEXTS.values()), "")
    lead, every = engine.asked
    assert (lead.k, every.k, every.adapters, every.behind) == (1, None, (), "")
    assert [len(offer.same) for offer in answer.offers] == [0, 0, 0]


async def test_a_key_before_that_costs_the_engine_nothing():
    desk = Desk(Engine(), **HASTE)
    typing_at(desk, 0.3, answer_s=0.1)
    assert await desk.texts(is_hasty=True) == [TEXTS["a1"]]
    desk.write("x")
    await desk.texts(is_hasty=True)
    assert [request.k for request in desk.engine.asked] == [1, 1] and not desk.engine.n_cancelled


@pytest.fixture
def growing():
    """A desk whose engine has written the first word of the lead."""
    engine = Engine(is_held=True)
    engine.so_far = "return"
    return Desk(engine)


async def type_on(desk, typed):
    """Ask, type while the lead is being written, ask there; the texts then, when all have come."""
    before = asyncio.ensure_future(desk.texts())
    await eventually(lambda: desk.engine.asked)
    before.cancel()
    desk.write(typed)
    asking = asyncio.ensure_future(desk.texts())
    await asyncio.sleep(2 * work.GRACE_S)
    desk.engine.let_go(*TEXTS)
    return await asking


# #12
@pytest.mark.parametrize("typed", ["re", "return", "return a"])
async def test_what_the_lead_says_is_typed_through_while_it_is_written(growing, typed):
    rests = [text.removeprefix(typed) for text in TEXTS.values() if text.startswith(typed)]
    assert await type_on(growing, typed) == rests
    assert len(growing.engine.asked) == 1 and not growing.engine.n_cancelled


# #12
async def test_a_key_that_the_lead_does_not_say_ends_it(growing):
    assert await type_on(growing, "x = ") == list(TEXTS.values())
    assert len(growing.engine.asked) == 2 and growing.engine.n_cancelled == 1


# #12
async def test_where_the_lead_turns_another_way_the_engine_is_asked_anew(growing):
    assert await type_on(growing, "return None") == list(TEXTS.values())
    assert len(growing.engine.asked) == 2


async def test_who_asks_gets_lead_and_others_in_one_request():
    desk = Desk(Engine())
    typing_at(desk, 0.2, answer_s=0.1)
    await desk.texts(is_asked=True)
    assert [request.k for request in desk.engine.asked] == [None]


# #12
async def test_what_the_deadline_had_cut_is_not_kept_by_who_asks_again():
    desk = Desk(Engine({**TEXTS, "a1": "return a +"}))
    desk.engine.finish = "deadline"
    assert "return a +" in await desk.texts()
    desk.engine.finish, desk.engine.texts = "stop", TEXTS
    assert await desk.texts(is_asked=True) == list(TEXTS.values())


# #12
async def test_who_asks_again_for_single_lines_gets_no_blocks_among_them():
    desk = Desk(Engine())
    desk.engine.finish = "deadline"
    desk.write("x = ")
    await desk.texts()
    await desk.texts(is_asked=True)
    assert [request.stop for request in desk.engine.asked] == ["single", "single"]


# #12
async def test_what_is_on_the_screen_is_not_kept_when_the_set_changes_meanwhile(monkeypatch):
    desk = Desk(Engine(is_held=True), **HASTE)
    desk.engine.let_go("a1")
    await desk.texts(is_hasty=True)
    desk.engine.is_dying = True
    desk.engine.let_go("a2", "a3")
    await desk.texts()
    is_gathering, gate = asyncio.Event(), asyncio.Event()

    async def held(*_, **__):
        is_gathering.set()
        await gate.wait()
        return ()

    monkeypatch.setattr(desk.offering.neighbours, "pieces", held)
    asking = asyncio.ensure_future(desk.texts())
    await is_gathering.wait()
    desk.offering.clear()
    desk.engine.texts, desk.engine.is_dying = {"a1": "raise", "a2": "pass"}, False
    gate.set()
    assert await asking == ["raise", "pass"]
