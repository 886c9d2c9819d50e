"""Every test gets homes of its own; a tiny random base with adapters stands in where a model is needed.

The default base is used only by tests marked `model`: they keep the machine's cache.
"""

import gc
import hashlib
import json
import os
import shutil
import signal
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest

from spa_lsp.waiting import spin_briefly

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
spin_briefly()  # engines compute beside the tests, on the same cores

# A run in the background ignores SIGINT, and so would the programs that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

TINY_ID = "tiny-qwen2"
TINY_MERGED = 280
TINY_SHA256 = hashlib.sha256(b"tiny").hexdigest()
SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|fim_prefix|>",
    "<|fim_middle|>",
    "<|fim_suffix|>",
    "<|fim_pad|>",
    "<|repo_name|>",
    "<|file_sep|>",
)
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TINY_INFILL = (
    'prefix = "<|fim_prefix|>", suffix = "<|fim_suffix|>", middle = "<|fim_middle|>", '
    'repository = "<|repo_name|>", file = "<|file_sep|>"'
)
TINY_CATALOG = f"""
[bases."{TINY_ID}"]
repo = "tests/tiny"
parameters = 30_000
licence = "Apache-2.0"
revision = "main"
file = "tiny.gguf"
format = "gguf"
n_bytes = 4
sha256 = "{TINY_SHA256}"
is_verified = true
context_tokens = 512
infill = {{ {TINY_INFILL} }}
instruct = "<|im_start|>user\\n{{instruction}}<|im_end|>\\n<|im_start|>assistant\\n"
stop_tokens = ["<|endoftext|>", "<|im_end|>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>",
  "<|repo_name|>", "<|file_sep|>"]
neutral_tokens = {json.dumps(SPECIAL_TOKENS)}
sources = [{{ kind = "folder" }}]
"""


def pytest_configure(config):
    hidden = os.environ.get("SPA_TEST_HIDE", "").split()
    if hidden:  # what is hidden and why: tests/hidden.py
        from tests.hidden import hide

        folder = tempfile.TemporaryDirectory(prefix="spa-hidden-")
        config.add_cleanup(folder.cleanup)
        hide(hidden, Path(folder.name))


# of these folders and files all tests have the mark
_MARKED = {
    "tests/storage": "store",
    "tests/trainer/rows": "store",
    "tests/trainer/attribute": "attribution",
    "tests/trainer/partition": "attribution",
    "tests/trainer/pipeline/test_check.py": "attribution",
    "tests/trainer/pipeline/test_gate.py": "attribution",
    "tests/trainer/pipeline/test_explain.py": "attribution",
    "tests/trainer/pipeline/test_solutions.py": "attribution",
}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Marks by place; and what the settings except stays excepted under `-W error`, which would come after them."""
    for item in items:
        place = item.path.relative_to(config.rootpath).as_posix()
        for start in (start for start in _MARKED if place == start or place.startswith(f"{start}/")):
            item.add_marker(_MARKED[start])
    exceptions = [line for line in config.getini("filterwarnings") if line.startswith("ignore")]
    for item in items:
        for line in exceptions:
            item.add_marker(pytest.mark.filterwarnings(line))


def set_aside():
    """Take what is alive now out of garbage collection.

    With all that tests import one takes seconds, and every load of an engine asks for one.
    """
    gc.collect()
    gc.freeze()


def pytest_collection_finish():
    set_aside()


def pytest_addoption(parser):
    parser.addoption("--quick", action="store_true", help="Small counts in the suites that take long by hand.")


_COUNTS = pytest.StashKey[dict[str, list[int]]]()
_FOUND = pytest.StashKey[list[str]]()


@pytest.fixture
def tally(request):
    """Add to what the end of the run says was tried and has failed."""

    def tally(what, n_tried, n_failed):
        counts = request.config.stash.setdefault(_COUNTS, {}).setdefault(what, [0, 0])
        counts[:] = counts[0] + n_tried, counts[1] + n_failed

    return tally


@pytest.fixture
def found(request):
    """Say at the end of the run what was measured."""
    return request.config.stash.setdefault(_FOUND, []).append


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    for name in ("protocol", "liveness"):
        if item.get_closest_marker(name) and (report.when == "call" or report.failed):
            counts = item.config.stash.setdefault(_COUNTS, {}).setdefault(f"{name} tests", [0, 0])
            counts[:] = counts[0] + (report.when == "call"), counts[1] + report.failed
    return report


def pytest_terminal_summary(terminalreporter, config):
    for what, (n_tried, n_failed) in config.stash.get(_COUNTS, {}).items():
        terminalreporter.write_line(f"{what}: {n_tried} tried, {n_failed} failed")
    for line in config.stash.get(_FOUND, []):
        terminalreporter.write_line(line)


@pytest.fixture(autouse=True)
def homes(request, tmp_path, monkeypatch):
    """Data, cache and runtime folders of this test alone."""
    monkeypatch.setenv("SPA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SPA_CONFIG", str(tmp_path / "config"))
    if request.node.get_closest_marker("model") is None:
        monkeypatch.setenv("SPA_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("SPA_MODELS", raising=False)
    runtime = tempfile.mkdtemp(prefix="spa")  # not in tmp_path: a socket's path may have only 107 bytes
    monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
    yield
    shutil.rmtree(runtime, ignore_errors=True)


@pytest.fixture(scope="session")
def tiny_base_folder(tmp_path_factory) -> Path:
    """A random two-layer Qwen2 base as `models pull --for-training` would leave it; for session-scoped fixtures."""
    from spa_lsp.lm.weights_file import float_tensors, write_int8

    folder = tmp_path_factory.mktemp("tiny") / TINY_ID
    save_tiny_tokenizer(folder)
    make_tiny_model().save_pretrained(folder)
    write_int8(folder / "int8.safetensors", float_tensors(folder / "model.safetensors"))
    write_base_record(folder)
    set_aside()
    return folder


@pytest.fixture(scope="session")
def compiled(tmp_path_factory) -> Path:
    """A cache that holds the int8 kernel, compiled once for all tests; empty where there is no compiler."""
    from spa_lsp.lm.kernel import NoKernel, build_kernel

    cache = tmp_path_factory.mktemp("compiled")
    with pytest.MonkeyPatch.context() as patch, suppress(NoKernel):
        patch.setenv("SPA_CACHE", str(cache))
        build_kernel()
    return cache


@pytest.fixture
def tiny_base(tiny_base_folder, compiled, homes) -> Path:
    """The tiny base installed in this test's cache under the id `tiny-qwen2`, which its catalog then knows."""
    from spa_lsp import paths

    shutil.copytree(compiled, paths.cache_dir(), dirs_exist_ok=True)
    paths.data_dir().mkdir(parents=True, exist_ok=True)
    (paths.data_dir() / "catalog.toml").write_text(TINY_CATALOG)
    folder = paths.bases_dir() / TINY_ID
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.symlink_to(tiny_base_folder, target_is_directory=True)
    return folder


