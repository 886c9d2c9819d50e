"""Benchmarks of our own in the published forms: a few invented tasks each, and loaders told to expect them."""

import csv
import gzip
import hashlib
import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from trainer.evaluate.benchmarks import choice, code, evalplus, files, mbpp_gaps, problems

CANARY = "own canary 0000"

HUMANEVAL = [
    {
        "task_id": "HumanEval/0",
        "prompt": 'from typing import List\n\n\ndef total(numbers: List[int]) -> int:\n    """Sum."""\n',
        "entry_point": "total",
        "canonical_solution": "    return sum(numbers)\n",
        "test": "def check(candidate):\n    assert candidate([1, 2]) == 3\n",
    },
    {
        "task_id": "HumanEval/1",
        "prompt": 'def shift(text):\n    return text[1:] + text[:1]\n\n\ndef unshift(text):\n    """Undo shift."""\n',
        "entry_point": "unshift",
        "canonical_solution": "    return text[-1:] + text[:-1]\n",
        "test": "def check(candidate):\n    assert candidate(shift('abc')) == 'abc'\n",
    },
]
SANITIZED = [
    {
        "task_id": 1,
        "prompt": "Write a function to round down.",
        "code": "import math\ndef helper(x):\n  return math.floor(x)\ndef down(x):\n  return helper(x)",
        "test_imports": ["import math"],
        "test_list": ["assert down(1.5) == math.floor(1.5)", "assert down(-0.5) == -1"],
    },
    {
        "task_id": 2,
        "prompt": "Write a function to find an initial vowel.",
        "code": "import re\ndef check_str(text):\n  return re.match('[aeiou]', text)",
        "test_imports": [],
        "test_list": ["assert check_str('own')", "assert not check_str('tiny')"],
    },
]
HUMANEVAL_PLUS = [
    {
        **HUMANEVAL[0],
        "base_input": [[[1, 2]]],
        "plus_input": [[[]], [[-5, 5, 7]]],
        "atol": 0,
    }
]
MBPP_PLUS = [
    {
        "task_id": "Mbpp/2",  # a task whose arguments are tuples and whose order is open
        "prompt": '"""\nWrite a function to find what two tuples share.\nassert shared((1,), (1,)) == (1,)\n"""\n',
        "entry_point": "shared",
        "canonical_solution": "\ndef shared(one, two):\n  assert type(one) is tuple\n  return (*({*one} & {*two}),)\n",
        "base_input": [[[1, 2], [2, 3]]],
        "plus_input": [[[1, 2, 3], [3, 2]]],
        "atol": 0,
    },
    {
        "task_id": "Mbpp/737",  # one whose reference returns a match object
        "prompt": '"""\nWrite a function to find an initial vowel.\nassert check_str("own")\n"""\n',
        "entry_point": "check_str",
        "canonical_solution": "\nimport re\ndef check_str(text):\n  return re.match('[aeiou]', text)\n",
        "base_input": [["own"]],
        "plus_input": [["tiny"]],
        "atol": 0,
    },
]
INFILLING = [
    {
        "task_id": f"{kind}LineInfilling/HumanEval/{task}/L{line}",
        "entry_point": "total",
        "prompt": "def total(numbers):\n    result = 0\n",
        "suffix": "    return result\n",
        "canonical_solution": "    for number in numbers:\n        result += number\n",
        "test": "def check(candidate):\n    assert candidate([1, 2]) == 3\n",
    }
    for kind in ("Single", "Multi")
    for task in (0, 1)
    for line in (0, 1)
]
MBPP = [
    {
        "task_id": number,
        "text": "Write a function to add up.",
        "code": "def total(numbers):\r\n    result = 0\r\n    for number in numbers:\r\n"
        "        result += number\r\n    return result",
        "test_list": ["assert total([1, 2]) == 3", "assert total([]) == 0"],
        "test_setup_code": "",
    }
    for number in (1, 510, 511, 927, 970)  # the first two are of the test split, the fourth is a bad one
]
BBH = {
    "navigate": [("Do you return? Take no step.\nOptions:\n- Yes \n- No", "Yes")],
    "ruin_names": [("Which is it?\nOptions:\n(A) that one\n(B) this one", "(B)"), ("Which?\n(A) one", "spoilt, text")],
    "web_of_lies": [("Ann lies. Does Ann tell the truth?", "No")],
    "object_counting": [("I have a pear. How many?", "1")],
}
GPQA = [
    {
        "Record ID": f"rec{number}",
        "Question": f"What is {number} and 1?\n",
        "Correct Answer": f"{number + 1}",
        **{f"Incorrect Answer {n}": f" {number + 1 + n}" for n in (1, 2, 3)},
        "Canary String": CANARY,
    }
    for number in range(8)
]
MMLU = {"own_subject": [["What is one?", "0", "1", "2", "3", "B"]], "another": [["A, or B?", "a", "b", "c", "d", "D"]]}
WINOGRANDE = [
    {"sentence": "The cup is in the bag as the _ is big.", "option1": "cup", "option2": "bag", "answer": "2"},
    {"sentence": "The cup is in the bag as the _ is small.", "option1": "cup", "option2": "bag", "answer": "1"},
]


