import asyncio
import threading

import pytest
from lsprotocol import types

from spa_lsp.engine.client import stop_engine
from spa_lsp.errors import NotFound
from spa_lsp.outcomes.file import read_outcomes
from spa_lsp.server.clients import asks_again
from tests.fakes import PATIENCE_S, SLOW, SOME_TEXTS, FakeCompleter, beside, engine_in_thread, engine_status
from tests.server.conftest import eventually
from tests.server.front import CAPABILITIES, URI, Front

CODE = "def add(a, b):\n    \n"
MISSING = "the base fake-base is not on this machine; run: spa-lsp models pull fake-base"


async def test_inline_completion_is_advertised_with_options():
    result = await Front().initialize()
    assert result["capabilities"]["inlineCompletionProvider"] == {}
    assert result["capabilities"]["textDocumentSync"]["change"] == 2
    assert result["capabilities"]["executeCommandProvider"]["commands"][0] == "spa-lsp.accept"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
async def test_the_position_encoding_of_the_client_is_taken(encoding):
    result = await Front().initialize(capabilities={"general": {"positionEncodings": [encoding]}})
    assert result["capabilities"]["positionEncoding"] == encoding


async def test_all_distinct_alternatives_are_offered(front):
    client = await front(FakeCompleter(texts=(*SOME_TEXTS, "return a + b  # the sum", "  \n", "")))
    client.open(CODE)
    assert await client.texts(1, 4) == list(SOME_TEXTS)


VSCODE = {"client": "Visual Studio Code", "settings": {"firstItemsMs": 1}}


async def test_vscode_gets_the_first_alternatives_and_all_when_it_asks_again(front):
    completer = FakeCompleter(pause_s=0.5)
    client = await front(completer, **VSCODE)
    client.open(CODE)
    first = await client.texts(1, 4)
    assert 1 <= len(first) < 3 and first[0] == SOME_TEXTS[0]
    assert await client.texts(1, 4, triggerKind=1) == list(SOME_TEXTS)
    assert len(completer.asked) == 1


ONE_LINE = "total = \n"  # at its end a single line is offered unasked


# #12
async def test_who_asks_where_single_lines_were_offered_gets_blocks(front):
    completer = FakeCompleter()
    client = await front(completer)
    client.open(ONE_LINE)
    await client.items(0, 8)
    assert await client.items(0, 8, triggerKind=1)
    assert [request.stop for request in completer.asked] == ["single", "multi"]


# #12
async def test_vscode_gets_the_other_single_lines_while_they_are_on_the_screen_and_blocks_afterwards(front):
    completer = FakeCompleter()
    client = await front(completer, **VSCODE)
    client.open(ONE_LINE)
    (item, *_) = await client.items(0, 8)
    await client.items(0, 8, triggerKind=1)
    assert [request.stop for request in completer.asked] == ["single"]
    client.notify("spa-lsp/didDismiss", item["command"]["arguments"][0])
    await client.items(0, 8, triggerKind=1)
    assert [request.stop for request in completer.asked] == ["single", "multi"]


async def test_other_editors_get_all_alternatives_at_once(front):
    client = await front(FakeCompleter(pause_s=0.1), client="Neovim", settings={"firstItemsMs": 1})
    client.open(CODE)
    assert await client.texts(1, 4) == list(SOME_TEXTS)


SHOWS_FIRST = {**CAPABILITIES, "experimental": {"spaLspFirstItems": True}}


def first_items(client):
    return [params for method, params in client.notifications if method == "spa-lsp/firstItems"]


async def test_who_shows_first_items_is_told_the_lead_and_answered_with_all(front):
    completer = FakeCompleter(pause_s=0.5)
    client = await front(completer, capabilities=SHOWS_FIRST, settings={"firstItemsMs": 1})
    client.open(CODE, version=7)
    items = await client.items(1, 4)
    (told,) = first_items(client)
    assert told["textDocument"] == {"uri": URI, "version": 7} and told["position"] == {"line": 1, "character": 4}
    assert told["items"][0] == items[0] and len(told["items"]) < len(items) == 3
    assert len(completer.asked) == 1


# #13
async def test_the_first_items_name_this_windows_set_though_the_engine_held_anothers(front):
    settings = {"firstItemsMs": 1, "adapterSet": "mine"}
    client = await front(FakeCompleter(pause_s=0.5), capabilities=SHOWS_FIRST, settings=settings)
    await eventually(lambda: client.server.offering.adapter_set == "fake-set")
    client.open(CODE)
    await client.items(1, 4)
    (told,) = first_items(client)
    assert told["items"][0]["command"]["arguments"][0]["setId"] == "mine"


