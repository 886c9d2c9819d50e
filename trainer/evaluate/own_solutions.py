"""The benchmarks' own solutions, which the judge must let pass: a block of problems in, their verdicts out."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from trainer.evaluate.benchmarks.problems import Problem
from trainer.evaluate.judge.process_pool import stopped_on_interrupt
from trainer.evaluate.judge.verdict import Verdict, judge
from trainer.evaluate.sandbox import require_sandbox
from trainer.executor.work import Do, Give

BLOCK_PROBLEMS = 32


@dataclass(frozen=True, kw_only=True)
class JudgeSolutions:
    """Judges; no base is asked. `n_programs` run at the same time in this process, elsewhere one for each thread."""

    n_programs: int
    allow_packages: Sequence[str] = ()
    may_be_unsafe: bool = False
    base_id = None

    def start(self, n_threads: int | None) -> Do[Sequence[Problem], tuple[str, Verdict]]:
        """As `Work.start`."""
        require_sandbox(may_be_none=self.may_be_unsafe, packages=self.allow_packages)

        def do(problems: Sequence[Problem], give: Give[tuple[str, Verdict]]) -> None:
            pool = ThreadPoolExecutor(n_threads or self.n_programs)
            try:
                with stopped_on_interrupt():
                    for problem, verdict in zip(problems, pool.map(_judge_one, problems), strict=True):
                        give((problem.task_id, verdict))
            finally:
                pool.shutdown(cancel_futures=True)

        return do


def _judge_one(problem: Problem) -> Verdict:
    [verdict] = judge(problem, [problem.solution], workers=1)
    return verdict
