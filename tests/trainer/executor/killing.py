"""Workers that are killed: by their own hand at a point of the work, or by another at a random moment."""

import os
import random
import signal
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from trainer.executor.on_ray import Ray

POINTS = ("at its start", "before a piece", "in a piece", "after a piece")


@dataclass(frozen=True)
class Mortal:
    """Work whose first worker that comes to a point dies there."""

    work: object
    point: str
    mark: Path  # made by the one that dies

    @property
    def base_id(self):
        return self.work.base_id

    def start(self, n_threads):
        do = self.work.start(n_threads)
        self._come_to("at its start")

        def do_and_die(piece, give):
            def give_and_die(row):
                give(row)
                self._come_to("in a piece")

            self._come_to("before a piece")
            do(piece, give_and_die)
            self._come_to("after a piece")

        return do_and_die

    def _come_to(self, point):
        if point == self.point:
            with suppress(FileExistsError):
                self.mark.touch(exist_ok=False)
                os.kill(os.getpid(), signal.SIGKILL)


def kills_at(point, folder):
    """Ray, and in each run one worker dies at that point."""

    class KillsAt(Ray):
        killed = []

        def run(self, work, pieces, take):
            mark = folder / f"killed-{len(self.killed)}"
            self.killed.append(mark)
            super().run(Mortal(work, point, mark), pieces, take)
            assert mark.exists()

    return KillsAt


def kills_sometime(seed):
    """Ray, and in each run one worker is killed at a random moment after some rows were taken, or none."""

    class KillsSometime(Ray):
        rng = random.Random(seed)
        killed = []

        def run(self, work, pieces, take):
            n_before, former = self.rng.randrange((len(pieces) + 1) // 2), workers()
            n_taken, is_over = 0, threading.Event()

            def kill():
                while not is_over.wait(self.rng.random() / 5):
                    own = sorted(workers() - former)  # those of a run before may still be ending
                    if n_taken >= n_before and own:
                        with suppress(ProcessLookupError):
                            os.kill(victim := self.rng.choice(own), signal.SIGKILL)
                            self.killed.append(victim)
                            return

            def counted(rows):
                nonlocal n_taken
                take(rows)
                n_taken += 1

            killer = threading.Thread(target=kill)
            killer.start()
            try:
                super().run(work, pieces, counted)
            finally:
                is_over.set()
                killer.join()

    return KillsSometime


def workers():
    """Ids of the processes below this one that are workers; one that ends meanwhile is none."""
    found = set()
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if process.name().startswith("ray::_Worker"):
                found.add(process.pid)
    return found