async def test_what_comes_at_once_is_not_told_before_the_answer(front):
    client = await front(FakeCompleter(), capabilities=SHOWS_FIRST, settings={"firstItemsMs": 60_000})
    client.open(CODE)
    assert len(await client.items(1, 4)) == 3 and first_items(client) == []


async def test_who_types_through_the_first_items_is_told_what_is_left_of_them(front):
    client = await front(FakeCompleter(pause_s=0.5), capabilities=SHOWS_FIRST, settings={"firstItemsMs": 1})
    client.open(CODE)
    asked = client.ask_items(1, 4)
    await eventually(lambda: first_items(client))
    end = {"line": 1, "character": 4}
    client.change({"range": {"start": end, "end": end}, "text": "return "}, version=2)
    assert (await client.items(1, 11))[0]["insertText"] == "a + b"
    assert first_items(client)[-1]["items"][0]["insertText"] == "a + b"
    assert (await asked)["error"]["code"] == -32800


async def test_alternatives_are_served_from_the_cache_while_they_are_typed(front):
    completer = FakeCompleter()
    client = await front(completer)
    client.open(CODE)
    await client.items(1, 4)
    end = {"line": 1, "character": 4}
    client.change({"range": {"start": end, "end": end}, "text": "return s"}, version=2)
    (item,) = await client.items(1, 12)
    assert item["insertText"] == "um([a, b])" and item["command"]["arguments"][0]["adapter"] == "a2"
    assert len(completer.asked) == 1


async def test_brackets_that_the_editor_closed_are_replaced(front):
    client = await front(FakeCompleter(texts=("array) {",)))
    client.open("function sort()\n", language="javascript")
    (item,) = await client.items(0, 14)
    assert item["range"] == {"start": {"line": 0, "character": 14}, "end": {"line": 0, "character": 15}}


# #15
async def test_the_engine_is_told_the_language_of_a_text_without_a_name(front):
    completer = FakeCompleter()
    client = await front(completer)
    client.open("const n = \n", uri="untitled:Untitled-1", language="typescript")
    await client.items(0, 10, uri="untitled:Untitled-1")
    assert (completer.asked[0].language, completer.asked[0].path) == ("typescript", "")


# issue 13
async def test_in_the_middle_of_a_word_nothing_is_offered_unasked(front):
    completer = FakeCompleter(texts=("calculate_total(items)",))
    client = await front(completer)
    client.open("def calculate(x):\n")
    assert await client.items(0, 8) == [] and completer.asked == []


async def test_in_the_middle_of_a_word_the_rest_of_it_is_replaced_when_asked_for(front):
    client = await front(FakeCompleter(texts=("calculate_total(items)",)))
    client.open("def calculate(x):\n")
    (item,) = await client.items(0, 8, triggerKind=1)
    assert item["insertText"] == "ulate_total"
    assert item["range"] == {"start": {"line": 0, "character": 8}, "end": {"line": 0, "character": 13}}


async def test_after_an_accept_what_follows_is_there_already(front):
    completer = FakeCompleter()
    client = await front(completer)
    client.open("def add(a, b):\n    ")
    command = (await client.items(1, 4))[0]["command"]
    end = {"line": 1, "character": 4}
    client.change({"range": {"start": end, "end": end}, "text": SOME_TEXTS[0]}, version=2)
    await client.call("workspace/executeCommand", {"command": command["command"], "arguments": command["arguments"]})
    await eventually(lambda: len(completer.asked) == 2)
    assert await client.items(1, 4 + len(SOME_TEXTS[0])) and len(completer.asked) == 2


async def test_another_open_file_is_context_unless_it_is_off_or_the_file_is_private(front):
    completer = FakeCompleter()
    client = await front(completer)
    client.open("def helper(a):\n    b = a\n    return b\n", uri="file:///lib/helper.py")
    client.open("KEY = 1\nOTHER_KEY = 2\nTHIRD_KEY = 3\n", uri="file:///lib/secrets.json")
    client.open(CODE)
    await client.items(1, 4)
    await eventually(lambda: not client.server.offering.neighbours._gathering)
    await client.items(1, 3)
    request = completer.asked[1]
    assert [piece.path for piece in request.context] == ["helper.py"] and request.path == "a.py"
    client.server.configuration.choose("context_chars", 0)
    await client.items(1, 2)
    assert completer.asked[2].context == ()


@pytest.mark.parametrize("name", ["Visual Studio Code - Insiders", "VSCodium", "code-server", "Cursor"])
def test_vscode_and_its_kin_are_known_by_name(name):
    assert asks_again(types.ClientInfo(name=name))


