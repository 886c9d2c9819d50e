"""A cluster that dies under a run ends it with a sentence, before Ray would end the process without one. (#16)"""

import re
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("has_ray")]

_DRIVER = """
import os, signal, sys
import psutil
from spa_lsp.errors import Unavailable
from tests.trainer.executor.sleeping import Sleeping
from trainer.executor.on_ray import Ray
def take_and_kill(rows):
    for each in psutil.Process().children(recursive=True):
        if each.name() == sys.argv[1]:
            each.kill()
try:
    Ray(n_workers=1).run(Sleeping(), [0, 9999], take_and_kill)
except Unavailable as error:
    print(error)
"""


def all_words(killed):
    """What such a driver writes on stdout, where Ray itself must not write."""
    return subprocess.run([sys.executable, "-c", _DRIVER, killed], capture_output=True, text=True, timeout=500).stdout


def test_where_the_node_dies_it_is_said():
    assert re.fullmatch(r"the Ray node on this machine has died .*\n", all_words("raylet"))


def test_where_the_head_dies_it_is_said():
    assert re.fullmatch(r"the Ray cluster at .* does not answer any more .*\n", all_words("gcs_server"))
