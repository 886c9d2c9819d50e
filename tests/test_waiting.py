"""Threads that wait give their core back soon: on a busy machine the engine would else crawl."""

import os
import subprocess
import sys

import pytest

PROGRAM = "from spa_lsp.waiting import spin_briefly; spin_briefly(); import torch"


def read_by_libgomp(**environment):
    """What libgomp says that it goes by, name by name, where torch is imported behind `spin_briefly`."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**bare, "OMP_DISPLAY_ENV": "VERBOSE", **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = (line.partition("=") for line in done.stderr.splitlines() if "SPINCOUNT" in line or "WAIT_POLICY" in line)
    return {name.split()[-1]: value.strip(" '") for name, _, value in lines}


@pytest.mark.skipif(sys.platform != "linux", reason="libgomp is torch's on Linux")
@pytest.mark.parametrize(
    ("environment", "name", "value"),
    [
        ({}, "GOMP_SPINCOUNT", "2500"),
        ({"GOMP_SPINCOUNT": "70"}, "GOMP_SPINCOUNT", "70"),
        ({"OMP_WAIT_POLICY": "PASSIVE"}, "GOMP_SPINCOUNT", "0"),
    ],
)
def test_libgomp_spins_briefly_unless_the_user_has_said_how_it_waits(environment, name, value):
    assert read_by_libgomp(**environment)[name] == value
