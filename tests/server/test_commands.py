"""What clients ask for beside completions: commands, the panel, the ordinary menu."""

import asyncio
import sys
import threading

import pytest

from spa_lsp.engine.client import EngineLink, stop_engine
from spa_lsp.outcomes import file as outcomes
from tests.fakes import PATIENCE_S, SLOW, SOME_TEXTS, FakeCompleter, beside, engine_status
from tests.server.conftest import eventually
from tests.server.front import CAPABILITIES, URI, Front

CODE = "def add(a, b):\n    \n"
AT = {"textDocument": {"uri": URI}, "position": {"line": 1, "character": 4}, "context": {"triggerKind": 1}}


def run(client, command, *arguments):
    return client.call("workspace/executeCommand", {"command": f"spa-lsp.{command}", "arguments": list(arguments)})


async def test_a_cleared_cache_asks_the_engine_again(front):
    completer = FakeCompleter()
    client = await front(completer)
    client.open(CODE)
    await client.items(1, 4)
    await run(client, "clearCache")
    await client.items(1, 4)
    assert len(completer.asked) == 2


async def test_reloaded_adapters_are_asked_for_what_was_answered_before(front):
    completer = FakeCompleter()
    client = await front(completer)
    client.open(CODE)
    await client.items(1, 4)
    completer.adapter_set, completer.texts = "newer-set", ("pass",)
    completer.use_set = lambda name: None
    await run(client, "reloadAdapters")
    assert await client.texts(1, 4) == ["pass"]
    assert client.statuses[-1]["adapter_set"] == "newer-set"


async def test_a_selected_set_is_used_until_it_is_taken_back(front):
    client = await front()
    client.open(CODE)
    chosen = await run(client, "selectSet", "mine")
    assert chosen["selected"] == "mine" and chosen["base"] == "fake-base"
    await eventually(lambda: client.server.link.is_connected)
    item = (await client.items(1, 4))[0]
    assert item["command"]["arguments"][0]["setId"] == "mine"
    assert (await run(client, "selectSet", None))["selected"] is None


async def test_the_lists_to_pick_from_need_no_argument():
    client = Front()
    await client.initialize(settings={"base": "qwen2.5-coder-0.5b-instruct"})
    sets = await run(client, "selectSet")
    shipped = next(each for each in sets["sets"] if each["source"] == "shipped")
    assert shipped["k"] == len(shipped["labels"]) == 8
    bases = await run(client, "selectBase")
    assert bases["selected"] == "qwen2.5-coder-0.5b-instruct" and bases["selected"] in [b["id"] for b in bases["bases"]]


async def test_a_selected_base_has_another_engine(front, monkeypatch):
    client = await front()
    before = client.server.link
    never = EngineLink(lambda on_notice: asyncio.Event().wait(), lambda problem: None)
    monkeypatch.setattr(client.server, "_open_local", lambda: never)  # it says nothing of its own
    await run(client, "selectBase", "another-base")
    assert client.server.settings.base == "another-base" and client.server.link is never
    await eventually(lambda: not before.is_connected)
    assert not any("ended" in status["message"] for status in client.statuses)  # it is another one that starts


async def test_a_restarted_engine_is_another_one(start):
    client = start()
    client.initialize(settings={"base": "fake-base"})
    client.open(CODE)
    await asyncio.to_thread(client.items_once_loaded, 1, 4)
    before = beside(engine_status)["pid"]
    command = {"command": "spa-lsp.restartEngine", "arguments": []}
    await asyncio.to_thread(client.call, "workspace/executeCommand", command)
    await eventually(lambda: (beside(engine_status) or {"pid": before})["pid"] != before)
    assert client.notifications == []


async def test_metrics_are_those_of_the_command(front):
    client = await front()
    client.open(CODE)
    for _ in range(2):
        await client.items(1, 4)
    total = (await run(client, "metrics"))["total"]
    assert (total["answers"], total["from_cache"], total["with_alternatives"]) == (2, 1, 2)
    assert total["p50_ms"] > 0


async def test_metrics_tell_what_this_window_answered_though_nothing_is_recorded(front):
    client = await front(settings={"recordOutcomes": False})
    client.open(CODE)
    await client.items(1, 4)
    for kind in (1, 2, 2):
        await client.items(1, 4, triggerKind=kind)
    metrics = await run(client, "metrics")
    assert metrics["total"]["answers"] == 0
    assert metrics["window"] == {
        "automatic": {"answers": 3, "from_cache": 2},
        "invoked": {"answers": 1, "from_cache": 1},
    }


