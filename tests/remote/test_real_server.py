"""A real llama-server with the default base and two adapters in place of the engine; needs the wheel `xllamacpp`."""

import asyncio
import importlib.util
import json
import subprocess
import sys
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from spa_lsp import paths
from spa_lsp.adapters import selection, writing
from spa_lsp.adapters.finding import find_set
from spa_lsp.adapters.reading import read_adapter
from spa_lsp.bases.catalog import DEFAULT_BASE, find_base, source_path
from spa_lsp.cli import main
from spa_lsp.cli.doctor import check_server
from spa_lsp.completion import CompletionRequest
from spa_lsp.remote.engine import RemoteEngine
from spa_lsp.settings.schema import Settings

pytestmark = [
    pytest.mark.remote,
    pytest.mark.model,
    pytest.mark.skipif(importlib.util.find_spec("xllamacpp") is None, reason="needs xllamacpp: pip install .[bench]"),
]

REQUEST = CompletionRequest(
    prefix="def mean(numbers):\n    ", suffix="\n\n\nprint(mean([1, 2, 3]))\n", max_tokens=24, lead_first=True
)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The address of a server with two exported adapters, and the set that they are of."""
    gguf = source_path(find_base(DEFAULT_BASE))
    if not gguf.exists():
        pytest.skip(f"{gguf} was not kept; run: spa-lsp models pull --force")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPA_HOME", str(tmp_path_factory.mktemp("home")))
        made, exported = make_set(), tmp_path_factory.mktemp("export") / "two"
        result = CliRunner().invoke(main, ["adapters", "export", made.name, str(exported), "--llama"])
        assert result.exit_code == 0, result.output
        loras = sorted(map(str, exported.glob("*.gguf")))
        program = Path(__file__).parent / "llama_server.py"
        command = [sys.executable, str(program), str(gguf), "4", *loras]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            yield process.stdout.readline().strip(), made
            process.kill()


def make_set():
    """Two of the shipped adapters as if they had been trained for all of the prompt: that they act is what counts."""
    shipped = find_set("oss-python", DEFAULT_BASE)
    two = shipped.adapters[:2]
    made = replace(shipped, name="two", adapters=two, activation="all", lead="", folder=None)
    adapters = {info.name: read_adapter(shipped, info.name) for info in two}
    found = writing.write_set(paths.user_sets_dir() / DEFAULT_BASE / "two", made, adapters)
    selection.select_set(found)
    return found


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
    texts = {each.adapter: each.text for each in (await ask(server[0], greedy)).alternatives}
    base = (await ask(server[0], replace(greedy, k=1), adapter_set="")).alternatives[0]
    assert list(texts) == [info.name for info in installed.adapters]
    assert {base.text, *texts.values()} != {base.text}


async def test_the_same_text_gets_the_same_alternatives(server, installed):
    first, second = await ask(server[0], REQUEST), await ask(server[0], REQUEST)
    assert [each.text for each in first.alternatives] == [each.text for each in second.alternatives]


async def test_a_half_typed_word_is_gone_on_with(server):
    request = replace(REQUEST, prefix="def mean(numbers):\n    retu", k=1, max_tokens=12)
    (found,) = (await ask(server[0], request, adapter_set="")).alternatives
    assert found.text.startswith("rn ") and found.mean_logprob < 0


async def test_our_rules_end_a_text_in_the_middle_of_a_stream(server):
    request = replace(REQUEST, stop="single", k=2, max_tokens=200)
    result = await ask(server[0], request, adapter_set="")
    assert {each.finish for each in result.alternatives} <= {"cut", "stop"}
    assert all("\n" not in each.text.strip() for each in result.alternatives)


async def test_a_cancelled_request_ends_on_the_server(server):
    request = replace(REQUEST, stop="none", max_tokens=900, k=2)
    task = asyncio.create_task(ask(server[0], request, adapter_set=""))
    await until(server[0], lambda n: n == 2)
    task.cancel()
    await until(server[0], lambda n: n == 0)


async def until(url, is_true):
    for _ in range(3000):
        slots = json.loads(await asyncio.to_thread(read, f"{url}/slots"))
        if is_true(sum(slot["is_processing"] for slot in slots)):
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the server did not get there")


def read(url):
    with urllib.request.urlopen(url) as answer:
        return answer.read()


def test_the_commands_of_the_page_work(server, installed, tmp_path):
    place = tmp_path / "cart.py"
    place.write_text(f"{REQUEST.prefix}{REQUEST.suffix}")
    paths.config_dir().mkdir(parents=True)
    (paths.config_dir() / "config.toml").write_text(f'engine = "{server[0]}"\nbase = "{DEFAULT_BASE}"\n')
    assert f"text goes to {server[0]}, where two answers" in check_server().text
    command = ["complete", f"{place}:2:5", "--base", DEFAULT_BASE, "--max-tokens", "16", "--json"]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert [each["adapter"] for each in found["alternatives"]] == [info.name for info in installed.adapters]
    assert found["device"] == server[0].removeprefix("http://")
