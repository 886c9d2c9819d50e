"""Golden cases of each rule: `before → after`, where it must act and where it must not."""

import pytest

from spa_lsp.text.postprocess import RULES, polish
from spa_lsp.text.postprocess.brackets import cut_surplus_brackets, n_replaced
from spa_lsp.text.postprocess.indent import use_unit
from spa_lsp.text.postprocess.lines import (
    drop_open_line,
    drop_tiny,
    fix_indentation,
    keep_line,
    keep_statement,
    strip_blanks,
)
from spa_lsp.text.postprocess.loops import cut_loops
from spa_lsp.text.postprocess.secret_text import has_secret
from spa_lsp.text.postprocess.suffix import cut_at_next_line, drop_line_rest, drop_repeated_lines
from spa_lsp.text.site import Site


def site(marked="‸", language="python", **fields):
    prefix, _, suffix = marked.partition("‸")
    return Site(prefix=prefix, suffix=suffix, language=language, **fields)


@pytest.mark.parametrize(
    ("text", "suffix", "expected"),
    [
        ("return a + b", "\n", "return a + b"),
        ("return a + b  \n\n", "\n", "return a + b"),
        ("", "\n", ""),
        (" \n\t\n", "\n", ""),
        ("a, b):\n    return a", "):\n", "a, b"),
        ("x = 1\n    return x", "\n    return x\n", "x = 1"),
        ("value", " else 0\n", "value"),
        ("x = 1\ny = 2", "", "x = 1\ny = 2"),
        ('token = "ghp_' + "a1" * 18 + '"', "\n", ""),
        ("x = 1\n" * 9, "\n", "x = 1\n" * 8 + "x = 1"),  # too short to be a loop
        ("total += x\n" * 9, "\n", "total += x"),
    ],
)
def test_completions_are_polished(text, suffix, expected):
    assert polish(text, Site(suffix=suffix)) == expected


def test_each_rule_stands_once_in_the_list():
    names = [rule.__name__ for rule in RULES]
    assert len(names) == 12 == len(set(names)) and names[0] == "drop_secrets"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a = 1\nb =", "a = 1"),
        ("total +=", "total +="),
        ("\n  x", "\n  x"),
        ("a\n", "a"),
        ("", ""),
        ("a\n b\nc", "a\n b"),
    ],
)
def test_a_line_that_broke_off_is_dropped_unless_it_is_the_only_one(text, expected):
    assert drop_open_line(text) == expected


# issue 13: comments of every language, by the names of every editor
@pytest.mark.parametrize(
    ("at", "language"), [("# ‸", "sh"), ("-- ‸", "lua"), ("; ‸", "emacs-lisp"), ("// ‸", "tsx"), ("# ‸", "make")]
)
def test_in_a_comment_of_any_language_one_line_is_kept(at, language):
    assert keep_line("says why\nx", site(at, language)) == "says why"


def test_a_last_line_that_is_over_is_kept():
    assert polish("a = 1\nb = 2", site()) == "a = 1\nb = 2"


def test_a_key_in_the_line_that_broke_off_spoils_the_completion():
    assert polish('a = 1\ntoken = "ghp_' + "a1" * 18, site(), is_open=True) == ""


@pytest.mark.parametrize(
    ("text", "at", "expected"),
    [
        ("a\nb", "f(‸)", "a"),
        ("a\nb", "x = ‸ + 1\n", "a"),
        ("says why\nx = 1", "x = 0  # ‸\n", "says why"),
        ("says why\nx = 1", "# ‸", "says why"),
        ("a\nb", "‸\n", "a\nb"),
        ("a\nb", "‸   \n", "a\nb"),
        ("a\nb", 'x = "#"‸', "a\nb"),
        ("a\nb", "x = 1  # one\n‸", "a\nb"),
        ("a\nb", 'x = """\n# ‸', "a\nb"),
    ],
)
def test_in_the_middle_of_a_line_and_in_comments_one_line_is_kept(text, at, expected):
    assert keep_line(text, site(at)) == expected


