import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from tiny_set import make_set

from spa_lsp import paths
from spa_lsp.adapters import selection, writing
from spa_lsp.bases.catalog import find_base, installed_base
from spa_lsp.bench.figures import Goal, Ratio, plain_figure, ratio_figure, run_rounds, to_lines
from spa_lsp.bench.goals import ratios
from spa_lsp.bench.llama_cpp import LlamaPlan, time_llama_cpp
from spa_lsp.bench.machine import describe_machine, describe_versions
from spa_lsp.bench.prompts import make_prompt, source_code
from spa_lsp.cli import main
from spa_lsp.engine.client import running_engines
from spa_lsp.errors import Unavailable
from tests.conftest import TINY_ID

RATIO = Ratio(name="slow / fast", goal=3.0, numerator="slow", denominator="fast")


# --- figures ---


def test_the_first_round_is_not_counted_and_each_round_begins_with_another_job():
    order = []

    def job(name):
        return lambda number: order.append(name) or {name: float(number)}

    times = run_rounds({name: job(name) for name in "abc"}, 2)
    assert times == {"a": [1.0, 2.0], "b": [1.0, 2.0], "c": [1.0, 2.0]}
    assert "".join(order) == "abc" + "bca" + "cab"


def test_a_ratio_is_that_of_the_medians_and_keeps_both_sides():
    figure = ratio_figure(RATIO, {"slow": [10.0, 300.0, 20.0], "fast": [10.0, 10.0, 1.0]})
    assert (figure.value, figure.numerator_ms, figure.denominator_ms) == (2.0, 20.0, 10.0)
    assert figure.is_reached is True


def test_a_goal_can_be_at_least():
    goal = Goal(name="rival / ours", goal=3.0, is_at_most=False)
    assert [plain_figure(goal, value).is_reached for value in (2.9, 3.0)] == [False, True]


def test_what_was_not_measured_says_why_and_is_neither_reached_nor_missed():
    figure = ratio_figure(RATIO, {"fast": [1.0]}, missing={"slow": "pip install it"})
    assert (figure.value, figure.is_reached, figure.note) == (None, None, "pip install it")


def test_the_table_shows_value_goal_verdict_and_sides():
    (line,) = to_lines([ratio_figure(RATIO, {"slow": [70.0], "fast": [20.0]})])
    assert line.split() == "slow / fast 3.50 goal <= 3.00 no 70.0 ms / 20.0 ms".split()


def test_the_machine_says_how_busy_it_is():
    assert {"processor", "usable_threads", "load_1min", "memory_gb"} <= set(describe_machine())
    assert describe_versions()["torch"]


# --- prompts ---


def test_a_prompt_has_the_wanted_length_and_three_tokens_to_type():
    prompt = make_prompt(100, "key", encode=lambda text: [*text.encode()], decode=lambda ids: bytes(ids).decode())
    assert (len(prompt.prefix + prompt.suffix), len(prompt.begun)) == (97, 3)
    assert prompt.prefix.startswith("key = 1\n")
    assert (prompt.prefix + prompt.begun + prompt.suffix) in "key = 1\n" + source_code(4000)


@pytest.mark.parametrize("n_tokens", [231, 440])
def test_a_prompts_prefix_ends_with_a_line(n_tokens):
    prompt = make_prompt(n_tokens, "key", encode=lambda text: [*text.encode()], decode=lambda ids: bytes(ids).decode())
    assert prompt.prefix.endswith("\n") and len(prompt.prefix) > n_tokens / 2


def test_the_source_of_prompts_is_python():
    compile(source_code(2000), "source", "exec")


# --- the front ---


def test_the_front_is_started_and_looked_at_while_it_works(homes):
    from spa_lsp.bench.processes import measure_front

    command = [sys.executable, "-P", "-m", "spa_lsp", "--stdio"]
    times = measure_front(command, {"base": "none-such"}, n_starts=1)
    assert 0 < times.start_s[0] < 60
    assert 10e6 < times.resident_bytes[0] < 500e6


def test_a_front_that_ends_early_is_one_sentence():
    from spa_lsp.bench.processes import measure_front

    with pytest.raises(Unavailable, match="ended early"):
        measure_front([sys.executable, "-c", "pass"], {}, n_starts=1)


# --- the whole, on the tiny base ---


@pytest.fixture
def tiny_set(tiny_base, tiny_peft_adapters):
    """The tiny base with two adapters, in use for it."""
    from trainer.configs import ALL_LINEARS

    installed = installed_base(find_base(TINY_ID))
    names = ("a1", "a2")
    files = {name: (tiny_peft_adapters[name] / "adapter_model.safetensors").read_bytes() for name in names}
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


def bench(*arguments, status=0):
    result = CliRunner().invoke(main, ["bench", "latency", *map(str, arguments)])
    assert result.exit_code == status, result.output
    return result


TINY = ("--base", TINY_ID, "--runs", 1, "--prompt-tokens", 64, "--new-tokens", 3)
SMALL = (*TINY, "--no-processes", "--json")


