"""Runs one program to its end.

It counts as completed when it ran to its end, which a random line shows that the stub hands over only then; an exit
status shows nothing (`os._exit(0)`). That line lies within the reach of the program that runs in the same process, so a
program written to cheat can find it. `judge` does not rely on it: there the tests run in another process.
"""

import secrets
import subprocess
import tempfile
import time

from trainer.evaluate.sandbox.capture import capture
from trainer.evaluate.sandbox.limits import Limits
from trainer.evaluate.sandbox.outcome import Outcome, classify
from trainer.evaluate.sandbox.process import Backend, start


def run(source: str, backend: Backend, limits: Limits, *, hash_seed: int = 0) -> Outcome:
    """Run `source` as a program of its own. Limits that it reaches are outcomes, not errors."""
    nonce = secrets.token_hex(16).encode()
    text = source.encode("utf-8", "surrogatepass")
    started = time.monotonic()
    with tempfile.TemporaryFile() as inbox:  # a file and not a pipe: a sandbox that never reads cannot block us
        inbox.write(text + nonce)
        inbox.seek(0)
        try:
            process = start(
                backend,
                n_source_bytes=len(text),
                limits=limits,
                stdin=inbox,
                stdout=subprocess.PIPE,
                hash_seed=hash_seed,
            )
        except OSError as failure:
            return Outcome(kind="sandbox_error", seconds=time.monotonic() - started, error=str(failure))
    captured = capture(process, deadline=started + limits.wall_s, limits=limits)
    seconds = time.monotonic() - started
    kind, error = classify(captured, nonce=nonce, is_cpu_spent=seconds >= limits.cpu_s)
    return Outcome(kind=kind, seconds=seconds, error=error, output=captured.output.decode("utf-8", "replace"))