@pytest.mark.parametrize(
    ("text", "at", "expected"),
    [
        ("1\n    return x", "def f():\n    x = ‸", "1"),
        ("g(\n        1,\n    )\n    return x", "def f():\n    x = ‸", "g(\n        1,\n    )"),
        ("x in y:\n        g(x)\n    return y", "def f(y):\n    for ‸", "x in y:\n        g(x)"),
        ("x:\n        a()\n    else:\n        b()\n    c()", "    if ‸", "x:\n        a()\n    else:\n        b()"),
        (":\n        b()\n    c()", "    if x:\n        a()\n    else‸", ":\n        b()"),
        ("a\n    b", "    ‸", "a\n    b"),  # the line is not begun
        ("a + b", "    return ‸", "a + b"),
        ('Say it."""\n    return x', 'def f():\n    """‸', 'Say it."""\n    return x'),
        ("(((\nb", "x = ‸", "(((\nb"),  # never parses
    ],
)
def test_a_begun_line_gets_its_statement_and_its_block(text, at, expected):
    assert keep_statement(text, site(at)) == expected


@pytest.mark.parametrize(
    ("text", "at", "language", "expected"),
    [
        ("1;\n  return x;", "  let x = ‸", "javascript", "1;"),
        ("(a) {\n    b();\n  }\n  c();", "  if ‸", "javascript", "(a) {\n    b();\n  }"),
        ('"(";\n  c();', "  x = ‸", "c", '"(";'),
        ("(a) {\n    b();", "  if ‸", "go", "(a) {\n    b();"),
        ("1;\n  return x;", "  let x = ‸", "cobol", "1;\n  return x;"),
        ("a();\n  b();", "  ‸", "java", "a();\n  b();"),
        # issue 13
        ("s.match(/[(]/);\n  c();", "  x = ‸", "javascript", "s.match(/[(]/);"),
        ("'(';\n  c();", "  char x = ‸", "java", "'(';"),
        ("x\n    foo\nend", "  if ‸", "ruby", "x\n    foo\nend"),  # its blocks have no brackets
        ("x > 1\n    foo()\nend", "  if ‸", "julia", "x > 1\n    foo()\nend"),
    ],
)
def test_in_other_languages_a_statement_ends_with_its_brackets(text, at, language, expected):
    assert keep_statement(text, site(at, language)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("total += x\n" * 3, "total += x"),
        ("a\ntotal += x\ntotal += x\ntotal += x\nb", "a\ntotal += x"),
        ("print(one)\nprint(two)\n" * 3, "print(one)\nprint(two)"),
        ('"' + "apples and " * 6 + "ap", '"apples and '),
        ("total += x\ntotal += x\nreturn", "total += x\ntotal += x\nreturn"),
        ("    }\n    }\n    }\n    }", "    }\n    }\n    }\n    }"),
        ("[" + "0, " * 40, "[" + "0, " * 40),
        ("# " + "-" * 60, "# " + "-" * 60),
        ("apples and " * 6 + "pears", "apples and " * 6 + "pears"),  # it came out of it
    ],
)
def test_loops_are_cut(text, expected):
    assert cut_loops(text, site()) == expected


@pytest.mark.parametrize(
    ("text", "suffix", "expected"),
    [
        ("x = 1\n    return x", "\n    return x\n", "x = 1"),
        ("x = 1\n    return x\n    y = 2", "\n    return x\n", "x = 1"),
        ("x = 1\n    return x", "\n\n\n    return x\n", "x = 1"),
        ("x = 1\n    return x", "\n        return x\n", "x = 1\n    return x"),
        ("if (x) {\n  a();\n}", "\n}\n", "if (x) {\n  a();"),
        ("if (x) {\n}\nelse {\n  a();", "\n}\n", "if (x) {\n}\nelse {\n  a();"),
        ("return x", "\nreturn x\n", "return x"),  # its first line continues the cursor's
        ("x = 1\ny = 2", "", "x = 1\ny = 2"),
    ],
)
def test_the_next_line_of_the_document_ends_a_completion(text, suffix, expected):
    assert cut_at_next_line(text, Site(suffix=suffix)) == expected


@pytest.mark.parametrize(
    ("text", "at", "expected"),
    [
        ("return amount", "    ‸\n    return amount\n", ""),
        ("total = add(a, b)\n    return total", "    ‸\n\n    total = add(a, b)\n    return total\n", ""),
        ("total = add_everything(a, b, cc)", "    ‸\n    total = add_everything(a, b, c)\n", ""),
        ("return amount", "    ‸\n    return total\n", "return amount"),
        ("return amount\n    # more", "    ‸\n    return amount\n", "return amount\n    # more"),
        ("}", "  ‸\n}\n", "}"),
        ("return amount", "if x: ‸\n    return amount\n", "return amount"),
        ("return amount", "    ‸", "return amount"),
    ],
)
def test_what_the_document_has_already_is_dropped(text, at, expected):
    assert drop_repeated_lines(text, site(at)) == expected