async def test_the_panel_gets_every_alternative_with_its_figures_and_diff(front):
    client = await front(FakeCompleter(texts=("a = 1\nb = 2", "a = 1\nb = 3", "a = 1\nb = 2", "")))
    client.open("x = 0\n\n")
    answer = await client.call("spa-lsp/alternatives", {**AT, "position": {"line": 1, "character": 0}})
    assert (answer["base"], answer["adapter_set"]) == ("fake-base", "fake-set")
    first, second, third = answer["alternatives"]
    assert {name: second[name] for name in ("adapter", "label", "index", "mean_logprob", "n_tokens", "finish")} == {
        "adapter": "a2",
        "label": "label of a2",
        "index": 1,
        "mean_logprob": -0.5,
        "n_tokens": 4,
        "finish": "stop",
    }
    assert [(each["kind"], each["line"]) for each in second["diff"]] == [("=", "a = 1"), ("-", "b = 2"), ("+", "b = 3")]
    assert (first["text"], first["same_as"], third["same_as"]) == ("a = 1\nb = 2", None, 1)


# issue 13: what one item replaces another one may leave
async def test_the_panel_says_what_each_alternative_takes_the_place_of(front):
    client = await front(FakeCompleter(texts=("10):", "10", "10) :")))
    client.open("for i in range()")
    answer = await client.call("spa-lsp/alternatives", {**AT, "position": {"line": 0, "character": 15}})
    found = {each["text"]: each["range"]["end"]["character"] for each in answer["alternatives"]}
    assert found == {"10):": 16, "10": 15, "10) :": 16}


async def test_the_panel_shows_what_is_offered_first_and_asks_no_engine_for_it_again(front):
    completer = FakeCompleter(texts=("pass", "raise TypeError", "return a + b", "return a + b  # both"))  # two agree
    client = await front(completer)
    client.open(CODE)
    offered = await client.texts(1, 4)
    panel = (await client.call("spa-lsp/alternatives", AT))["alternatives"]
    assert offered == [each["text"] for each in panel][: len(offered)] == ["pass", "return a + b", "raise TypeError"]
    assert (panel[3]["adapter"], panel[3]["same_as"]) == ("a4", 2)
    assert len(completer.asked) == 1


async def test_the_panel_sees_what_inline_completion_sees(front):
    completer = FakeCompleter()
    client = await front(completer)
    client.open("def helper(a):\n    b = a\n    return b\n", uri="file:///helper.py")
    client.open(CODE)
    await client.items(1, 3)
    await eventually(lambda: not client.server.offering.neighbours._gathering)
    await client.call("spa-lsp/alternatives", AT)
    assert [piece.path for piece in completer.asked[1].context] == ["helper.py"]


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("c = a", [("\n    return c", None, "a1"), ("\n    return c  # c", 1, "a3")]),
        ("d =", [(" a\n    return d", None, "a2")]),
    ],
)
async def test_the_panel_follows_what_was_typed_of_an_alternative(front, typed, expected):
    completer = FakeCompleter(texts=("c = a\n    return c", "d = a\n    return d", "c = a\n    return c  # c", "pass"))
    client = await front(completer)
    client.open(CODE)
    assert len(await client.items(1, 4)) == 2  # three are one program
    place = {"line": 1, "character": 4}
    client.change({"range": {"start": place, "end": place}, "text": typed}, version=2)
    after = {"line": 1, "character": 4 + len(typed)}
    panel = await client.call("spa-lsp/alternatives", {**AT, "position": after})
    found = [(each["text"], each["same_as"], each["adapter"]) for each in panel["alternatives"]]
    assert found == expected and len(completer.asked) == 1


async def why_empty(client, uri=URI):
    panel = await client.call("spa-lsp/alternatives", {**AT, "textDocument": {"uri": uri}})
    assert panel["alternatives"] == []
    return panel["reason"], panel["message"]


async def test_the_panel_says_why_it_is_empty_where_nothing_is_offered():
    client = Front()
    await client.initialize(settings={"disabledLanguages": ["text"]})
    client.open(CODE, uri="file:///a.txt", language="text")
    client.open(CODE, uri="file:///.env")
    assert await why_empty(client, "file:///closed.py") == ("unusable", "")
    assert await why_empty(client, "file:///a.txt") == ("off", "")
    assert await why_empty(client, "file:///.env") == ("ignored", "this file is left alone (built-in: *.env)")
    await run(client, "toggle")
    assert await why_empty(client, "file:///.env") == ("off", "")


