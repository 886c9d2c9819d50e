import json
import os
import subprocess
import sys
from contextlib import closing

import pytest
from click.testing import CliRunner
from command_engine import BASE, record_base, serving
from tiny_set import make_adapters, make_set

from spa_lsp import paths
from spa_lsp.adapters import selection, writing
from spa_lsp.bases.catalog import find_base, installed_base
from spa_lsp.cli import main
from spa_lsp.cli._completer import _Notice, choose_model
from spa_lsp.engine import supervisor
from spa_lsp.engine.client import running_engines
from spa_lsp.engine.supervisor import socket_path
from spa_lsp.errors import BadInput
from spa_lsp.storage import store
from tests.conftest import TINY_ID
from tests.fakes import FakeCompleter, fake_engine_command

CODE = "def add(a, b):\n    \n\n\nprint(add(1, 2))\n"


def complete(*arguments, base=BASE, status=0):
    result = CliRunner().invoke(main, ["complete", *base, *map(str, arguments)])
    assert result.exit_code == status, result.output
    assert "Traceback" not in result.output
    return result


@pytest.fixture
def engine():
    with serving() as completer:
        yield completer


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "add.py"
    path.write_text(CODE)
    return path


def test_json_has_exactly_the_promised_fields(engine, file):
    found = json.loads(complete(f"{file}:2:5", "--json").stdout)
    assert list(found) == ["base", "adapter_set", "quantization", "device", "alternatives", "timing"]
    alternative = ["text", "adapter", "label", "index", "mean_logprob", "n_tokens", "finish", "set_sha256"]
    assert [list(each) for each in found["alternatives"]] == [alternative] * 3
    assert list(found["timing"]) == [
        "load_ms",
        "prefill_ms",
        "prompt_tokens",
        "cached_tokens",
        "decode_ms",
        "total_ms",
    ]


def test_the_request_is_the_text_around_the_cursor(engine, file):
    complete(f"{file}:2:5", "-k", 2, "--adapter", "a1", "--adapter", "a3", "--max-tokens", 7, "--stop", "single")
    (request,) = engine.asked
    assert (request.prefix, request.suffix) == ("def add(a, b):\n    ", "\n\n\nprint(add(1, 2))\n")
    assert (request.k, request.adapters, request.max_tokens, request.stop) == (2, ("a1", "a3"), 7, "single")


def test_a_program_that_comes_twice_is_printed_once(engine, file):
    lines = complete(f"{file}:2:5").stdout.splitlines()
    assert [line for line in lines if line.startswith("    ")] == ["    return a + b", "    return sum([a, b])"]
    assert "3/3 · label of a3 (a3) · same as 1" in lines[4]
    assert lines[-1].startswith("2 of 3 differ · prefill ")


def test_crlf_is_sent_as_the_model_learned_lines(engine, file):
    file.write_bytes(CODE.replace("\n", "\r\n").encode())
    complete(f"{file}:2:5")
    assert engine.asked[0].prefix == "def add(a, b):\n    "
    assert "\r" not in engine.asked[0].suffix


def test_an_empty_file_is_completed(engine, file):
    file.write_text("")
    complete(f"{file}:1:1")
    assert (engine.asked[0].prefix, engine.asked[0].suffix) == ("", "")


def test_of_a_large_file_only_the_surroundings_are_sent(engine, file):
    file.write_text("x = 1\n" * 900_000)
    complete(f"{file}:500000:3")
    assert len(engine.asked[0].prefix) <= 6000
    assert len(engine.asked[0].suffix) <= 2000


def test_special_tokens_in_the_text_are_sent_as_they_stand(engine, file):
    file.write_text("a = '<|fim_middle|>'\n")
    complete(f"{file}:2:1")
    assert engine.asked[0].prefix == "a = '<|fim_middle|>'\n"


@pytest.mark.parametrize("place", ["", "add.py", "add.py:1", "add.py:1:x"])
def test_another_form_of_the_place_is_misuse(place):
    assert "is not FILE:LINE:COL" in complete(place, status=2).output


def test_k_must_be_a_number_of_alternatives(file):
    complete(f"{file}:1:1", "-k", 0, status=2)


def test_a_missing_file_is_one_sentence(file):
    result = complete(f"{file}x:1:1", status=1)
    assert result.output == f"Error: there is no file {file}x; check the path\n"


def test_a_place_outside_the_file_is_one_sentence(file):
    assert "which has 6 lines" in complete(f"{file}:7:1", status=1).output


