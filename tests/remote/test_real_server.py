"""A real llama-server with the default base and two adapters in place of the engine; needs the wheel `xllamacpp`."""

import asyncio
import json
from dataclasses import replace

import pytest
from click.testing import CliRunner

from spa_lsp import paths
from spa_lsp.bases.catalog import DEFAULT_BASE
from spa_lsp.cli import main
from spa_lsp.cli._own_checks import check_server
from spa_lsp.completion import CompletionRequest
from spa_lsp.remote.engine import RemoteEngine
from spa_lsp.settings.schema import Settings
from tests.remote.real_server import export, make_set, serving, why_not

pytestmark = [pytest.mark.remote, pytest.mark.model]

REQUEST = CompletionRequest(
    prefix="def mean(numbers):\n    ", suffix="\n\n\nprint(mean([1, 2, 3]))\n", max_tokens=24, lead_first=True
)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One for all tests, with two exported adapters."""
    if reason := why_not():
        pytest.skip(reason)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPA_HOME", str(tmp_path_factory.mktemp("home")))
        loras = export(make_set(), tmp_path_factory.mktemp("export") / "two")
        with serving(loras) as server:
            yield server


async def ask(url, request, **settings):
    engine = RemoteEngine(Settings(engine=url, **settings))
    try:
        return await engine.complete(request)
    finally:
        await engine.close()


@pytest.fixture
def installed(server, homes):
    return make_set()


async def test_every_adapter_answers_and_acts(server, installed):
    greedy = replace(REQUEST, temperature=0.0)
    texts = {each.adapter: each.text for each in (await ask(server.url, greedy)).alternatives}
    base = (await ask(server.url, replace(greedy, k=1), adapter_set="")).alternatives[0]
    assert list(texts) == [info.name for info in installed.adapters]
    assert {base.text, *texts.values()} != {base.text}


async def test_the_same_text_gets_the_same_greedy_alternatives(server, installed):
    """Samples may differ: what the server had read before has been computed in another batch."""
    greedy = replace(REQUEST, temperature=0.0)
    first, second = await ask(server.url, greedy), await ask(server.url, greedy)
    assert [each.text for each in first.alternatives] == [each.text for each in second.alternatives]


async def test_a_half_typed_word_is_gone_on_with(server):
    request = replace(REQUEST, prefix="def mean(numbers):\n    retu", k=1, max_tokens=12)
    (found,) = (await ask(server.url, request, adapter_set="")).alternatives
    assert found.text.startswith("rn ") and found.mean_logprob < 0


async def test_our_rules_end_a_text_in_the_middle_of_a_stream(server):
    prefix = "def mean(numbers):\n    total = sum(numbers)\n    return total / len("
    request = replace(REQUEST, prefix=prefix, stop="single", k=1, max_tokens=200)
    (found,) = (await ask(server.url, request, adapter_set="")).alternatives
    assert found.finish == "cut"
    assert found.text.startswith("numbers)") and "\n" not in found.text


async def test_a_cancelled_request_ends_on_the_server(server):
    request = replace(REQUEST, stop="none", max_tokens=900, k=2, lead_first=False)
    task = asyncio.create_task(ask(server.url, request, adapter_set=""))
    await until(server, lambda n: n == 2)
    task.cancel()
    await until(server, lambda n: n == 0)


async def until(server, is_true):
    for _ in range(3000):
        if is_true(await asyncio.to_thread(server.n_busy)):
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the server did not get there")


def test_the_commands_of_the_page_work(server, installed, tmp_path):
    place = tmp_path / "cart.py"
    place.write_text(f"{REQUEST.prefix}{REQUEST.suffix}")
    paths.config_dir().mkdir(parents=True)
    (paths.config_dir() / "config.toml").write_text(f'engine = "{server.url}"\nbase = "{DEFAULT_BASE}"\n')
    assert f"text goes to {server.url}, where two answers" in check_server().text
    command = ["complete", f"{place}:2:5", "--base", DEFAULT_BASE, "--max-tokens", "16", "--json"]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert [each["adapter"] for each in found["alternatives"]] == [info.name for info in installed.adapters]
    assert found["device"] == server.url.removeprefix("http://")


# issue 16
async def test_the_others_branch_off_the_lead_and_so_begin_apart(server):
    request = replace(REQUEST, layout="instruct", prefix="Add two numbers in Python.", stop="none", max_tokens=8, k=4)
    found = (await ask(server.url, request, adapter_set="")).alternatives
    assert len({each.text for each in found}) == len(found) == 4


# issue 16
async def test_others_that_are_asked_for_later_begin_as_those_asked_for_at_once(server, installed):
    engine = RemoteEngine(Settings(engine=server.url))
    request = replace(REQUEST, temperature=0.0)
    (first, second) = (await engine.complete(request)).alternatives
    later = replace(request, lead_first=False, behind=first.adapter, adapters=(second.adapter,))
    assert [each.text for each in (await engine.complete(later)).alternatives] == [second.text]
    await engine.close()