@pytest.mark.parametrize("client", [None, types.ClientInfo(name="Neovim"), types.ClientInfo(name="emacs")])
def test_others_are_not_taken_for_vscode(client):
    assert not asks_again(client)


async def test_the_base_without_adapters_is_not_asked(front):
    completer = FakeCompleter()
    client = await front(completer)
    client.open(CODE)
    await client.items(1, 4)
    assert not completer.asked[0].use_base and completer.asked[0].adapters == ()


async def test_each_item_has_an_empty_range_and_a_command_that_names_its_adapter(front):
    client = await front()
    client.open(CODE)
    item = (await client.items(1, 4))[1]
    cursor = {"line": 1, "character": 4}
    arguments = {"setId": "fake-set", "index": 1, "adapter": "a2", "language": "python", "uri": URI}
    assert item["range"] == {"start": cursor, "end": cursor}
    assert item["command"] == {"title": "label of a2", "command": "spa-lsp.accept", "arguments": [arguments]}


async def test_nothing_is_offered_while_the_engine_loads(front):
    gate = threading.Event()
    client = await front(load=lambda on_progress: gate.wait(PATIENCE_S) and FakeCompleter())
    client.open(CODE)
    assert await client.items(1, 4) == []
    gate.set()
    await eventually(lambda: beside(engine_status)["state"] == "ready")
    assert await client.texts(1, 4) == list(SOME_TEXTS)
    assert client.notifications == []


async def test_nothing_is_offered_before_there_is_an_engine():
    client = Front()
    await client.initialize()
    client.open(CODE)
    assert await client.items(1, 4) == []


@pytest.mark.parametrize(("encoding", "character"), [("utf-8", 12), ("utf-16", 9), ("utf-32", 8)])
async def test_positions_count_units_of_the_encoding(front, encoding, character):
    client = await front(FakeCompleter(echoes=True), capabilities={"general": {"positionEncodings": [encoding]}})
    client.open('s = "é😋"; x\n')
    (item,) = await client.items(0, character)
    assert item["insertText"] == 's = "é😋"|'
    assert item["range"]["start"] == {"line": 0, "character": character}


async def test_a_character_past_the_end_of_the_line_is_its_end(front):
    client = await front(FakeCompleter(echoes=True))
    client.open("x = 1\ny = 2\n")
    (item,) = await client.items(0, 99)
    assert item["insertText"] == "x = 1|" and item["range"]["start"] == {"line": 0, "character": 5}


async def test_changes_are_applied_before_the_next_request(front):
    client = await front(FakeCompleter(echoes=True))
    client.open("x\r\n")
    cursor = {"line": 0, "character": 1}
    client.change({"range": {"start": cursor, "end": cursor}, "text": " = 1\r\ny"}, version=2)
    assert await client.texts(1, 1) == ["y|"]


async def test_half_an_emoji_does_no_harm(front):
    completer = FakeCompleter()
    client = await front(completer)
    client.open('s = "\ud83d"\n')
    assert await client.items(1, 0)
    assert completer.asked[0].prefix == 's = "�"\n'


async def test_the_same_question_gets_the_same_items_without_the_engine(front):
    completer = FakeCompleter()
    client = await front(completer)
    client.open(CODE)
    first = await client.items(1, 4)
    assert await client.items(1, 4, triggerKind=1) == first
    assert len(completer.asked) == 1


async def test_a_document_that_is_opened_again_is_a_new_one(front):
    completer = FakeCompleter(echoes=True)
    client = await front(completer)
    client.open("old\n")
    await client.items(0, 3)
    client.close_document()
    client.open("new\n")
    assert await client.texts(0, 3) == ["new|"]


@pytest.mark.parametrize("kind", [0, 1, 2, 7])
async def test_any_trigger_kind_is_taken(front, kind):
    client = await front()
    client.open(CODE)
    assert await client.items(1, 4, triggerKind=kind)


async def test_fields_of_a_newer_protocol_are_ignored(front):
    client = await front()
    client.open(CODE)
    assert await client.items(1, 4, novel={"a": [1]})


async def test_what_is_chosen_in_the_editors_menu_is_continued(front):
    client = await front(FakeCompleter(echoes=True))
    client.open("import o\n")
    span = {"start": {"line": 0, "character": 7}, "end": {"line": 0, "character": 8}}
    (item,) = await client.items(0, 8, selectedCompletionInfo={"range": span, "text": "os"})
    assert item["insertText"] == "osimport os|" and item["range"] == span


