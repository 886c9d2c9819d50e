"""HumanEval+ and MBPP+ of EvalPlus (Liu et al. 2023, Apache-2.0): many more inputs, judged beside a reference."""

import gzip
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from trainer.evaluate.benchmarks import oracle
from trainer.evaluate.benchmarks.code import ANSWER_START, ASK, DATA
from trainer.evaluate.benchmarks.files import BenchmarkFile, read_checked
from trainer.evaluate.benchmarks.problems import LIMITS, Problem
from trainer.evaluate.sandbox.limits import Limits

HUMANEVAL_PLUS = BenchmarkFile(
    path="evalplus/HumanEvalPlus.jsonl.gz",
    sha256="272720b90ac375502c8ed23cd791c2a93dfb22a911641a494da74a426c09f101",
    get="get HumanEvalPlus.jsonl.gz of https://github.com/evalplus/humanevalplus_release (v0.1.10) "
    f"into DIR/evalplus/ and {DATA}",
)
MBPP_PLUS = BenchmarkFile(
    path="evalplus/MbppPlus.jsonl.gz",
    sha256="af43697e8791c4c149bdfd6b489d8b5412507551ac20e28a439f650b8225db63",
    get=f"get MbppPlus.jsonl.gz of https://github.com/evalplus/mbppplus_release (v0.2.0) into DIR/evalplus/ and {DATA}",
)
MBPP_399 = BenchmarkFile(
    path="evalplus/MbppPlus-v0.1.0.jsonl",
    sha256="a855b9de667baea8e2f8aa61f898767a7336872208a85222b35622545e819fe9",
    get="get MbppPlus.jsonl.gz of https://github.com/evalplus/mbppplus_release (v0.1.0), unpack it to "
    f"DIR/evalplus/MbppPlus-v0.1.0.jsonl and {DATA}",
)

# Many inputs are made to be slow: the references take up to 6 s, and EvalPlus gives a candidate four times as long and
# 4 GiB. One takes 25 s.
PLUS_LIMITS = Limits(wall_s=60.0, cpu_s=20.0, memory_bytes=1 << 30)
SLOW_LIMITS = {"Mbpp/599": Limits(wall_s=180.0, cpu_s=60.0)}

# Places of inputs whose results, combinations with replacement, have 50 MB to 1 GB as text; 16 MB may leave the sandbox
TOO_LARGE = {"Mbpp/255": (88, 89, 93, 99, 103)}

AGREES: dict[str, oracle.Agrees] = {
    "HumanEval/32": oracle.is_root,
    "Mbpp/164": oracle.anything,
    "Mbpp/295": oracle.equal_or_zero,
    "Mbpp/558": oracle.equal_or_padded_distance,
    "Mbpp/581": oracle.equal_or_upright_surface,
    **dict.fromkeys(
        ("Mbpp/2", "Mbpp/7", "Mbpp/111", "Mbpp/140", "Mbpp/232", "Mbpp/249", "Mbpp/579", "Mbpp/769"), oracle.equal_sets
    ),
    **dict.fromkeys(("Mbpp/737", "Mbpp/787", "Mbpp/794"), oracle.equal_presence),
}


def load_humaneval_plus(data_dir: Path | None) -> list[Problem]:
    """All 164 tasks with base and plus inputs.

    Raises:
        NotFound: the file is not there; says how to get it.
        Damaged: it is not the published file.
    """
    return [_humaneval_plus(row) for row in _rows(gzip.decompress(read_checked(data_dir, HUMANEVAL_PLUS)))]


def load_mbpp_plus(data_dir: Path | None) -> list[Problem]:
    """The 378 tasks of version 0.2.0 with base and plus inputs; errors as `load_humaneval_plus`."""
    rows = _rows(gzip.decompress(read_checked(data_dir, MBPP_PLUS)))
    return [
        _mbpp(row, "mbpp-plus", [*row["base_input"], *row["plus_input"]], SLOW_LIMITS.get(row["task_id"], PLUS_LIMITS))
        for row in rows
    ]


def load_mbpp(data_dir: Path | None) -> list[Problem]:
    """The 399 tasks of version 0.1.0, as many as in SPA's paper, base inputs only; errors as `load_humaneval_plus`."""
    return [_mbpp(row, "mbpp", row["base_input"], LIMITS) for row in _rows(read_checked(data_dir, MBPP_399))]