@pytest.mark.parametrize(
    ("text", "at", "expected"),
    [
        ("(a))", "x = f‸", "(a)"),
        ("a), b)", "x = f(‸", "a), b"),
        ("a]", "x = f(‸", "a"),
        ("a)", "f(\n    g(‸", "a)"),
        ("'(', ')', \")\")", "x = f(‸", "'(', ')', \")\")"),
        ("a)", "f(x))\ny = g‸", "a)"),  # the window begins inside brackets
        ("a  # :)", "x = ‸", "a  # :)"),
        ("text) more", '"""A (‸', "text) more"),
        ("a))", 'x = f"{g(‸', "a))"),  # in a string
    ],
)
def test_a_bracket_that_closes_nothing_ends_a_completion(text, at, expected):
    assert cut_surplus_brackets(text, site(at)) == expected


# issue 13
@pytest.mark.parametrize(
    ("text", "at", "language"),
    [
        ('s.replace(/\\)/g, "");', "function f(s) {\n  return ‸", "javascript"),
        ("s.match(/[)/]/) + '\\'';", "function f(s) {\n  return ‸", "typescriptreact"),
        ("<p>don't :) {s}</p>);", "function f(s) {\n  return (<b>(</b>‸", "typescriptreact"),
        ("x == ')') {", "if (‸", "rust"),
        ('R"(a))" + f(1)', "x = ‸", "cpp"),
        ("/* :) /* :) */ */ x", "f(‸", "kotlin"),
        ("string.find(s, [[)]])", "x = ‸", "lua"),
        ("'it''s :)'", "select ‸", "sql"),
        ("a / b) / c", "x = (‸", "javascript"),
    ],
)
def test_a_bracket_that_is_no_code_ends_no_completion(text, at, language):
    assert cut_surplus_brackets(text, site(at, language)) == text


def test_in_languages_whose_strings_are_not_known_brackets_say_nothing():
    assert cut_surplus_brackets("a)", site("‸", "latex")) == "a)"
    assert cut_surplus_brackets("x: &'a str) {", site("fn f<'a>(‸", "rust")) == "x: &'a str) {"


@pytest.mark.parametrize(
    ("text", "at", "expected"),
    [
        ("a, b):", "f(‸):\n", "a, b"),
        ("a, b)", "f(‸):\n", "a, b"),
        ("x)", "‸)\n", "x"),
        ('hello")', 'print("‸")\n', "hello"),
        ("1 else 0", "x = y if ‸ else 0\n", "1 "[:1]),
        ("f(x)", "print(‸)\n", "f(x)"),
        ("x)", "f(g(‸)\n", "x)"),
        ("x))", "f(g(‸))\n", "x"),
        ("value", "x = ‸ else 0\n", "value"),
        ("a", "f(‸)\n", "a"),
        # issue 13: brackets in strings and comments
        ("bar)", 'x = "(" + f(‸)\n', "bar"),
        ('a)")', 'print("(‸")\n', "a)"),
        ('":)', "print(‸)\n", '":)'),  # its string goes on
        ("b  # (:", "f(a, ‸:\n", "b  # (:"),
        ("bar)", "x = '[' + f(  # (\n    ‸)\n", "bar"),
    ],
)
def test_what_stands_behind_the_cursor_is_not_repeated(text, at, expected):
    assert drop_line_rest(text, site(at)).rstrip() == expected


@pytest.mark.parametrize(
    ("text", "at", "expected"),
    [
        ("array) {", "function sort(‸)", 1),
        ("x)) {", "if (f(‸))", 2),
        ("a] + b", "x = [‸]", 1),
        ("a, b", "f(‸)", 0),
        ("f(x) + 1", "g(‸)", 0),
        ("x) + h(y", "f(g(‸))", 0),  # with the text's own `(` both are needed
        ("x) + 1", "f(g(‸)", 0),  # both brackets are to be closed
        ("array) {", "function sort(‸ + 1)", 0),
        ("a) {", "f(‸]", 0),
    ],
)
def test_the_range_takes_in_brackets_that_the_text_has_itself(text, at, expected):
    assert n_replaced(text, site(at, "javascript")) == expected