async def test_a_newer_request_cancels_the_older_one(front):
    completer = FakeCompleter(**SLOW)
    client = await front(completer)
    client.open(CODE)
    first = asyncio.ensure_future(client.ask_items(1, 4))
    await asyncio.to_thread(completer.is_busy.wait, PATIENCE_S)
    completer.n_steps = 1
    assert await client.items(1, 3)
    assert (await first)["error"]["code"] == -32800


async def test_requests_in_different_documents_leave_each_other_alone(front):
    client = await front(FakeCompleter(n_steps=5, step_s=0.01))
    client.open(CODE)
    client.open(CODE, uri="file:///b.py")
    answers = await asyncio.gather(client.items(1, 4), client.items(1, 4, uri="file:///b.py"))
    assert all(answers)


async def test_a_cancelled_request_is_answered_and_the_engine_freed(front):
    completer = FakeCompleter(**SLOW)
    client = await front(completer)
    client.open(CODE)
    answer = asyncio.ensure_future(client.ask_items(1, 4))
    await asyncio.to_thread(completer.is_busy.wait, PATIENCE_S)
    completer.n_steps = 1
    client.notify("$/cancelRequest", {"id": 2})
    assert (await answer)["error"]["code"] == -32800
    assert await client.items(1, 3)


async def test_other_requests_are_answered_while_the_engine_works(front):
    completer = FakeCompleter(**SLOW)
    client = await front(completer)
    client.open(CODE)
    answer = asyncio.ensure_future(client.ask_items(1, 4))
    await asyncio.to_thread(completer.is_busy.wait, PATIENCE_S)
    assert (await client.ask("textDocument/hover", {}))["error"]["code"] == -32601
    assert not answer.done()
    client.notify("$/cancelRequest", {"id": 2})
    await answer


async def test_alternatives_for_a_version_that_is_gone_are_not_shown(front):
    gate, completer = threading.Event(), FakeCompleter()
    client = await front(completer)
    completer.before = lambda: gate.wait(PATIENCE_S)
    client.open(CODE)
    answer = asyncio.ensure_future(client.items(1, 4))
    await asyncio.to_thread(completer.is_busy.wait, PATIENCE_S)
    client.change({"text": "something else\n"}, version=2)
    gate.set()
    assert await answer == []


async def test_of_a_thousand_requests_each_is_answered_once(front):
    client = await front()
    client.open(CODE)
    answers = await asyncio.gather(*(client.ask_items(1, n % 5) for n in range(1000)))
    n_cancelled = sum(1 for answer in answers if answer.get("error", {}).get("code") == -32800)
    assert n_cancelled + sum(1 for answer in answers if answer.get("result")) == 1000
    assert answers[-1]["result"]["items"]


async def test_an_accepted_alternative_is_recorded(front):
    client = await front()
    client.open(CODE)
    command = (await client.items(1, 4))[1]["command"]
    await client.call("workspace/executeCommand", {"command": command["command"], "arguments": command["arguments"]})
    (outcome,) = read_outcomes()
    expected = {"kind": "accepted", "set_id": "fake-set", "index": 1, "adapter": "a2", "language": "python"}
    assert {name: outcome[name] for name in expected} == expected


async def test_nothing_is_recorded_when_the_user_does_not_want_it():
    client = Front()
    await client.initialize(settings={"recordOutcomes": False})
    arguments = [{"setId": "s", "index": 0, "adapter": "a1", "language": "python"}]
    await client.call("workspace/executeCommand", {"command": "spa-lsp.accept", "arguments": arguments})
    assert list(read_outcomes()) == []


@pytest.mark.parametrize(
    "arguments",
    [None, [], [3], [{"setId": "s"}], [{"setId": "x = 1\n", "index": 0, "adapter": "a1", "language": "python"}]],
)
async def test_an_accept_with_other_arguments_harms_nothing(arguments):
    client = Front()
    await client.initialize()
    await client.call("workspace/executeCommand", {"command": "spa-lsp.accept", "arguments": arguments})
    assert list(read_outcomes()) == [] and client.notifications == []


async def test_documents_that_are_not_open_or_too_long_get_nothing(front):
    client = await front()
    client.open("x = 1\n" * 400_000)
    assert await client.items(0, 0) == []
    assert await client.items(0, 0, uri="file:///etc/passwd") == []


async def test_a_disabled_language_gets_nothing(front):
    client = await front(settings={"disabledLanguages": ["markdown"]})
    client.open("# Title\n", language="markdown")
    assert await client.items(0, 0) == []


# issue 13
async def test_a_language_is_disabled_under_each_of_its_names(front):
    client = await front(settings={"disabledLanguages": ["shellscript"]})
    client.open("# Title\n", language="sh")
    assert await client.items(0, 0) == []


