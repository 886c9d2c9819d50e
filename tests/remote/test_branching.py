"""The others branch off the lead at a server elsewhere, too; the server is a fake one. And what is read of tokens."""

import asyncio
from dataclasses import replace

import pytest

from spa_lsp.adapters.server_export import served_name
from spa_lsp.completion import CompletionRequest
from spa_lsp.remote.asking import Model, plan_of, row_asks
from spa_lsp.remote.branching import branch_off, lead_of
from spa_lsp.remote.logprobs import read_tokens
from spa_lsp.remote.rows import Row
from spa_lsp.remote.served import Served
from spa_lsp.text.branching import BRANCH_SHARE, N_CHOICES
from tests.conftest import TINY_ID
from tests.remote.fake_server import VLLM, said_of, send_head, send_piece

pytestmark = pytest.mark.remote

ALONE = {"adapter_set": ""}
REQUEST = CompletionRequest(
    prefix="def add(a, b):\n", suffix="\n", max_tokens=24, stop="none", lead_first=True, k=3, deadline_s=20.0
)
PROMPT = "<|fim_prefix|>def add(a, b):\n<|fim_suffix|>\n<|fim_middle|>"
# the lead's tokens and what else could have stood there: the likeliest branch is ` sum`, then `    total`
LEAD = (("    return", {"    total": -2.0, "\n": -1.0, "    # so": -1.5}), (" a", {" sum": -1.0, " 0": -9.0}), " + b")


def leads(body):
    return LEAD if body["temperature"] == 0.0 else ("!", "?")


def others_of(fake):
    return [body for body in fake.asked if body["temperature"] > 0.0]


def prompts(bodies):
    return sorted(body["prompt"] for body in bodies)


@pytest.mark.parametrize("models", [None, VLLM])
async def test_the_others_begin_as_the_lead_and_then_otherwise(opened, models):
    fake, engine = await opened(settings=ALONE, pieces=leads, **({"models": models} if models else {}))
    result = await engine.complete(REQUEST)
    assert prompts(others_of(fake)) == [PROMPT + "    return sum", PROMPT + "    total"]
    assert [each.text for each in result.alternatives] == ["    return a + b", "    return sum!?", "    total!?"]


async def test_only_the_lead_is_asked_for_what_else_there_was(opened):
    fake, engine = await opened(settings=ALONE, pieces=leads)
    await engine.complete(REQUEST)
    assert [body["logprobs"] for body in fake.asked] == [N_CHOICES, 1, 1]


async def test_a_branch_is_drawn_with_less_temperature_and_no_longer_than_others(opened):
    fake, engine = await opened(settings=ALONE, pieces=leads)
    await engine.complete(replace(REQUEST, k=2, temperature=0.4))
    assert fake.asked[1]["temperature"] == pytest.approx(0.4 * BRANCH_SHARE)
    assert fake.asked[1]["max_tokens"] == REQUEST.max_tokens - 2  # `    return` and ` sum`


async def test_the_trust_in_a_branch_is_the_mean_over_its_beginning_too(opened):
    _, engine = await opened(settings=ALONE, pieces=leads)
    found = (await engine.complete(REQUEST)).alternatives[1]
    assert found.mean_logprob == pytest.approx((-0.5 - 1.0 - 0.5 - 0.5) / 4) and found.n_tokens == 4


async def test_a_row_that_finds_no_branch_is_asked_from_the_beginning(opened):
    fake, engine = await opened(settings=ALONE, pieces=leads)
    await engine.complete(replace(REQUEST, k=5, temperature=0.4))
    as_before = [body for body in others_of(fake) if body["prompt"] == PROMPT]
    assert [(body["temperature"], body["max_tokens"]) for body in as_before] == [(0.4, REQUEST.max_tokens)]


async def test_the_lead_is_told_before_the_others_are_asked(opened):
    told_when_asked = []

    async def note(writer, body):
        told_when_asked.append(len(told))
        return await fake._complete(writer, body)

    fake, engine = await opened(settings=ALONE, pieces=leads, behave=note)
    told = []
    await engine.complete(REQUEST, told.append)
    assert told_when_asked[0] == 0 and min(told_when_asked[1:]) == 1  # another may be over before the last is asked


async def test_half_a_word_is_no_place_and_stands_in_the_prompt_of_a_branch(opened):
    def pieces(body):
        if body["temperature"] == 0.0:
            return ((" return", {" total": -1.0}), (" a", {" sum": -1.0}))
        return ("!",)

    fake, engine = await opened(settings=ALONE, pieces=pieces)
    result = await engine.complete(replace(REQUEST, prefix="def add(a, b): ret", k=2))
    (branch,) = others_of(fake)
    assert branch["prompt"] == "<|fim_prefix|>def add(a, b):<|fim_suffix|>\n<|fim_middle|> return sum"
    assert "grammar" not in branch and "grammar" in fake.asked[0]
    assert branch["max_tokens"] == REQUEST.max_tokens - 1  # the half word counts for nothing
    assert [(each.text, each.n_tokens) for each in result.alternatives] == [("urn a", 1), ("urn sum!", 2)]


