import ast

import pytest

from spa_lsp.text.ipython import as_python, cell_language


@pytest.mark.parametrize(
    "line",
    [
        "%matplotlib inline",
        "%%time",
        "!pip install 'numpy",
        "!pip install \\\n    numpy",
        "df.head?",
        "?df",
        "df??",
        "files = !ls (",
        "t['a'], b = %sql select '",
        "if a:\n    !ls",
        "for a in b:\n    %debug",
        "%time y = f(1)",
        "%timeit -n 3 f(",
        "!",
    ],
)
def test_lines_of_ipython_become_python_of_the_same_length(line):
    assert len(as_python(line)) == len(line) and ast.parse(f"a = 1\n{as_python(line)}\nb = 2")


@pytest.mark.parametrize(
    "code",
    [
        "a = b % c",
        "x = (a\n  % b)",
        "if (a\n  != b): pass",
        'f"{a!r}?"',
        "s = '''\n%s'''",
        "a = b = c != d",
        "# what?",
        "print('%s' % 1)",
        "x[a] %= 2",
    ],
)
def test_python_is_left_alone(code):
    assert as_python(code) == code


def test_the_python_behind_a_magic_counts():
    assert ast.unparse(ast.parse(as_python("%time total = sum(\n    prices)"))) == "0\ntotal = sum(prices)"


def test_a_long_line_of_spaces_is_read_at_once():
    assert as_python(" " * 100_000 + "x") == " " * 100_000 + "x"


@pytest.mark.parametrize(
    "text, language",
    [
        ("%%bash\nls", "shellscript"),
        ("\n%%script bash --out x\nls", "shellscript"),
        ("%%sql\nselect 1", "sql"),
        ("%%javascript\nlet a", "javascript"),
        ("%%time\nf()", "python"),
        ("%time f()", "python"),
        ("%%writefile a.txt\nDear", "plaintext"),
        ("%%nobody_knows\nx", "plaintext"),
    ],
)
def test_a_cell_magic_says_the_language_of_its_cell(text, language):
    assert cell_language(text, "python") == language


def test_only_python_cells_have_magics():
    assert cell_language("%%bash", "julia") == "julia"