def test_the_whole_benchmark_runs_on_a_tiny_base(tiny_set):
    report = json.loads(bench(*SMALL, "--fp32", "--quantization", "bf16").stdout)
    found = {figure["name"]: figure for figure in report["figures"]}
    assert report["setting"]["k"] == 2
    assert abs(report["setting"]["prompt_tokens"] - 64) <= 2
    assert found["decode of 2 / of 1"]["value"] > 0 and found["fp32 / ours, a step of 1"]["value"] > 0
    assert found["PEFT, mixed batch of 2 / ours, cold"]["numerator_ms"] > 0
    assert all(len(times) == 1 for times in report["times_ms"].values())


def notes(*arguments):
    figures = json.loads(bench(*SMALL, *arguments).stdout)["figures"]
    return {figure["name"]: figure["note"] for figure in figures if figure["value"] is None}


def test_what_is_left_out_is_said(tiny_set):
    assert notes("--no-rivals") == {
        "fp32 / ours, a step of 2": "only with --fp32: it takes the memory of a second base",
        "fp32 / ours, a step of 1": "only with --fp32: it takes the memory of a second base",
        "PEFT, mixed batch of 2 / ours, cold": "left out by --no-rivals",
        "llama.cpp, 2 samples / ours, cold": "left out by --no-rivals",
        "llama.cpp, 1 sample / ours, cold": "left out by --no-rivals",
    }


@pytest.mark.parametrize("arguments", [("--set", ""), ()])
def test_without_a_set_the_rows_are_those_of_the_base(tiny_base, arguments):
    missing = notes("--no-rivals", *arguments)
    assert missing["decode of 8 adapters / of 8 base rows"] == "there is no adapter set: all rows are the base's"
    assert not any(name.startswith("prefill") for name in missing)


def test_a_set_of_fewer_adapters_than_rows_is_refused(tiny_set):
    assert "-k is 3, but" in bench(*SMALL, "-k", 3, status=1).output


def test_one_row_is_compared_with_what_others_make_of_one_row(tiny_set):
    report = json.loads(bench(*SMALL, "--no-rivals", "-k", 1).stdout)
    assert [figure["name"] for figure in report["figures"]] == [
        "decode of 1 adapters / of 1 base rows",
        "fp32 / ours, a step of 1",
        "PEFT, mixed batch of 1 / ours, cold",
        "llama.cpp, 1 sample / ours, cold",
        "prefill of the next key / of a cold prompt",
        "1 alternatives over a warm prompt",
    ]


# --- llama.cpp ---


def test_without_peft_and_llama_cpp_the_rest_is_measured(tiny_set, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    missing = notes()
    assert missing["PEFT, mixed batch of 2 / ours, cold"].startswith("PEFT is not usable")
    assert missing["llama.cpp, 1 sample / ours, cold"].startswith("xllamacpp is not installed")


@pytest.fixture
def wheel(monkeypatch):
    """A stand-in for xllamacpp, found by child interpreters."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent / "fake_wheel"))


PLAN = LlamaPlan(gguf="weights.gguf", n_threads=3, n_rows=2, n_new=4, prompts=[[1, 2, 3], [4, 5, 6]])


def test_llama_cpp_is_timed_in_a_process_of_its_own_and_the_first_round_is_not_counted(wheel):
    times = time_llama_cpp(PLAN)
    assert {name: len(found) for name, found in times.items()} == dict.fromkeys(
        ("llama_cpp_2", "llama_cpp_2_prefill", "llama_cpp_2_decode"), 1
    )
    assert times["llama_cpp_2_prefill"] == [30.0 + 3]  # what the stand-in says of 3 tokens on 3 threads


def test_what_llama_cpp_says_to_nobody_is_no_part_of_the_answer(wheel):
    assert time_llama_cpp(PLAN)["llama_cpp_2"]  # the stand-in writes to standard output


def test_an_error_of_llama_cpp_is_one_sentence(wheel):
    with pytest.raises(Unavailable, match="Invalid input batch.*--no-rivals"):
        time_llama_cpp(replace(PLAN, prompts=[[1, 999], [1, 999]]))


def test_rows_that_ended_early_are_no_figure(wheel):
    with pytest.raises(Unavailable, match=r"rows and tokens of each were \(2, 9\)"):
        time_llama_cpp(replace(PLAN, n_new=10))


# --- the goals ---


def test_another_kind_of_machine_has_other_goals():
    goals = {device: {ratio.name: ratio.goal for ratio in ratios(8, device)} for device in ("cpu", "cuda")}
    assert goals["cpu"]["decode of 8 / of 1"] == 3.0 and goals["cuda"]["decode of 8 / of 1"] == 1.25
    assert goals["cpu"]["llama.cpp, 8 samples / ours, cold"] == 1.8


@pytest.mark.slow
def test_engine_and_front_are_measured_and_the_engine_is_stopped_again(tiny_set):
    lines = bench(*TINY, "--no-rivals").stdout.splitlines()
    assert [line.split("  ")[0] for line in lines[-6:-2]] == [
        "engine, start to ready",
        "engine, resident memory",
        "front, resident memory",
        "front, start to initialize answered",
    ]
    assert "5 not measured" in lines[-1]
    assert running_engines() == []
