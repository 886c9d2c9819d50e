"""What a server elsewhere can do wrong, and that it costs an empty answer, one sentence and a pause, and no more."""

import asyncio
import logging
from dataclasses import replace

import pytest

from spa_lsp.adapters.row_plan import ONE_MODEL_ROWS
from spa_lsp.completion import CompletionRequest
from spa_lsp.errors import BadInput, NotFound, Unavailable
from spa_lsp.remote.engine import RemoteEngine
from spa_lsp.remote.key import read_key
from spa_lsp.settings.schema import Settings
from tests.conftest import TINY_ID
from tests.remote.fake_server import send_data, send_head, send_piece

pytestmark = pytest.mark.remote

REQUEST = CompletionRequest(prefix="SECRET = 1\n", suffix="\n", max_tokens=24, deadline_s=20.0)
ALONE = {"adapter_set": ""}


async def fails(engine, request=REQUEST):
    with pytest.raises((Unavailable, BadInput, NotFound)) as caught:
        await engine.complete(request)
    assert "SECRET" not in str(caught.value)
    return caught.value


async def test_a_server_that_is_not_there_is_named(catalog):
    engine = RemoteEngine(Settings(base=TINY_ID, engine="http://127.0.0.1:9"))
    assert "127.0.0.1:9 cannot be reached" in str(await fails(engine))
    await engine.close()


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        (401, BadInput, "refuses the key (401"),
        (404, NotFound, "no such model or address (404"),
        (429, Unavailable, "has too much to do (429"),
        (503, Unavailable, "has too much to do (503"),
        (400, BadInput, "refuses the request (400, some_error)"),
        (500, Unavailable, "failed (500"),
        (302, Unavailable, "failed (302"),
    ],
)
async def test_a_refusal_is_a_sentence_without_the_words_of_the_server(opened, status, kind, said):
    _, engine = await opened(settings=ALONE, status=status)
    error = await fails(engine)
    assert type(error) is kind and said in str(error)


async def half(writer, body):
    await send_head(writer)
    await send_piece(writer, "x = ")
    writer.transport.abort()


async def ends_too_soon(writer, body):
    await send_head(writer)
    await send_piece(writer, "x = ")
    writer.write(b"0\r\n\r\n")
    await writer.drain()
    return True


async def garbage(writer, body):
    await send_head(writer)
    await send_data(writer, b"data: SECRET \xff{{{\n\n")


async def other_json(writer, body):
    await send_head(writer)
    await send_data(writer, b'data: {"choices": [{"text": {"SECRET": 1}, "logprobs": 5}]}\n\n')


async def no_float(writer, body):
    await send_head(writer)
    said = b'{"token": "x", "logprob": -1%s}' % (400 * b"0")
    await send_data(writer, b'data: {"choices": [{"text": "x", "logprobs": {"content": [%s]}}]}\n\n' % said)


async def error_in_the_stream(writer, body):
    await send_head(writer)
    await send_data(writer, b'data: {"error": {"message": "SECRET"}}\n\n')


async def no_http(writer, body):
    writer.write(b"SECRET\r\n\r\n")
    await writer.drain()


async def endless_line(writer, body):
    await send_head(writer)
    while True:
        await send_data(writer, b"x" * 65536)


async def endless_comments(writer, body):
    await send_head(writer)
    while True:
        await send_data(writer, b": keep alive\n" * 1000)


@pytest.mark.parametrize(
    "behave",
    [half, ends_too_soon, garbage, other_json, no_float, error_in_the_stream, no_http, endless_line, endless_comments],
)
async def test_a_broken_answer_is_none(opened, behave):
    _, engine = await opened(settings=ALONE, behave=behave)
    assert type(await fails(engine)) is Unavailable


async def test_an_answer_without_an_end_is_left_before_the_deadline(opened):
    _, engine = await opened(settings=ALONE, behave=endless_comments)
    assert "8 MB without an end" in str(await fails(engine))


async def test_a_server_that_says_nothing_is_left_at_the_deadline(opened):
    _, engine = await opened(settings=ALONE, n_awaited=99)
    assert "did not answer within 0.2 s" in str(await fails(engine, replace(REQUEST, deadline_s=0.2)))


async def test_a_server_that_does_not_say_what_it_has_is_left_at_the_deadline(opened, monkeypatch):
    fake, engine = await opened(settings=ALONE)

    async def hang(reader, writer):
        await asyncio.Event().wait()

    monkeypatch.setattr(fake, "_serve_one", hang)
    assert "did not answer within 0.2 s" in str(await fails(engine, replace(REQUEST, deadline_s=0.2)))