# issue 13
@pytest.mark.parametrize(
    ("text", "at", "language", "expected"),
    [
        ('":)"', "print(‸)", "python", 0),
        (r'r"\d+\)"', "re.compile(‸)", "python", 0),
        ("')'", "print(‸)", "c", 0),
        ("/[)]/", "s.split(‸)", "javascript", 0),
        ("`)`", "f(‸)", "go", 0),
        ("[[)]]", "f(‸)", "lua", 0),
        ('@":)"', "f(‸)", "csharp", 0),
        ("x  -- :)", "f(‸)", "sql", 0),
        ("a)", '"(‸)"', "python", 0),  # the string goes on behind the cursor
        ('a") + 1', 'print("(‸)', "python", 1),
        ("bar) + 1", 'x = "(" + f(‸)', "python", 1),
        ("')' > x) {", "if (‸)", "made-up", 0),  # nobody knows what its quotes say
        ("x) {", "if (‸)", "made-up", 1),
    ],
)
def test_the_range_takes_in_no_bracket_for_one_in_a_string(text, at, language, expected):
    assert n_replaced(text, site(at, language)) == expected


@pytest.mark.parametrize(
    ("text", "at", "expected"),
    [
        ("    return x", "def f():\n    ‸", "return x"),
        (" return x", "def f():\n    ‸", "return x"),
        ("    a\n        b", "def f():\n    ‸", "a\n    b"),
        ("    a\n    b", "def f():\n    ‸", "a\n    b"),
        ("return x\n    y", "def f():\n    ‸", "return x\n    y"),
        ("    return x", "def f():\n‸", "    return x"),
        ("    return x", "class A:\n    def f():\n    ‸", "    return x"),  # still to be indented
        (" 1", "x =‸", " 1"),
        ("\n    return x", "def f():\n    ‸", "\n    return x"),
        ("    return x", "def f():  # why\n‸", "    return x"),
        ("    return x", "    x = 1  # why:\n    ‸", "return x"),
    ],
)
def test_white_space_that_the_line_has_is_not_repeated(text, at, expected):
    assert fix_indentation(text, site(at)) == expected


@pytest.mark.parametrize(
    ("text", "at", "expected"),
    [
        ("a {\n        b\n    }", "func f() {\n\t‸", "a {\n\t\tb\n\t}"),
        ("a {\n    b\n  }", "func f() {\n\t‸", "a {\n\t\tb\n\t}"),
        ("a:\n\t\tb", "def f():\n\t‸", "a:\n\t\tb"),
        ("a:\n        b", "def f():\n    ‸", "a:\n        b"),
        ("a:\n        b", "def f():\n\tx\n    ‸", "a:\n        b"),
        ("a", "def f():\n\t‸", "a"),
        ("a:\n    b", "‸", "a:\n    b"),
    ],
)
def test_a_document_of_tabs_gets_tabs(text, at, expected):
    assert use_unit(text, site(at)) == expected


STARRED = "/**\n * Says what.\n *\n * And why.\n */\n"


# issue 13: the unit is found from code
@pytest.mark.parametrize(
    ("text", "at", "language", "expected"),
    [
        ("a {\n        b;\n    }", STARRED + "function f() {\n\t‸", "javascript", "a {\n\t\tb;\n\t}"),
        ("a {\n        b;\n    }", STARRED + "function f() {\n\t‸", "made-up", "a {\n\t\tb;\n\t}"),
        ("    a;\n    b;", STARRED + "g() {\n\tc;\n}\nf() {\n‸", "java", "\ta;\n\tb;"),
        ("    /**\n     * c\n     */\n    a;", "class A {\n\tb;\n\n‸", "java", "\t/**\n\t * c\n\t */\n\ta;"),
        ("x\n        y", '"""\n  a\n  b\n"""\ndef f():\n\t‸', "python", "x\n\t\ty"),
        ("x\n    y", "-- a\n--[[\n  b\n]]\nf(\n\t1)\n‸", "lua", "x\n\ty"),
        ("a\n    b", "‸\nfunc g() {\n\tc()\n}", "go", "a\n\tb"),
        ("a {\n\tb;\n}", "f() {\n  c;\n}\n‸", "c", "a {\n  b;\n}"),
        ("\ta;\n\tb;", "f() {\n    c;\n}\ng() {\n‸", "c", "    a;\n    b;"),
        ("a\n\tb", "x:\n  y\n‸", "make", "a\n\tb"),
        ("x = [  # 1\n    2", "f()\n\ty = ‸", "python", "x = [  # 1\n\t2"),
        ("  a", "f() {\n\tx = ‸", "c", "  a"),  # behind code
    ],
)
def test_a_completion_is_indented_as_the_code_around_it(text, at, language, expected):
    assert use_unit(text, site(at, language)) == expected


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("a  \nb", "python", "a\nb"),
        ("a\t\n\n\n", "python", "a"),
        ("a\n    \nb", "python", "a\n\nb"),
        ("a  \nb ", "markdown", "a  \nb"),
        ("  a b", "python", "  a b"),
        ("", "python", ""),
    ],
)
def test_white_space_at_line_ends_is_dropped(text, language, expected):
    assert strip_blanks(text, site(language=language)) == expected


