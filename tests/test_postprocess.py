import pytest

from spa_lsp.postprocess import drop_open_line, polish


@pytest.mark.parametrize(
    ("text", "suffix", "expected"),
    [
        ("return a + b", "\n", "return a + b"),
        ("return a + b  \n\n", "\n", "return a + b"),
        ("", "\n", None),
        (" \n\t\n", "\n", None),
        # the line behind the cursor
        ("a, b):", "):\n", "a, b"),
        ("a, b)", "):\n", "a, b"),
        ("f(x)", ")\n", "f(x)"),
        ("x)", ")\n", "x"),
        ("value", " else 0\n", "value"),
        ("1 else 0", " else 0\n", "1"),
        ("a, b):\n    return a", "):\n", "a, b"),
        ('hello")', '")\n', "hello"),
        # the lines after it
        ("x = 1\n    return x", "\n    return x\n", "x = 1"),
        ("x = 1\n    return x\n    y = 2", "\n    return x\n", "x = 1"),
        ("x = 1\n    return x", "\n\n\n    return x\n", "x = 1"),
        ("x = 1\n    return x", "\n        return x\n", "x = 1\n    return x"),
        ("if (x) {\n  a();\n}", "\n}\n", "if (x) {\n  a();"),
        ("if (x) {\n}\nelse {\n  a();", "\n}\n", "if (x) {\n}\nelse {\n  a();"),
        ("return x", "\nreturn x\n", "return x"),
        ("x = 1\ny = 2", "", "x = 1\ny = 2"),
    ],
)
def test_completions_are_polished(text, suffix, expected):
    assert polish(text, suffix) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a = 1\nb =", "a = 1"), ("total +=", "total +="), ("\n  x", "\n  x"), ("a\n", "a"), ("", "")],
)
def test_a_line_that_broke_off_is_dropped_unless_it_is_the_only_one(text, expected):
    assert drop_open_line(text) == expected