async def test_what_has_come_by_the_deadline_is_shown(opened):
    async def stalls(writer, body):
        await send_head(writer)
        await send_piece(writer, "x = ")
        await asyncio.Event().wait()

    _, engine = await opened(settings=ALONE, behave=stalls)
    result = await engine.complete(replace(REQUEST, deadline_s=0.5, k=1))
    assert [(each.text, each.finish) for each in result.alternatives] == [("x = ", "deadline")]


async def test_one_broken_row_leaves_the_others(opened):
    async def breaks_the_first(writer, body):
        return await (half if body is fake.asked[0] else fake._complete)(writer, body)

    fake, engine = await opened(settings=ALONE, behave=breaks_the_first)
    problems = []
    result = await engine.complete(replace(REQUEST, k=3), on_problem=problems.append)
    assert (len(result.alternatives), len(problems)) == (2, 1)


@pytest.mark.parametrize("models", [[], None, [{"id": 3}], "x", [{}]])
async def test_a_server_without_models_is_none(opened, models):
    _, engine = await opened(settings=ALONE, models=models)
    assert "names no model" in str(await fails(engine))


async def test_a_redirect_is_not_followed(opened, monkeypatch):
    fake, engine = await opened(settings=ALONE)
    fake.status, fake.error = 307, {"location": fake.url}
    await fails(engine)
    assert len(fake.asked) == ONE_MODEL_ROWS


async def test_the_key_is_sent_and_in_no_log(opened, monkeypatch, caplog):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("SPA_KEY", "zq-key")
    fake, engine = await opened(settings={**ALONE, "engine_key": "SPA_KEY"}, key="zq-key")
    assert (await engine.complete(REQUEST)).alternatives
    fake.key = "another"
    assert "refuses the key (401" in str(await fails(engine))
    assert [line for line in caplog.text.splitlines() if "zq-key" in line or "SECRET" in line] == []


def test_a_key_that_others_can_read_is_refused(tmp_path):
    path = tmp_path / "key"
    path.write_text("zq-key\n")
    path.chmod(0o644)
    with pytest.raises(BadInput, match="chmod 600"):
        read_key(str(path))
    path.chmod(0o600)
    assert read_key(str(path)) == "zq-key"


# issue 16
@pytest.mark.parametrize("where", ["SPA_NO_SUCH_KEY", "AKIAZQSECRET7", "/zq/SECRET+key==", "~/zq/SECRET", "/tmp"])
def test_a_key_that_is_not_there_is_a_sentence_without_what_may_be_the_key(where):
    with pytest.raises(BadInput, match="engineKey names") as caught:
        read_key(where)
    assert where not in str(caught.value) and "SECRET" not in str(caught.value)


# issue 16
@pytest.mark.parametrize("content", ["", "two\nlines"])
def test_a_variable_without_a_key_is_not_named(monkeypatch, content):
    monkeypatch.setenv("AKIAZQSECRET7", content)
    with pytest.raises(BadInput, match="engineKey names an environment variable") as caught:
        read_key("AKIAZQSECRET7")
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://192.0.2.1:8000", "http://gpu-box"])
async def test_text_goes_nowhere_in_the_clear_unless_the_user_says_so(catalog, url):
    with pytest.raises(BadInput, match="allowInsecure"):
        RemoteEngine(Settings(engine=url))
    await RemoteEngine(Settings(engine=url, allow_insecure=True)).close()


async def test_a_certificate_that_nobody_vouches_for_is_refused(opened, monkeypatch, certified):
    url = await certified()
    engine = RemoteEngine(Settings(base=TINY_ID, engine=url, adapter_set=""))
    assert "nobody vouches for the certificate" in str(await fails(engine))
    await engine.close()
    engine = RemoteEngine(Settings(base=TINY_ID, engine=url, adapter_set="", allow_insecure=True))
    assert (await engine.complete(REQUEST)).alternatives
    await engine.close()


async def test_an_authority_of_the_team_vouches(certified, monkeypatch):
    url = await certified()
    monkeypatch.setenv("SSL_CERT_FILE", str(certified.certificate))
    engine = RemoteEngine(Settings(base=TINY_ID, engine=url, adapter_set=""))
    assert (await engine.complete(REQUEST)).alternatives
    await engine.close()