@pytest.fixture
def tiny_data(tmp_path, monkeypatch) -> Path:
    """A folder of benchmarks in which every file is tiny and expected."""
    folder = tmp_path / "benchmarks"
    _files(folder, monkeypatch)
    _rows(folder, monkeypatch)
    return folder


def _files(folder, monkeypatch):
    for module, name, rows in [
        (code, "HUMANEVAL", HUMANEVAL),
        (evalplus, "HUMANEVAL_PLUS", HUMANEVAL_PLUS),
        (evalplus, "MBPP_PLUS", MBPP_PLUS),
        (evalplus, "MBPP_399", MBPP_PLUS),
    ]:
        source = getattr(module, name)
        _expect(monkeypatch, module, name, _write(folder / source.path, _lines(rows)))
    for kind, prefix in (("single", "Single"), ("multi", "Multi")):
        rows = [row for row in INFILLING if row["task_id"].startswith(prefix)]
        name, _ = problems.FILES[kind]
        sha256 = _write(folder / problems.FOLDER / name, _lines(rows))
        monkeypatch.setitem(problems.FILES, kind, (name, sha256))


def _rows(folder, monkeypatch):
    _write(folder / code.SANITIZED.path, json.dumps(SANITIZED).encode())
    _expect(monkeypatch, code, "SANITIZED", files.rows_sha256(SANITIZED))
    _write(folder / mbpp_gaps.MBPP.path, _lines(MBPP))
    _expect(monkeypatch, mbpp_gaps, "MBPP", files.rows_sha256(MBPP))
    bbh = {
        name: {"canary": CANARY, "examples": [{"input": question, "target": target} for question, target in rows]}
        for name, rows in BBH.items()
    }
    for name, task in bbh.items():
        _write(folder / choice.BBH.path / f"{name}.json", json.dumps(task).encode())
    _expect(monkeypatch, choice, "BBH", files.rows_sha256(bbh))
    for subject, rows in MMLU.items():
        _write(folder / choice.MMLU.path / f"{subject}_test.csv", _csv(rows))
    _expect(monkeypatch, choice, "MMLU", files.rows_sha256(MMLU))
    _write(folder / choice.WINOGRANDE.path, _lines(WINOGRANDE))
    _expect(monkeypatch, choice, "WINOGRANDE", files.rows_sha256([list(row.values()) for row in WINOGRANDE]))
    _write_gpqa(folder / choice.GPQA.path / "dataset.zip")
    table = [[row[column] for column in choice.GPQA_COLUMNS] for row in GPQA]
    _expect(monkeypatch, choice, "GPQA", files.rows_sha256(table))


def _expect(monkeypatch, module, name, sha256):
    monkeypatch.setattr(module, name, replace(getattr(module, name), sha256=sha256))


def _write(path: Path, content: bytes) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _lines(rows) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def _csv(rows) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _write_gpqa(path: Path):
    """Without a password: Python's zipfile reads such zips but does not write them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("dataset/gpqa_main.csv", _csv([GPQA[0].keys(), *(row.values() for row in GPQA)]))
