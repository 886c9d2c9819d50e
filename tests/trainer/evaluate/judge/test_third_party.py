"""Third-party imports of a program: what goes, what stays, and what is said to be missing."""

import dataclasses

import pytest

from trainer.evaluate.judge.third_party import missing_package, without_unused
from trainer.evaluate.judge.verdict import judge

FAILED = "ModuleNotFoundError: No module named 'numpy'"


# #13
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("import numpy as np\nx = 1\n", "pass\nx = 1\n"),
        ("import numpy as np, os\nos.sep\n", "import os\nos.sep\n"),
        ("import os, numpy\n", "import os\n"),
        ("from numpy import (\n    array,\n    dot,\n)\ndot(1)\n", "from numpy import dot\n\n\n\ndot(1)\n"),
        ("def f():\n    import pandas.io\n", "def f():\n    pass\n"),
        ("'ä'; import numpy; x = 1\n", "'ä'; pass; x = 1\n"),
        ("if 1: import numpy, scipy\n", "if 1: pass\n"),
        ("import numpy\ndel numpy\n", "import numpy\ndel numpy\n"),
        ("import numpy as np\nx: np.array = 1\n", "import numpy as np\nx: np.array = 1\n"),
        ("from numpy import *\n", "from numpy import *\n"),
        ("from . import numpy\n", "from . import numpy\n"),
        ("import os, heapq\n", "import os, heapq\n"),
        ("try:\n    import numpy\nexcept ImportError:\n    x = 1\n",) * 2,
        ("import numpy as np\nx = (\n",) * 2,
    ],
)
def test_only_third_party_imports_that_nothing_reads_go(before, after):
    assert without_unused(before) == after


# #13
@pytest.mark.parametrize(
    ("program", "error", "package"),
    [
        ("import numpy.linalg as l\nl.norm(1)\n", FAILED, "numpy"),
        ("import pandas\npandas.x\n", "ModuleNotFoundError: No module named 'dateutil.tz'", "dateutil"),
        ("import numpy\n", "AssertionError: 3", ""),
        ("raise ModuleNotFoundError(\"No module named 'numpy'\")\n", FAILED, ""),
        ("import numpy\nimport nt\n", "ModuleNotFoundError: No module named 'nt'", ""),
        ("import no_such\nno_such.f()\n", "ModuleNotFoundError: No module named 'no_such'", ""),
    ],
)
def test_a_program_needs_the_package_that_it_was_ended_for(program, error, package):
    assert missing_package(program, error) == package


@pytest.fixture
def asked(problem):
    """A problem whose completions are whole modules."""
    solution = problem.program(problem.solution)
    return dataclasses.replace(problem, prefix="", suffix="", solution=solution)


# #13
@pytest.mark.usefixtures("sandbox")
def test_a_right_answer_with_an_unused_import_passes(asked):
    [verdict] = judge(asked, [f"import no_such_package as np\n{asked.solution}"])
    assert (verdict.kind, verdict.error) == ("pass", "")


# #13
@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize(
    "answer",
    [
        "import pandas as np\ndef total(numbers):\n    return np.sum(numbers)\n",
        "def total(numbers):\n    import pandas as np\n    return np.sum(numbers)\n",
    ],
    ids=["at load", "at the call"],
)
def test_an_answer_that_uses_a_missing_package_needs_it_and_is_not_wrong(asked, answer):
    [verdict] = judge(asked, [answer])
    assert (verdict.kind, verdict.label) == ("needs_package", "needs pandas")


# #13
@pytest.mark.usefixtures("sandbox")
def test_an_answer_that_does_without_the_package_is_judged(asked):
    start = "try:\n    import no_such_package\nexcept ImportError:\n    no_such_package = None\n"
    verdicts = judge(asked, [start + asked.solution, f"{start}def total(numbers):\n    return 7\n"])
    assert [verdict.kind for verdict in verdicts] == ["pass", "fail"]


# #14
@pytest.mark.usefixtures("sandbox")
def test_an_invented_module_is_a_wrong_answer(asked):
    [verdict] = judge(asked, ["import no_such_package as np\ndef total(numbers):\n    return np.sum(numbers)\n"])
    assert (verdict.kind, verdict.label) == ("fail", "fail")


# #14
@pytest.mark.parametrize("line", ["import no_such.inner", "from no_such import x"])
def test_a_package_that_the_solution_imports_is_needed_though_nobody_knows_it(line):
    error = "ModuleNotFoundError: No module named 'no_such'"
    assert missing_package("import no_such\nno_such.f()\n", error, f"{line}\n") == "no_such"