async def test_our_stop_rules_see_a_branch_from_its_beginning(opened):
    def pieces(body):
        return (("x", {"\n": -3.0}), (" = 1", {" = (": -1.0})) if body["temperature"] == 0.0 else ("1)\n", "y")

    _, engine = await opened(settings=ALONE, pieces=pieces)
    result = await engine.complete(replace(REQUEST, k=2, stop="single"))
    assert [(each.text, each.finish) for each in result.alternatives] == [("x = 1", "stop"), ("x = (1)", "cut")]


async def test_where_the_server_tells_of_no_other_tokens_all_go_out_at_once_from_then_on(opened):
    fake, engine = await opened(settings=ALONE)
    await engine.complete(REQUEST)
    fake.is_full.clear()
    fake.n_awaited = 6  # none is answered before all three are there
    assert len((await engine.complete(REQUEST)).alternatives) == 3
    assert {body["prompt"] for body in fake.asked} == {PROMPT}


async def test_a_lead_that_breaks_leaves_the_others(opened):
    async def breaks_the_lead(writer, body):
        if body["temperature"] > 0.0:
            return await fake._complete(writer, body)
        await send_head(writer)
        await send_piece(writer, "    return", tops={"    total": -2.0})
        writer.transport.abort()

    fake, engine = await opened(settings=ALONE, behave=breaks_the_lead)
    problems = []
    result = await engine.complete(REQUEST, on_problem=problems.append)
    assert (len(result.alternatives), len(problems)) == (2, 1)
    assert {body["prompt"] for body in fake.asked} == {PROMPT}


async def test_a_lead_that_the_deadline_cuts_has_no_others(opened):
    async def stalls(writer, body):
        await send_head(writer)
        await send_piece(writer, "x = ", tops={"y": -1.0})
        await asyncio.Event().wait()

    fake, engine = await opened(settings=ALONE, behave=stalls)
    result = await engine.complete(replace(REQUEST, deadline_s=0.5))
    assert [(each.text, each.finish) for each in result.alternatives][0] == ("x = ", "deadline")
    assert len(fake.asked) == 1


async def test_of_a_branch_that_did_not_come_in_time_nothing_is_shown(opened):
    async def stalls(writer, body):
        if body["temperature"] == 0.0:
            return await fake._complete(writer, body)
        await asyncio.Event().wait()

    fake, engine = await opened(settings=ALONE, pieces=leads, behave=stalls)
    result = await engine.complete(replace(REQUEST, deadline_s=0.5))
    assert [each.text for each in result.alternatives] == ["    return a + b", "", ""]


async def test_a_cancelled_request_ends_the_others_on_the_server(opened):
    n_left, are_asked = 0, asyncio.Event()

    async def holds_the_others(writer, body):
        nonlocal n_left
        if body["temperature"] == 0.0:
            return await fake._complete(writer, body)
        try:
            await send_head(writer)
            while True:
                await send_piece(writer, "x")
                if len(fake.asked) == 3:
                    are_asked.set()
        except ConnectionError:
            n_left += 1

    fake, engine = await opened(settings=ALONE, pieces=leads, behave=holds_the_others)
    task = asyncio.create_task(engine.complete(replace(REQUEST, max_tokens=10**6)))
    await are_asked.wait()
    task.cancel()
    await engine.close()
    while n_left < 2:
        await asyncio.sleep(0)


@pytest.fixture
async def led(opened, install):
    """A fake server with a set, an engine, and the request for those whose lead has been told before."""
    mine = install(temperature=0.8)
    loras = [{"id": n, "path": f"/any/{served_name(mine, info.name)}.gguf"} for n, info in enumerate(mine.adapters)]
    fake, engine = await opened(loras=loras, pieces=leads)
    return fake, engine, replace(REQUEST, k=None, lead_first=False, behind="a1", adapters=("a2", "a3"))


async def test_others_that_are_asked_for_later_branch_off_the_lead_that_was_told(led):
    fake, engine, later = led
    await engine.complete(replace(REQUEST, k=1))
    result = await engine.complete(later)
    assert [(each.adapter, each.text) for each in result.alternatives] == [
        ("a2", "    return sum!?"),
        ("a3", "    total!?"),
    ]
    assert len(fake.asked) == 3


async def test_a_lead_that_is_forgotten_is_asked_again_and_not_told_again(led):
    fake, engine, later = led
    told = []
    result = await engine.complete(later, told.append)
    assert sorted(each.adapter for each in told) == ["a2", "a3"]
    assert [each.text for each in result.alternatives] == ["    return sum!?", "    total!?"]
    assert [body["temperature"] for body in fake.asked][0] == 0.0 and len(fake.asked) == 3


def rows_of(request, n):
    served = Served(kind="vllm", place="there", model="base")
    model = Model(base_id=TINY_ID, adapter_set=None)
    request = replace(request, k=n)
    return [Row(ask) for ask in row_asks(request, plan_of(request, model), model, served)]