def _rows(text: bytes) -> Iterable[dict[str, Any]]:
    return map(json.loads, text.splitlines())


def _humaneval_plus(row: Mapping[str, Any]) -> Problem:
    solution = row["prompt"] + row["canonical_solution"]
    inputs = [*row["base_input"], *row["plus_input"]]
    return Problem(
        task_id=row["task_id"],
        entry_point=row["entry_point"],
        solution=solution,
        test=_check(row, solution, inputs),
        benchmark="humaneval-plus",
        layout="instruct",
        instruction=ASK.format(problem=row["prompt"].strip()),
        begun=ANSWER_START,
        stub=row["prompt"],
        limits=PLUS_LIMITS,
    )


def _mbpp(row: Mapping[str, Any], benchmark: str, inputs: Sequence[Any], limits: Limits) -> Problem:
    typed = _with_types(int(row["task_id"].removeprefix("Mbpp/")))
    return Problem(
        task_id=row["task_id"],
        entry_point=row["entry_point"],
        solution=row["canonical_solution"],
        test=_check(row, row["canonical_solution"], [typed(arguments) for arguments in inputs]),
        benchmark=benchmark,
        layout="instruct",
        instruction=ASK.format(problem=row["prompt"].strip()),
        begun=ANSWER_START,
        limits=limits,
    )


def _check(row: Mapping[str, Any], reference: str, inputs: Sequence[Sequence[Any]]) -> str:
    """`check(candidate)`, with a name for the oracle that no solution has."""
    left_out = TOO_LARGE.get(row["task_id"], ())
    asked = [arguments for number, arguments in enumerate(inputs) if number not in left_out]
    return f"""import {oracle.__name__} as evalplus_oracle

def check(candidate):
    evalplus_oracle.check_against_reference(
        candidate,
        reference={reference!r},
        entry_point={row["entry_point"]!r},
        inputs={repr(asked)!r},
        tolerance={row["atol"]!r},
        agrees=evalplus_oracle.{AGREES.get(row["task_id"], oracle.equal).__name__},
    )
"""


Retype = Callable[[list[Any]], Sequence[Any]]


def _with_types(task: int) -> Retype:
    """How the arguments of an MBPP task get back the types that JSON took from them."""
    return next((retype for tasks, retype in RETYPE.items() if task in tasks), list)


def _tuples(lists: Iterable[Any]) -> list[Any]:
    return [tuple(item) for item in lists]


def _all_tuples(value: Any) -> Any:
    return tuple(map(_all_tuples, value)) if isinstance(value, list) else value


# By task number. Source: EvalPlus 0.3.1, evalplus/data/mbpp.py
RETYPE: dict[tuple[int, ...], Retype] = {
    (2, 116, 132, 143, 222, 261, 273, 394, 399, 421, 424, 429, 470, 560, 579, 596, 616, 630, 726, 740, 744, 809): (
        _tuples
    ),
    (63, 64, 70, 94, 120, 237, 272, 299, 400, 409, 417, 438, 473, 614, 780): (
        lambda arguments: [_tuples(argument) for argument in arguments]
    ),
    (75, 413, 444, 753): lambda arguments: [_tuples(arguments[0]), arguments[1]],
    (106, 750): lambda arguments: [arguments[0], tuple(arguments[1])],
    (115,): lambda arguments: [[set(item) if isinstance(item, list) and item else {} for item in arguments[0]]],
    (124,): lambda arguments: [float(arguments[0]), complex(arguments[1])],
    (250, 307, 405, 446, 617, 720, 763, 808): lambda arguments: [tuple(arguments[0]), *arguments[1:]],
    (252,): lambda arguments: [complex(arguments[0])],
    (259, 401, 445): lambda arguments: [tuple(_tuples(argument)) for argument in arguments],
    (278,): lambda arguments: [tuple(tuple(item) if isinstance(item, list) else item for item in arguments[0])],
    (580, 615, 791): _all_tuples,
    (722,): lambda arguments: [{name: tuple(value) for name, value in arguments[0].items()}, *arguments[1:]],
}
