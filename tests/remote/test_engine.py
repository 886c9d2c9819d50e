"""k requests to a server elsewhere and the one answer made of them; the server is a fake one."""

import asyncio
from dataclasses import replace

import pytest

from spa_lsp.adapters.server_export import served_name
from spa_lsp.completion import CompletionRequest, ContextPiece
from spa_lsp.errors import AdapterMismatch, NotFound
from tests.remote.fake_server import SGLANG, VLLM, send_end, send_head, send_piece

pytestmark = pytest.mark.remote

REQUEST = CompletionRequest(prefix="def add(a, b):\n", suffix="\nprint(add)\n", max_tokens=24, deadline_s=20.0)


def names_of(adapter_set):
    return [served_name(adapter_set, info.name) for info in adapter_set.adapters]


def loras(adapter_set):
    """As llama-server lists the files of an exported set, in another order."""
    return [{"id": n, "path": f"/any/{name}.gguf"} for n, name in enumerate(reversed(names_of(adapter_set)))]


def lora_models(adapter_set):
    """As vLLM lists the adapters that it was started with."""
    return [{"id": name, "owned_by": "vllm", "parent": "base"} for name in names_of(adapter_set)]


async def test_every_adapter_has_a_request_and_all_go_out_together(opened, install):
    _, engine = await opened(loras=loras(install()), n_awaited=3)  # none is answered before all are there
    result = await engine.complete(REQUEST)
    assert [(each.adapter, each.text) for each in result.alternatives] == [
        (name, "    return a + b\n\n") for name in ("a1", "a2", "a3")
    ]


async def test_llama_server_is_told_the_scale_of_every_adapter(opened, install):
    fake, engine = await opened(loras=loras(install()))
    await engine.complete(REQUEST)
    scales = sorted(
        [each["scale"] for each in sorted(body["lora"], key=lambda lora: lora["id"])] for body in fake.asked
    )
    assert scales == [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]


async def test_vllm_has_adapters_as_models(opened, install):
    mine = install()
    fake, engine = await opened(models=VLLM + lora_models(mine))
    await engine.complete(REQUEST)
    assert sorted(body["model"] for body in fake.asked) == names_of(mine)


async def test_sglang_has_adapters_behind_the_name_of_the_base(opened, install):
    mine = install()
    fake, engine = await opened(models=SGLANG + lora_models(mine))
    await engine.complete(replace(REQUEST, adapters=("a2",)))
    assert [body["model"] for body in fake.asked] == [f"base:{names_of(mine)[1]}"]


async def test_a_set_that_acts_on_the_completion_is_refused_with_the_way_out(opened, install):
    fake, engine = await opened(loras=loras(install(activation="completion")))
    with pytest.raises(AdapterMismatch, match="finetune --activation all"):
        await engine.complete(REQUEST)
    assert fake.asked == []


async def test_adapters_of_another_set_of_the_same_name_are_not_asked(opened, install):
    old = install(figures={"loss": 1.0})
    install(name="mine2")
    fake, engine = await opened(loras=loras(replace(old, name="mine2")))
    with pytest.raises(NotFound, match="does not have mine2"):
        await engine.complete(REQUEST)
    assert fake.asked == []


async def test_the_base_alone_is_sampled_but_for_the_lead(opened):
    fake, engine = await opened(settings={"adapter_set": ""})
    result = await engine.complete(replace(REQUEST, lead_first=True, k=3))
    assert [each.adapter for each in result.alternatives] == ["base"] * 3
    assert sorted(body["temperature"] for body in fake.asked) == [0.0, 0.8, 0.8]
    assert len({body["seed"] for body in fake.asked}) == 3


async def test_the_base_alone_has_every_adapter_off(opened, install):
    fake, engine = await opened(settings={"adapter_set": ""}, loras=loras(install(activation="completion")))
    await engine.complete(REQUEST)
    assert {lora["scale"] for body in fake.asked for lora in body["lora"]} == {0.0}


async def test_the_prompt_has_our_layout(opened):
    fake, engine = await opened(settings={"adapter_set": ""})
    context = (ContextPiece(path="b.py", text="B = 1"),)
    await engine.complete(replace(REQUEST, context=context, path="a.py", k=1))
    assert fake.asked[0]["prompt"] == (
        "<|repo_name|>\n<|file_sep|>b.py\nB = 1\n<|file_sep|>a.py\n"
        "<|fim_prefix|>def add(a, b):\n<|fim_suffix|>\nprint(add)\n<|fim_middle|>"
    )


async def test_special_tokens_in_the_text_of_a_user_are_none_at_the_server(opened):
    fake, engine = await opened(settings={"adapter_set": ""}, pieces=("x = '<\u2060|fim_middle|>'\n",))
    result = await engine.complete(replace(REQUEST, prefix="a = '<|fim_middle|>'\n", k=1))
    assert fake.asked[0]["prompt"].count("<|fim_middle|>") == 1
    assert "\u2060" not in result.alternatives[0].text