def test_a_base_that_was_not_pulled_says_how_to_pull_it(file):
    result = complete(f"{file}:1:1", base=(), status=1)
    assert "spa-lsp models pull qwen2.5-coder-0.5b-instruct" in result.output
    assert running_engines() == []


def test_an_unknown_base_lists_those_there_are(file):
    assert "choose one of" in complete(f"{file}:1:1", base=("--base", "gpt-9"), status=1).output


def test_an_unknown_set_starts_no_engine(file):
    record_base()
    assert "no adapter set 'none-such'" in complete(f"{file}:1:1", "--set", "none-such", status=1).output
    assert running_engines() == []


def test_what_the_engine_refuses_is_one_sentence(file):
    with serving(FakeCompleter(error=BadInput("max_tokens is 9; choose less"))):
        assert "Error: max_tokens is 9; choose less" in complete(f"{file}:1:1", status=1).output


@pytest.fixture
def tiny_set(tiny_base, tiny_peft_adapters):
    """The tiny base with three adapters, in use for it."""
    installed = installed_base(find_base(TINY_ID))
    names = ("a1", "a2", "a3")
    files = {name: (tiny_peft_adapters[name] / "adapter_model.safetensors").read_bytes() for name in names}
    from trainer.configs import ALL_LINEARS

    made = make_set(
        files,
        base_sha256=installed.weights_sha256,
        tokenizer_sha256=installed.tokenizer_sha256,
        rank=4,
        alpha=8,
        target_modules=ALL_LINEARS,
    )
    writing.write_set(paths.user_sets_dir() / TINY_ID / made.name, made, files)
    selection.select_set(made)
    return made


def test_without_the_engine_the_answer_comes_from_this_process(tiny_set, file):
    found = json.loads(complete(f"{file}:2:5", "--no-engine", "--max-tokens", 4, "--json").stdout)
    assert [each["adapter"] for each in found["alternatives"]] == ["a1", "a2", "a3"]
    assert (found["base"], found["adapter_set"], found["device"]) == (TINY_ID, "mine", "cpu")
    assert found["timing"]["load_ms"] > 0
    assert running_engines() == []


def test_more_alternatives_than_adapters_are_one_of_each(tiny_set, file):
    found = json.loads(complete(f"{file}:2:5", "--no-engine", "-k", 4, "--max-tokens", 4, "--json").stdout)
    assert [each["adapter"] for each in found["alternatives"]] == ["a1", "a2", "a3"]


def test_an_unknown_adapter_lists_those_there_are(tiny_set, file):
    result = complete(f"{file}:2:5", "--no-engine", "--adapter", "a9", status=1)
    assert "no adapter 'a9'; choose one of: a1, a2, a3" in result.output


def test_output_that_the_terminal_cannot_show_is_replaced(engine, file):
    result = subprocess.run(
        [sys.executable, "-m", "spa_lsp", "complete", *BASE, f"{file}:2:5"],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    assert "return a + b" in result.stdout


def test_a_load_that_takes_long_is_announced_and_its_end_too(capsys):
    with _Notice("loading x", patience_s=60) as notice:
        notice.tell("base x", 0.0)
        notice._show()  # as its timer does
        notice.tell("adapter set y", 0.9)
        notice.tell("ready", 1.0)
    *lines, last = capsys.readouterr().err.splitlines()
    assert lines == ["loading x: base x", "loading x: adapter set y, 90%"] and last.startswith("loaded after ")


def test_a_wait_says_about_how_long_it_will_be(capsys):
    with _Notice("computing cart.py", about_s=20.0, is_over="computed", patience_s=60) as notice:
        notice._show()
    first, last = capsys.readouterr().err.splitlines()
    assert first == "computing cart.py: started, about 20 s" and last.startswith("computed after ")


def test_a_short_load_says_nothing(capsys):
    with _Notice("loading x", patience_s=60) as notice:
        notice.tell("base x", 0.0)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("how", [lambda data: data[:-9], lambda data: data[:-9] + b"x" * 9])
def test_a_changed_adapter_is_one_sentence(tiny_set, file, how):
    adapter = paths.user_sets_dir() / TINY_ID / "mine" / "a2.safetensors"
    adapter.write_bytes(how(adapter.read_bytes()))
    result = complete(f"{file}:2:5", "--no-engine", status=1)
    assert "a2.safetensors has" in result.output and "fetch the set again" in result.output


def test_a_truncated_base_is_one_sentence(tiny_copy, file):
    weights = tiny_copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-9])
    assert "spa-lsp models pull tiny-qwen2 --force" in complete(f"{file}:2:5", "--no-engine", status=1).output


