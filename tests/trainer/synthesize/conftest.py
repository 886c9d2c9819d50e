"""A small repository, and a base that says what it is told to."""

import os
import re
import subprocess
from dataclasses import dataclass, field
from functools import cache

import pytest

from spa_lsp.completion import Alternative, CompletionResult
from trainer.configs import SynthesizeConfig
from trainer.synthesize import stage
from trainer.synthesize.contamination import read_benchmarks

CLAMP = '''"""Helpers."""

import math

LIMIT = 10


def clamp(value: int, low: int = 0, high: int = LIMIT) -> int:
    """Keep a value between two bounds.

    >>> clamp(12)
    10
    """
    if value < low:
        return low
    return min(value, high)


def initials(name: str) -> str:
    """The first letters of all words of a name, in capitals."""
    return "".join(word[0].upper() for word in name.split())


def announce(name: str) -> str:
    """Say hello on the screen, and return what was said."""
    print("hello", name)
    return name
'''
RIGHT = (
    "    return max(low, min(value, high))\n",
    "    if value > high:\n        return high\n    return value if value > low else low\n",
    "    for bound in (low, high):\n        if (value < bound) == (bound == low):\n            return bound\n"
    "    return value\n",
)
WRONG = ("    return value\n", "    return low\n", "    return max(value, high)\n")
INITIALS = (
    "    return ''.join(part[0].upper() for part in name.split())\n",
    "    found = ''\n    for part in name.split():\n        found += part[0].upper()\n    return found\n",
    "    return name[:1]\n",
)


@cache
def _read_once(data_dir, _spa_data):
    return read_benchmarks(data_dir)


@pytest.fixture(autouse=True)
def benchmarks_read_once(monkeypatch):
    """Reading what synthesis must keep clear of takes longer than most tests of it."""

    def read(data_dir, on_benchmark):
        return _read_once(data_dir, os.environ.get("SPA_DATA"))

    monkeypatch.setattr(stage, "read_benchmarks", read)


@pytest.fixture
def make_repository(tmp_path):
    """Make a Git repository of some files with one commit; its folder."""

    def make(files, name="project"):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            content = text if isinstance(text, bytes) else text.encode()
            (folder / path).write_bytes(content)
        git(folder, "init", "-q")
        git(folder, "add", "-A", "-f")
        git(folder, "commit", "-q", "-m", "first")
        return folder

    return make


def git(folder, *arguments):
    names = ("-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "protocol.file.allow=always")
    return subprocess.run(
        ["git", "-C", str(folder), *names, *arguments], check=True, capture_output=True, text=True
    ).stdout


@pytest.fixture
def project(make_repository):
    return make_repository(
        {"helpers.py": CLAMP, "LICENSE": "MIT License\n\nPermission is hereby granted, free of charge"}
    )


@dataclass
class CannedBase:
    """Answers questions for code with `bodies` of the function that is begun, in turn, and others with `others`."""

    bodies: dict[str, tuple[str, ...]] = field(
        default_factory=lambda: {"clamp": (*RIGHT, *WRONG), "initials": INITIALS}
    )
    others: dict[str, str] = field(default_factory=dict)  # answers by a part of the question
    asked: list = field(default_factory=list)
    stops_after: int | None = None  # questions; then it is killed

    def complete_many(self, requests):
        return [self._answer(request) for request in requests]

    def _answer(self, request):
        if self.stops_after is not None and len(self.asked) >= self.stops_after:
            raise KeyboardInterrupt
        self.asked.append(request)
        texts = [self._text(request, number) for number in range(request.k)]
        rows = tuple(
            Alternative(text=text, adapter="base", label="", index=n, mean_logprob=0.0, n_tokens=9, finish="stop")
            for n, text in enumerate(texts)
        )
        return CompletionResult(base="canned", adapter_set="", quantization="fp32", device="cpu", alternatives=rows)

    def _text(self, request, number):
        for part, text in self.others.items():
            if part in request.prefix:
                return text
        name = re.search(r"def (\w+)\(", request.begun)
        bodies = self.bodies.get(name[1], ()) if name else ()
        return bodies[(number + len(self.asked)) % len(bodies)] + "```\n" if bodies else "I do not know."


@pytest.fixture
def canned():
    return CannedBase()


@pytest.fixture
def config():
    return SynthesizeConfig(recipe="behaviour", responses=15)