@pytest.fixture
def tiny_copy(tiny_base) -> Path:
    """The tiny base as `tiny_base` gives it, but in files of this test's own, which it may damage."""
    folder = tiny_base.resolve()
    tiny_base.unlink()
    return Path(shutil.copytree(folder, tiny_base))


@pytest.fixture(scope="session")
def tiny_peft_adapters(tiny_base_folder, tmp_path_factory) -> dict[str, Path]:
    """Eight PEFT folders `a1` … `a8` of random rank-4 adapters on the tiny base, all different."""
    parent = tmp_path_factory.mktemp("adapters")
    made = {f"a{n}": make_peft_adapter(tiny_base_folder, parent / f"a{n}", rank=4, seed=n) for n in range(1, 9)}
    set_aside()
    return made


def save_tiny_tokenizer(folder: Path) -> None:
    """A byte-level BPE of 256 bytes, three dozen merges and Qwen's special tokens, cut by Qwen's own rules."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import Qwen2Tokenizer

    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=TINY_MERGED, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    learner.train_from_iterator(["def add(a, b):\n    return a + b\n\n    for item in items:\n"] * 4, trainer)
    learned = json.loads(learner.to_str())["model"]
    tokenizer = Qwen2Tokenizer(
        vocab=learned["vocab"],
        merges=[tuple(pair) for pair in learned["merges"]],
        unk_token=None,
        bos_token="<|endoftext|>",
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        extra_special_tokens=list(SPECIAL_TOKENS),
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    tokenizer.save_pretrained(folder)


def make_tiny_model(*, seed: int = 0, hidden_size: int = 32):
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=320,  # some more than the tokenizer has, as in Qwen
        hidden_size=hidden_size,
        intermediate_size=2 * hidden_size,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        tie_word_embeddings=False,
        # the usual 0.02 gives flat logits, whose ties make greedy decoding a coin toss
        initializer_range=0.5 * (32 / hidden_size) ** 0.5,
    )
    return Qwen2ForCausalLM(config).eval()


def make_peft_adapter(base_folder: Path, folder: Path, *, rank: int, seed: int, alpha: int = 8) -> Path:
    """A PEFT folder with both LoRA matrices random: PEFT's own start, B = 0, would change nothing."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    from trainer.configs import ALL_LINEARS

    base = AutoModelForCausalLM.from_pretrained(base_folder, dtype=torch.float32)
    config = LoraConfig(r=rank, lora_alpha=alpha, target_modules=list(ALL_LINEARS), task_type="CAUSAL_LM")
    model = get_peft_model(base, config)
    generator = torch.Generator().manual_seed(seed)
    for name, weight in model.named_parameters():
        if "lora_" in name:
            weight.data = torch.randn(weight.shape, generator=generator) * 0.2
    model.save_pretrained(str(folder))
    return folder


def write_base_record(folder: Path) -> None:
    """The `base.json` that a conversion leaves."""
    files = {
        path.name: {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "bytes": path.stat().st_size}
        for path in sorted(folder.iterdir())
    }
    record = {"id": TINY_ID, "source_sha256": TINY_SHA256, "files": files, "transformers": "any"}
    (folder / "base.json").write_text(json.dumps(record))