def heard(row, *tokens, text=None, finish="stop"):
    """The row, once this came of it: tokens with their bytes, and what else could have stood there."""
    content = [
        {
            "token": "",
            "bytes": list(token),
            "logprob": -0.1,
            "top_logprobs": [said_of("", -0.1) | {"bytes": list(top)} for top in tops],
        }
        for token, *tops in tokens
    ]
    text = b"".join(token for token, *_ in tokens).decode() if text is None else text
    row.take({"choices": [{"text": text, "finish_reason": finish, "logprobs": {"content": content}}]}, "there")
    return row


def begun(lead, others):
    branch_off(lead_of(lead), others)
    return [row.text for row in others if row.text]


# #15
@pytest.mark.parametrize(("language", "expected"), [("typescript", ["#so"]), ("python", []), ("", [])])
def test_what_a_comment_is_says_the_language_of_the_request(catalog, language, expected):
    lead, *others = rows_of(replace(REQUEST, language=language), 2)
    assert begun(heard(lead, (b"x", b"#so")), others) == expected


def test_no_row_begins_inside_a_character(catalog):
    lead, *others = rows_of(REQUEST, 4)
    heard(lead, (b"'\xc3", b"1"), (b"\xa9", b"2", b"\xa8"), (b"'", b"3"))
    assert begun(lead, others) == ["1", "'é3"]


def test_where_tokens_do_not_spell_the_text_there_is_no_branch(catalog):
    """As with the tokens of a vocabulary, which write a space in another way."""
    lead, *others = rows_of(REQUEST, 2)
    assert begun(heard(lead, ("Ġreturn".encode(), "Ġtotal".encode()), text=" return"), others) == []


# #16
def test_half_an_emoji_at_its_end_costs_the_lead_nothing_else(catalog):
    lead, *others = rows_of(REQUEST, 2)
    heard(lead, (b"x", b"y"), text="x\ud83d", finish="stop")
    assert begun(lead, others) == ["y"] and lead.alternative().text == "x"


def test_a_special_token_is_no_branch(catalog):
    lead, *others = rows_of(REQUEST, 4)
    heard(lead, (b"x", b"<|endoftext|>", b"<|fim_middle|>", b"y"))
    assert begun(lead, others) == ["y"]


def test_a_lead_goes_on_where_it_ended_by_itself(catalog):
    lead, *others = rows_of(REQUEST, 2)
    heard(lead, (b"x",), (b"<|endoftext|>", b" + 1"), text="x")
    assert begun(lead, others) == ["x + 1"]


def test_a_branch_that_is_as_long_as_a_completion_may_be_is_whole(catalog):
    lead, other = rows_of(replace(REQUEST, max_tokens=2), 2)
    heard(lead, (b"x",), (b" = ",), (b"", b"1"))
    assert begun(lead, [other]) == ["x = 1"] and other.finish == "length"


def test_what_stands_like_a_special_token_in_a_beginning_is_none(catalog):
    lead, other = rows_of(REQUEST, 2)
    heard(lead, (b"'<|im_",), (b"start|>'", b"end|>'"))
    other.ask = replace(other.ask, stops=())
    begun(lead, [other])
    assert other._body["prompt"].endswith("'<\u2060|im_end|>'")


LISTED = {"tokens": ["a"], "token_logprobs": [-0.5], "top_logprobs": [{"a": -0.5, "b": -1.0}]}


@pytest.mark.parametrize(
    ("said", "spelled", "choices"),
    [
        (LISTED, b"a", [b"a", b"b"]),
        ({"content": [said_of("a", -0.5) | {"top_logprobs": [said_of("é", -1.0)]}]}, b"a", ["é".encode()]),
        ({"content": [{"token": "a", "logprob": -0.5}]}, b"a", []),
        (LISTED | {"top_logprobs": None}, b"a", []),
        (LISTED | {"top_logprobs": [None]}, b"a", []),
        ({"token_logprobs": [-0.5]}, None, []),
        (LISTED | {"tokens": ["token_id:7"], "top_logprobs": [{"token_id:7": -0.5, "token_id:8": -1.0}]}, None, []),
        (LISTED | {"tokens": [r"bytes:\xc3\xa9"], "top_logprobs": [{r"bytes:\xc3": -1.0}]}, "é".encode(), []),
        (LISTED | {"tokens": ["\ud83d"], "top_logprobs": [{"\ud83d": -0.5, "b": -1.0}]}, None, [b"b"]),
        (LISTED | {"top_logprobs": [{"\ufffd": -0.5, "b": -9999.0, "c": float("-inf"), "d": None}]}, b"a", []),
    ],
)
def test_a_token_is_known_by_its_text_or_its_bytes_or_not_at_all(said, spelled, choices):
    (token,) = read_tokens({"logprobs": said})
    assert (token.spelled, [each.token for each in token.choices]) == (spelled, choices)


def test_nothing_is_said_of_tokens_without_logprobs():
    assert read_tokens({"text": "a"}) == read_tokens({"logprobs": None}) == read_tokens({"logprobs": {}}) == []
