"""How much faster two workers with a thread each are than one, on two cores that nothing else uses.

python -m tests.trainer.executor.speedup --samples FILE --data FOLDER [--base ID]

The start of the workers is not counted: a run is timed from when each of them has had a piece.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

from tests.trainer.cli.running import trainer
from trainer.cli import options
from trainer.executor.on_ray import Ray


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
    """Pieces' rows per second, in a store of its own."""
    import ray

    ray.init("local", num_cpus=n_workers, include_dashboard=False, log_to_driver=False)
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
    asked = parser.parse_args()
    commands = {
        "attribute": ["attribute", "--limit", 160, "--warmup-samples", 16, "--base", asked.base],
        "evaluate": [
            *["evaluate", "--data", asked.data, "--arms", "base@0.8", "--k", 4, "--limit", 256, "--max-tokens", 16],
            *["--quantization", "fp32", "--base", asked.base],
        ],
    }
    for name, command in commands.items():
        rates = []
        for n_workers in (1, 2):
            with tempfile.TemporaryDirectory() as home, mock.patch.dict(os.environ, SPA_HOME=home):
                trainer("import", asked.samples)
                rates.append(rate(command, n_workers))
        said = f"{name}: {rates[0]:.3f} rows/s with 1 worker, {rates[1]:.3f} with 2: {rates[1] / rates[0]:.2f}x"
        sys.stdout.write(f"{said}\n")


if __name__ == "__main__":
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
    with mock.patch.object(options, "Ray", Timed):
        main()