def test_a_set_for_another_base_is_one_sentence(file):
    record_base()
    made = make_set(base_id="another-base")
    writing.write_set(paths.user_sets_dir() / "another-base" / "mine", made, make_adapters())
    result = complete(f"{file}:2:5", "--set", "mine", status=1)
    assert "was made for another-base, the base is tiny-qwen2" in result.output


def test_a_store_of_a_newer_version_is_one_sentence(file):
    record_base()
    with closing(store.open_store(write=True)) as db:
        db.execute("PRAGMA user_version = 9999")
    assert "newer" in complete(f"{file}:2:5", "--set", "mine", status=1).output


@pytest.mark.parametrize(("options", "wanted"), [((), None), (("--temperature", "0"), 0.0)])
def test_the_temperature_is_that_of_the_set_unless_one_is_given(engine, file, options, wanted):
    complete(f"{file}:2:5", *options)
    assert engine.asked[0].temperature == wanted


def set_own(text):
    paths.config_dir().mkdir(parents=True)
    (paths.config_dir() / "config.toml").write_text(text)


def test_without_a_base_the_one_of_the_own_settings_answers():
    set_own('base = "smollm2-135m-instruct"\n')
    assert choose_model(None, None, "auto").base_id == "smollm2-135m-instruct"
    assert choose_model("another", None, "auto").base_id == "another"


# #15
@pytest.mark.parametrize(
    ("name", "rule"),
    [(".env", "built-in: *.env"), ("hidden.py", ".gitignore: hidden.py"), ("a/mine.py", "setting ignore: /a/")],
)
def test_a_file_that_a_rule_names_is_refused_before_anything_is_asked(engine, tmp_path, name, rule):
    set_own('engine = "http://127.0.0.1:1"\n')  # nobody listens there
    (tmp_path / ".gitignore").write_text("hidden.py\n")
    (tmp_path / ".spa-lsp.toml").write_text('ignore = ["/a/"]\n')
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(CODE)
    result = complete(f"{path}:2:5", "--engine", "local", status=1)
    assert result.output == f"Error: {path} is left alone ({rule}); choose another file, or change that rule\n"
    assert complete(f"{path}:2:5", status=1).output == result.output and engine.asked == []


# #15
def test_a_link_does_not_lead_to_a_file_that_a_rule_names(engine, tmp_path, file):
    (tmp_path / ".env").write_text(CODE)
    file.unlink()
    file.symlink_to(tmp_path / ".env")
    assert "built-in: *.env" in complete(f"{file}:2:5", status=1).output and engine.asked == []


# #15
def test_the_own_settings_may_take_back_a_secret(engine, tmp_path):
    set_own('ignore = ["!.env"]\n')
    (tmp_path / ".env").write_text(CODE)
    complete(f"{tmp_path / '.env'}:2:5")
    assert len(engine.asked) == 1


# #15
@pytest.mark.parametrize("set_name", ["", "mine"])
def test_set_and_precision_are_those_of_the_own_settings_unless_they_are_named(set_name):
    set_own(f'adapter_set = "{set_name}"\nquantization = "nf4"\n')
    assert (choose_model().set_name, choose_model().quantization) == (set_name, "nf4")
    named = choose_model(None, "other", "int8")
    assert (named.set_name, named.quantization) == ("other", "int8")


# #15
@pytest.mark.parametrize(("set_name", "wanted"), [("mine", None), ("", "")])
def test_a_named_base_does_not_get_the_own_set_of_another(set_name, wanted):
    set_own(f'base = "smollm2-135m-instruct"\nadapter_set = "{set_name}"\n')
    assert choose_model("another").set_name == wanted
    assert choose_model("smollm2-135m-instruct").set_name == set_name


# #15
def test_an_engine_that_a_command_starts_has_the_limits_of_the_own_settings(file, monkeypatch):
    record_base()
    set_own("engine_idle_s = 30\nmax_memory_mb = 50000\n")
    started = []

    def command(base_id, _set_name, quantization, idle_s, max_memory_mb):
        started.append((idle_s, max_memory_mb))
        return fake_engine_command(socket_path(base_id, quantization))

    monkeypatch.setattr(supervisor, "engine_command", command)
    complete(f"{file}:2:5")
    CliRunner().invoke(main, ["engine", "stop"])
    assert started == [(30, 50000)]