# issue 13
@pytest.mark.parametrize(
    ("text", "at", "language", "expected"),
    [
        ("calculate_total(items)", "def calc‸ulate(x):", "python", "def calculate_total(x):"),
        ("ulate_total(items)", "def calc‸ulate(x):", "python", "def calculate_total(x):"),
        ("ulate", "def calc‸ulate(x):", "python", ""),
        ("calculate", "def calc‸ulate(x):", "python", ""),
        ("ulus(x):", "def calc‸ulate(x):", "python", "def calculus(x):"),
        ("z(1)", "foo.ba‸r + 1", "javascript", "foo.baz(1) + 1"),
        ("z = 2;", "let ba‸r = 1;", "javascript", "let baz = 1;"),
        ("ze", "x = ba‸r", "rust", "x = baze"),
        ("z(a) {", "func ba‸r()", "go", "func baz()"),
        ("zé", "x = ba‸ré + 1", "python", "x = bazé + 1"),
        ("xyz + 1", "a.b‸c", "c", "a.bxyz + 1"),
        ("b", "x = a‸", "python", "x = ab"),
        ("b", "x = a‸ + c", "python", "x = ab + c"),
    ],
)
def test_in_the_middle_of_a_word_the_rest_of_it_gives_way(text, at, language, expected):
    where = site(at, language)
    shown = polish(text, where)
    got = shown and where.prefix + shown + where.suffix[n_replaced(shown, where) :]
    assert got == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [(")", ""), (" :", ""), ("\n}", ""), ("x", "x"), ("0", "0"), ("):", "):"), ("", "")],
)
def test_a_lone_sign_is_not_worth_showing(text, expected):
    assert drop_tiny(text, site()) == expected


RANDOM = "k9Tz3mQ7xW2bLr5V"


@pytest.mark.parametrize(
    "text",
    [
        'key = "AKIA' + "QWERTYUIOP123456" + '"',
        "ghp_" + "aB3" * 12,
        "github_pat_" + "11ABCDEFG0" * 3,
        "-----BEGIN RSA PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dBjftJeZ4CVP-mB92K27uhbUJU1p1r",
        "xoxb-" + "123456789012-abc",
        f'password = "{RANDOM}"',
        f"api_key: '{RANDOM}'",
        f'"secret": "{RANDOM}"',
        f'TOKEN: str = "{RANDOM}"',
        f'environ["DB_PASSWORD"] = "{RANDOM}"',
        "postgres://admin:hunter2hunter2@db/x",
        # issue 13: the rule that lets names of classes through still finds keys
        "sk-" + "aB3dE5fG7hJ9kL1mN3pQ5rS7",
        "sk-proj-" + "Ab-" + "c9Dk3LmN4pQ5rT6vW8xY",
        "sk-" + "0f9e8d7c6b5a49382716f5e4d3c2b1a0",
    ],
)
def test_text_with_the_form_of_a_secret_is_found(text):
    assert has_secret(text)


@pytest.mark.parametrize(
    "text",
    [
        'password = "your-password-here"',
        'api_key = os.environ["API_KEY_2024_V1"]',
        "token = next_token(tokens)",
        'secret = "changeme"',
        'token = f"{prefix}-{RANDOM_42}-{suffix}"',
        f'digest = "{"0123456789abcdef" * 4}"',
        'password = "aaaaaaaaaaaa11"',
        'url = "https://example.org:8080/a@b"',
        'url = f"postgres://{user}:{password}@{host}"',
        "AKIA",
        "sk-learn",
        # issue 13
        "postgres://postgres:postgres@db:5432/app",
        "postgres://admin:hunter2hunter2@localhost/x",
        "mysql://root:s3cretpassw0rd@127.0.0.1:3306/app",
        "redis://user:password@cache:6379",
        "amqp://guest:changeme@queue",
        "https://me:abc123def456@api.example.com/v1",
        'class="sk-fading-circle-container"',
        "sk-cube-grid-4-of-the-spinner",
        'key = "AKIAIOSFODNN7EXAMPLE"',
        'token = "ghp_' + "x" * 36 + '"',
        'api_key = "your-key-1234567890"',
        'password = "example-pass-42-21"',
    ],
)
def test_text_without_a_secret_is_kept(text):
    assert not has_secret(text)