async def test_a_half_typed_word_is_taken_back_and_must_be_written_again(opened):
    fake, engine = await opened(settings={"adapter_set": ""}, pieces=(" ret", "urn a\n"))
    result = await engine.complete(replace(REQUEST, prefix="def add(a, b): ret", k=1))
    assert fake.asked[0]["prompt"].startswith("<|fim_prefix|>def add(a, b):<|fim_suffix|>")
    assert fake.asked[0]["grammar"] == r'root ::= " ret" [\x00-\U0010FFFF]*'
    assert [each.text for each in result.alternatives] == ["urn a\n"]


async def test_what_was_typed_since_the_anchor_stands_behind_the_middle(opened):
    fake, engine = await opened(settings={"adapter_set": ""}, pieces=(" return a",))
    await engine.complete(replace(REQUEST, begun="    return", k=1))
    assert fake.asked[0]["prompt"].endswith("<|fim_middle|>   ")  # and ` return` is owed
    assert fake.asked[0]["prompt"].startswith("<|fim_prefix|>def add(a, b):\n<|fim_suffix|>")


async def test_our_stop_rules_end_a_text_and_the_work_at_the_server(opened):
    is_left = False

    async def never_ends(writer, body):
        nonlocal is_left
        await send_head(writer)
        try:
            for _ in range(100_000):
                await send_piece(writer, "x = 1\n")
        except ConnectionError:
            is_left = True

    fake, engine = await opened(settings={"adapter_set": ""}, behave=never_ends)
    result = await engine.complete(replace(REQUEST, stop="single", k=1, deadline_s=None))
    assert [(each.text, each.finish) for each in result.alternatives] == [("x = 1", "cut")]
    await engine.close()
    while not is_left:
        await asyncio.sleep(0)


# issue 16
@pytest.mark.parametrize("logprob", [-0.5, None])
async def test_a_server_that_heeds_no_max_tokens_is_left_when_it_has_sent_as_many(opened, logprob):
    is_left = asyncio.Event()

    async def goes_on(writer, body):
        await send_head(writer)
        try:
            while True:
                await send_piece(writer, "x ", logprob=logprob)
        except ConnectionError:
            is_left.set()

    _, engine = await opened(settings={"adapter_set": ""}, behave=goes_on)
    result = await engine.complete(replace(REQUEST, stop="none", k=1, deadline_s=None))
    assert [(each.text, each.finish) for each in result.alternatives] == [("x " * 24, "length")]
    await is_left.wait()


# issue 16
async def test_what_comes_with_the_last_token_belongs_to_it(opened):
    async def ends_with_a_rest(writer, body):
        await send_head(writer)
        for _ in range(body["max_tokens"]):
            await send_piece(writer, "x ")
        await send_piece(writer, "rest", finish="length")
        await send_end(writer)

    _, engine = await opened(settings={"adapter_set": ""}, behave=ends_with_a_rest)
    result = await engine.complete(replace(REQUEST, stop="none", k=1))
    assert [each.text for each in result.alternatives] == ["x " * 24 + "rest"]


async def test_a_stop_token_in_the_text_ends_it(opened):
    fake, engine = await opened(settings={"adapter_set": ""}, pieces=("x", " = 1<|file_", "sep|>b.py"))
    result = await engine.complete(replace(REQUEST, k=1))
    assert [(each.text, each.finish) for each in result.alternatives] == [("x = 1", "stop")]


async def test_the_lead_is_told_first(opened, install):
    mine = install(lead="a2", temperature=0.8)

    async def lead_is_slow(writer, body):
        if body["temperature"] == 0.0:
            await send_head(writer)
            await send_piece(writer, "x")  # nobody can branch off it, so the others do not wait
            await others_are_done.wait()
            await send_piece(writer, "", finish="stop")
            await send_end(writer)
        else:
            await fake._complete(writer, body)

    others_are_done = asyncio.Event()
    fake, engine = await opened(loras=loras(mine), behave=lead_is_slow)
    told = []
    task = asyncio.create_task(engine.complete(replace(REQUEST, lead_first=True), told.append))
    while len(fake.asked) < 3 and not task.done():
        await asyncio.sleep(0)
    assert told == []
    others_are_done.set()
    await task
    assert [each.adapter for each in told][0] == "a2"


async def test_the_trust_in_a_text_is_the_mean_over_its_tokens(opened):
    fake, engine = await opened(settings={"adapter_set": ""}, pieces=("a", "b", "c"))
    result = await engine.complete(replace(REQUEST, k=1))
    assert (result.alternatives[0].mean_logprob, result.alternatives[0].n_tokens) == (-0.5, 3)
