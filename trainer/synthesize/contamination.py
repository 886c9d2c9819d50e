"""Whether a text has something of a benchmark that we evaluate on: its tasks' names, or ten words in a row.

The words are those of the benchmark's texts, solutions and tests, in small letters and without signs.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from itertools import accumulate
from pathlib import Path
from typing import get_args

from spa_lsp.errors import SpaError
from trainer.evaluate.benchmarks.load import Benchmark, ChoiceBenchmark, CodeBenchmark, load_benchmark
from trainer.evaluate.benchmarks.problems import Problem

GRAM = 10  # words
BENCHMARKS: tuple[Benchmark, ...] = (*get_args(CodeBenchmark), *get_args(ChoiceBenchmark))
_WORD = re.compile(r"[^\W_]+")
_TASK = re.compile(r"\b(?:human_?eval|mbpp)(?:\W{0,3}\d+)?\b", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Known:
    """What the benchmarks have: hashes of their grams, names of their functions. `missing` could not be read."""

    grams: frozenset[int]
    names: frozenset[str]
    benchmarks: tuple[str, ...]
    missing: tuple[str, ...]


def read_benchmarks(data_dir: Path | None, on_benchmark: Callable[[], object] = lambda: None) -> Known:
    """All benchmarks that are there, as `trainer evaluate` finds them; some seconds."""
    grams: set[int] = set()
    names: set[str] = set()
    found, missing = [], []
    for name in BENCHMARKS:
        on_benchmark()
        try:
            problems = load_benchmark(name, data_dir)
        except SpaError:
            missing.append(name)
            continue
        found.append(name)
        names |= {problem.entry_point for problem in problems if problem.entry_point}
        for text in dict.fromkeys(text for problem in problems for text in _texts(problem)):
            grams.update(grams_of(text))
    return Known(grams=frozenset(grams), names=frozenset(names), benchmarks=tuple(found), missing=tuple(missing))


def contamination(texts: Iterable[str], entry_point: str, known: Known) -> str:
    """What of a benchmark these texts have: `name of a task` or `ten words`; empty when nothing."""
    texts = list(texts)
    if entry_point in known.names or any(_TASK.search(text) for text in texts):
        return "name of a task"
    return "ten words" if any(gram in known.grams for text in texts for gram in grams_of(text)) else ""


def _texts(problem: Problem) -> Iterator[str]:
    """Everything of it that could be learned by heart; an infilling as the program that it was cut from."""
    if problem.layout == "infill":
        yield problem.program(problem.solution)
    else:
        yield from (problem.instruction.partition("```\n")[2] or problem.instruction, problem.stub, problem.solution)
    yield problem.test[:4000]  # the first asserts; plus inputs are endless numbers


def grams_of(text: str) -> Iterator[int]:
    """Digests of all its runs of ten words, the same in every process."""
    words = [word.lower() for word in _WORD.findall(text)]
    n_named = [0, *accumulate(not word.isdigit() for word in words)]  # before each word
    for start in range(len(words) - GRAM + 1):
        if n_named[start + GRAM] - n_named[start] > GRAM // 2:  # rows of numbers stand everywhere
            gram = " ".join(words[start : start + GRAM])
            # not `hash`, which another process that shares what is known would compute otherwise
            yield int.from_bytes(blake2b(gram.encode(errors="replace"), digest_size=8).digest())