async def test_a_document_whose_changes_come_out_of_order_gets_nothing_until_it_is_sent_whole(front):
    client = await front()
    client.open(CODE, version=5)
    client.change({"text": "old"}, version=3)
    assert await client.items(1, 4) == []
    client.change({"text": CODE}, version=6)
    assert await client.items(1, 4)


async def test_a_bad_setting_is_reported_and_its_default_kept():
    client = Front()
    await client.initialize(settings={"alternatives": "many"})
    assert client.messages == [
        "spa-lsp: setting 'alternatives' must be a number from 1 to 64, not 'many'; its default None is kept"
    ]


async def test_settings_reach_the_request(front):
    completer = FakeCompleter()
    client = await front(completer, settings={"maxTokens": 9, "alternatives": 2, "deadlineS": 1.5, "stop": "single"})
    client.open(CODE)
    await client.items(1, 4)
    (request,) = completer.asked
    assert (request.max_tokens, request.k, request.deadline_s, request.stop) == (9, 2, 1.5, "single")


async def test_a_base_that_is_not_there_is_told_once_with_the_way_out(front):
    def load(on_progress):
        raise NotFound(MISSING)

    client = await front(load=load)
    client.open(CODE)
    await eventually(lambda: beside(engine_status)["state"] == "failed")
    assert [await client.items(1, 4) for _ in range(3)] == [[], [], []]
    assert client.messages == [f"spa-lsp: {MISSING}"]


async def test_a_failure_of_one_request_is_an_empty_answer_and_no_message(front):
    completer = FakeCompleter(error=RuntimeError("a bug"))
    client = await front(completer)
    client.open(CODE)
    assert await client.items(1, 4) == [] and client.notifications == []
    completer.error = None
    assert await client.items(1, 4)


async def test_an_engine_that_was_stopped_is_started_again_by_the_next_request(front, engine_path):
    client = await front()
    client.open(CODE)
    await asyncio.to_thread(stop_engine, engine_path)
    await eventually(lambda: not client.server.link.is_connected)
    with engine_in_thread(engine_path, lambda on_progress: FakeCompleter()):
        assert await client.items(1, 4) == []
        await eventually(lambda: client.server.link.is_connected)
        assert await client.items(1, 4)


async def test_an_engine_that_cannot_start_is_given_up_with_one_message(monkeypatch):
    monkeypatch.setattr("spa_lsp.engine.supervisor.DELAYS_S", (0.0,))
    client = Front()
    await client.initialize()
    client.open(CODE)
    while not client.messages:
        assert await client.items(1, 4) == []
        await asyncio.sleep(0.01)
    assert len(client.messages) == 1 and "died 5 times in a short while and is left off" in client.messages[0]
    assert "run the command spa-lsp.restartEngine" in client.messages[0]


async def test_an_engine_that_was_left_off_is_switched_on_by_a_command(engine_path):
    client = Front()
    await client.initialize()
    client.open(CODE)
    await eventually(lambda: client.server.link._task is None)  # its engine, `false`, has failed at its start
    for _ in range(4):
        client.server.link._backoff.record_death()
    assert await client.items(1, 4) == [] and client.server.link._task is None
    await client.call("workspace/executeCommand", {"command": "spa-lsp.restartEngine", "arguments": []})
    with engine_in_thread(engine_path, lambda on_progress: FakeCompleter()):
        while not client.server.link.is_connected:  # the command's own start is that of `false` again
            await client.items(1, 4)
            await asyncio.sleep(0.01)
        client.server.link.close()


async def test_a_lack_of_memory_is_told_once_with_the_way_out(front):
    client = await front(FakeCompleter(error=MemoryError()))
    client.open(CODE)
    assert [await client.items(1, 4), await client.items(1, 3)] == [[], []]
    (message,) = client.messages
    assert "not enough memory" in message and "choose a smaller base" in message


async def test_an_adapter_with_numbers_that_are_not_finite_is_told_once(front):
    client = await front(FakeCompleter(texts=("",), finish="disabled"))
    client.open(CODE)
    assert [await client.items(1, 4), await client.items(1, 3)] == [[], []]
    (message,) = client.messages
    assert message.startswith("spa-lsp: a1 of fake-set gave numbers that are not finite; choose another set")


async def test_an_engine_that_is_late_is_an_empty_answer(front, monkeypatch):
    monkeypatch.setattr("spa_lsp.engine.link.LATE_S", 0.1)
    completer = FakeCompleter(**SLOW)
    client = await front(completer, settings={"deadlineS": 0.1})
    client.open(CODE)
    assert await client.items(1, 4) == [] and client.notifications == []
    completer.n_steps = 1
    assert await client.items(1, 3)  # the engine was freed