async def test_the_panel_says_that_the_engine_starts_or_loads(front):
    starting = Front((sys.executable, "-c", "import time; time.sleep(10)"))
    await starting.initialize()
    starting.open(CODE)
    assert await why_empty(starting) == ("starting", "the engine is starting")
    gate = threading.Event()

    def load(on_progress):
        gate.wait(PATIENCE_S)
        on_progress("weights", 0.5)
        gate.clear()
        gate.wait(PATIENCE_S)
        return FakeCompleter()

    client = await front(load=load)
    client.open(CODE)
    gate.set()
    await eventually(lambda: client.statuses and client.statuses[-1]["state"] == "loading")
    assert await why_empty(client) == ("loading", "weights, 50%")
    gate.set()
    await eventually(lambda: client.statuses[-1]["state"] == "ready")
    panel = await client.call("spa-lsp/alternatives", AT)
    assert (len(panel["alternatives"]), panel["reason"], panel["message"]) == (3, "", "")


async def test_the_panel_says_that_the_engine_ended_in_the_middle_of_a_request(front, engine_path):
    completer = FakeCompleter(**SLOW)
    client = await front(completer)
    client.open(CODE)
    asking = asyncio.ensure_future(why_empty(client))
    await asyncio.to_thread(completer.is_busy.wait, PATIENCE_S)
    await asyncio.to_thread(stop_engine, engine_path)
    assert await asking == ("starting", "the engine is starting")  # again, for the one who waits


async def test_the_panel_says_that_no_adapter_has_anything_to_say_or_that_there_was_an_error(front):
    completer = FakeCompleter(texts=(" ",))
    client = await front(completer)
    client.open(CODE)
    assert await why_empty(client) == ("nothing", "")
    completer.error = MemoryError()
    reason, message = await why_empty(client)
    assert reason == "error" and "not enough memory" in message


async def test_a_panel_that_fails_is_empty_and_no_error(front):
    client = await front()
    client.open(CODE)
    client.server.offering.answer = None
    assert await why_empty(client) == ("nothing", "")


@pytest.mark.parametrize("params", [None, [], {}, {"position": 3}])
async def test_a_panel_request_that_is_none_is_refused(params):
    client = Front()
    await client.initialize()
    assert (await client.ask("spa-lsp/alternatives", params))["error"]["code"] == -32602


async def test_the_ordinary_menu_is_offered_only_on_demand():
    assert "completionProvider" not in (await Front().initialize())["capabilities"]
    result = await Front().initialize(settings={"completionFallback": True})
    assert "completionProvider" in result["capabilities"]


async def test_the_ordinary_menu_has_the_alternatives_in_their_order(front):
    client = await front(settings={"completionFallback": True}, capabilities={**CAPABILITIES})
    client.open("def add(a, b):\n    ret\n")
    params = {"textDocument": {"uri": URI}, "position": {"line": 1, "character": 7}}
    entries = (await client.call("textDocument/completion", params))["items"]
    assert [entry["textEdit"]["newText"] for entry in entries] == [f"ret{text}" for text in SOME_TEXTS]
    assert entries[0]["textEdit"]["range"]["start"] == {"line": 1, "character": 4}
    assert entries[0]["filterText"].startswith("ret") and entries[1]["command"]["arguments"][0]["adapter"] == "a2"
    assert outcomes.read_outcomes() == []


# issue 13
@pytest.mark.parametrize(
    ("at", "text", "new", "start", "end"),
    [
        ("for i in range(‸)", "10):", "10):", 15, 16),
        ("foo(ba‸)", "r) + 1", "bar) + 1", 4, 7),
        ("é = f(🙂‸)", "x) + 1", "x) + 1", 8, 9),  # in UTF-16
        ("x = cal‸ulate(y)", "c", "calc", 4, 12),
    ],
)
async def test_an_entry_of_the_ordinary_menu_replaces_what_the_item_does(front, at, text, new, start, end):
    client = await front(FakeCompleter(texts=(text,)), settings={"completionFallback": True})
    before, _, after = at.partition("‸")
    client.open(before + after)
    position = {"line": 0, "character": len(before.encode("utf-16-le")) // 2}
    params = {"textDocument": {"uri": URI}, "position": position}
    (entry,) = (await client.call("textDocument/completion", params))["items"]
    found = entry["textEdit"]["range"]
    assert entry["textEdit"]["newText"] == new
    assert (found["start"]["character"], found["end"]["character"]) == (start, end)
