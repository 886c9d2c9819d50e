"""How much faster two workers with a thread each are than one, on two cores that nothing else uses.

python -m tests.trainer.executor.speedup --samples FILE --data FOLDER [--base ID] [--stage attribute]

The start of the workers is not counted: a run is timed from when each of them has had a piece. Pieces are cut smaller
than usual, so that the end, where one worker waits for the other, is a small part; some minutes on a quiet machine.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

from tests.trainer.cli.running import trainer
from tests.trainer.executor.conftest import NOT_NICE
from tests.trainer.executor.some_anchors import anchors_file
from trainer.attribute import stage
from trainer.cli import options
from trainer.evaluate import served
from trainer.executor.on_ray import _ENVIRONMENT, _LOOPBACK_ONLY, Ray


class Timed(Ray):
    """Ray, and when how much was there."""

    taken = []

    def run(self, work, pieces, take):
        self.taken.clear()

        def noted(rows):
            self.taken.append((time.monotonic(), len(rows)))
            take(rows)

        super().run(work, pieces, noted)


def rate(command, n_workers):
    """Rows per second, where each worker has one core."""
    import ray

    ray.init("local", num_cpus=n_workers, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    try:
        result = trainer(*command, "--executor", "ray", "--workers", n_workers)
        assert result.exit_code == 0, result.output
    finally:
        ray.shutdown()
    start, others = Timed.taken[n_workers - 1][0], Timed.taken[n_workers:]
    return sum(n for _, n in others) / (others[-1][0] - start)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--base", default="qwen2.5-coder-0.5b-instruct")
    parser.add_argument("--limit", type=int, default=36, help="Samples, and problems.")
    parser.add_argument("--stage", choices=("attribute", "evaluate"), help="Only this one.")
    asked = parser.parse_args()
    commands = {
        "attribute": ["attribute", "--limit", asked.limit, "--warmup-samples", 4, "--base", asked.base],
        "evaluate": [
            *["evaluate", "--data", asked.data, "--arms", "base@0.8", "--k", 4, "--limit", asked.limit],
            *["--max-tokens", 8, "--quantization", "fp32", "--base", asked.base],
        ],
    }
    for name, command in commands.items():
        if asked.stage not in (None, name):
            continue
        rates = []
        for n_workers in (1, 2):
            with tempfile.TemporaryDirectory() as home, mock.patch.dict(os.environ, SPA_HOME=home):
                trainer("import", asked.samples)
                anchors = ["--anchors", anchors_file(Path(home))] if name == "attribute" else []
                rates.append(rate([*command, *anchors], n_workers))
        said = f"{name}: {rates[0]:.3f} rows/s with 1 worker, {rates[1]:.3f} with 2: {rates[1] / rates[0]:.2f}x"
        sys.stdout.write(f"{said}\n")


if __name__ == "__main__":
    os.environ |= _ENVIRONMENT | _LOOPBACK_ONLY | NOT_NICE
    cut = stage._batches
    with (
        mock.patch.object(options, "Ray", Timed),
        mock.patch.object(stage, "_batches", lambda queries, samples, _: cut(queries, samples, 2)),
        mock.patch.object(served, "BLOCK_PROBLEMS", 2),
    ):
        main()
