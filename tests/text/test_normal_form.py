import pytest

from spa_lsp.text.normal_form import normal_form, parses

PREFIX = "class Cart:\n    def total(self, items):\n        "
SUFFIX = "\n        return amount\n\n\nprint(Cart())\n"


def form(completion, prefix=PREFIX, suffix=SUFFIX, language="python"):
    return normal_form(prefix, completion, suffix, language)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("amount = 0  # start", "amount = 0"),
        ("amount=( 0 )", "amount = 0"),
        ('"""Add up."""\n        amount = 0', "amount = 0"),
        ("x = 1\n        amount = x", "y = 1\n        amount = y"),
        ("amount = sum(i for i in items)", "amount = sum(item for item in items)"),
        ("amount = max(items, key=lambda a: a.x)", "amount = max(items, key=lambda b: b.x)"),
        (
            "try: amount = 1\n        except OSError as e: raise e",
            "try: amount = 1\n        except OSError as x: raise x",
        ),
        (
            "match items:\n            case [a, *rest]: amount = a\n            case {'x': _, **more} as b: amount = b",
            "match items:\n            case [c, *tail]: amount = c\n            case {'x': _, **less} as d: amount = d",
        ),  # 15
        (
            "n = 0\n        def add(): nonlocal n; n += 1",
            "m = 0\n        def add(): nonlocal m; m += 1",
        ),  # 15
        ("amount = 'a'", 'amount = "a"'),
    ],
)
def test_what_does_not_count_is_not_seen(one, other):
    assert form(one) == form(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("amount = 0", "amount = 1"),
        ("amount = a.x", "amount = a.y"),
        ("amount = f(x=1)", "amount = f(y=1)"),
        ("amount = 0", "sum = 0"),  # the suffix reads `amount`
        ("amount = len(items)", "amount = sum(items)"),
        ("x = 1; y = 2; amount = x", "x = 1; y = 2; amount = y"),
        ("def helper(): pass", "def other(): pass"),
        ('amount = "a#b"', 'amount = "a#c"'),
    ],
)
def test_what_counts_is_seen(one, other):
    assert form(one) != form(other)


def test_names_are_compared_where_only_the_enclosing_function_parses():
    broken = "if x\n" + PREFIX
    assert form("a = 1\n        amount = a", prefix=broken) == form("b = 1\n        amount = b", prefix=broken)


def test_a_completion_in_the_middle_of_an_expression_is_compared_as_syntax():
    prefix, suffix = "def f(xs):\n    return sum(", ")\n"
    assert form("x for x in xs", prefix, suffix) == form("y for y in xs", prefix, suffix)
    assert form("x for x in xs", prefix, suffix) != form("map(len, xs)", prefix, suffix)


def test_a_whole_function_at_the_top_is_compared():
    assert form("def f(a):\n    b = a\n    return b", "", "") == form("def f(a):\n    c = a\n    return c", "", "")


def test_what_does_not_parse_is_compared_by_its_tokens():
    assert form("amount = (  # open", "x = [", "") == form("amount=(", "x = [", "")
    assert form("amount = (", "x = [", "") != form("total = (", "x = [", "")


def test_other_languages_are_compared_by_their_tokens():
    assert form("x = 1; // one", "", "", "c") == form("x  =  1; /* 1 */", "", "", "c")
    assert form("x = 1", "", "", "c") != form("x = 2", "", "", "c")
    assert form('x = "//"', "", "", "c") != form('x = "/"', "", "", "c")


# issue 13: when in doubt, two texts are two programs
@pytest.mark.parametrize(
    ("one", "other", "prefix", "language"),
    [
        ("if [ $# -lt 1 ]; then", "if [ $# -gt 9 ]; then", "", "shellscript"),
        ("if [ $# -lt 1 ]; then", "if [ $# -gt 9 ]; then", "", "sh"),
        ("if [ $# -lt 1 ]; then", "if [ $# -gt 9 ]; then", "", "bash"),
        ("curl http://a.org", "curl http://b.org", "", "zsh"),
        ("echo ${#a}", "echo ${#b}", "", "sh"),
        ("[ $a = 1 ]", "[ $a=1 ]", "", "sh"),
        ("cat <<EOF\n# a\nEOF", "cat <<EOF\n# b\nEOF", "", "sh"),
        ("\tcurl http://a.org", "\tcurl http://b.org", "", "make"),
        ("url: http://a.org", "url: http://b.org", "", "yaml"),
        ("a:\n  b: 1", "a:\nb: 1", "", "yaml"),
        ("a#1", "a#2", "", "yaml"),
        ("url(http://a.png);", "url(http://b.png);", "", "scss"),
        ("color: #fff", "color: #000", "", "css"),
        ("a .b", "a.b", "", "css"),
        ("<a>http://a.org</a>", "<a>http://b.org</a>", "", "typescriptreact"),
        ("`http://${a}`", "`http://${b}`", "", "typescriptreact"),
        ("/[/]/.test(a)", "/[/]/.test(b)", "", "js"),
        ("return\nx", "return x", "", "javascript"),
        ("a - -b", "a--b", "", "c"),
        ("'\"' // a", "'\"' + b", "", "cpp"),
        ("a // 1", "a // 2", "", "lua"),
        ("x /* a */", "x /* b */", "", "lua"),
        ("# a", "# b", "", "c"),
        ("#define A", "#undef A", "", "objc"),
        ("{# a #}", "{# b #}", "", "jinja-html"),
        ("a // b", "a // c", "", "made-up"),
        ("# one", "# two", "", "r"),  # there is nothing but the comment
        ("one", "two", "x = 1  # ", "python"),
        ("one", "two", "int x; // ", "c"),
        ("Add.", "Subtract.", 'def f():\n    """', "python"),
        ("a  b", "a b", 'x = "', "python"),
        ("if x:\n  a\nb)", "if x:\n  a\n  b)", "", "python"),
    ],
)
def test_two_programs_are_not_taken_for_one(one, other, prefix, language):
    assert form(one, prefix, "", language) != form(other, prefix, "", language)


@pytest.mark.parametrize(
    ("one", "other", "language"),
    [
        ("x=1  # one", "x=1", "sh"),
        ("x = 1 // one", "x  =  1", "tsx"),
        ("x = -1", "x=-1", "c++"),
        ("f(a,\n  b)", "f(a, b)", "js"),
        ("x = 1 -- one", "x=1", "lua"),
        ("a: 1  # one", "a: 1", "yaml"),
        ("all: a  # one", "all: a", "make"),
        ("x <- 1 # one", "x <- 1", "r"),
        ("int x;\n\n  int y;", "int x; int y;", "cuda"),
        ("a  \nb", "a\nb", "made-up"),
        ("(a) ; one", "(a)", "emacs-lisp"),
    ],
)
def test_comments_and_layout_of_each_language_do_not_count(one, other, language):
    assert form(one, "", "", language) == form(other, "", "", language)


@pytest.mark.parametrize("completion", ["", "\0", "(" * 5000, "x = " + "-" * 50_000 + "1", "\ud83d"])
def test_any_text_has_a_form(completion):
    assert isinstance(form(completion), str)


@pytest.mark.parametrize(
    ("completion", "prefix", "suffix", "language", "expected"),
    [
        ("amount = 0", PREFIX, SUFFIX, "python", True),
        ("amount = (", PREFIX, SUFFIX, "python", False),
        ("amount = 0", "if x\n" + PREFIX, SUFFIX, "python", True),  # its own function is sound
        ("1", "x = ", "\n", "python", True),
        ("1)", "x = ", "\n", "python", False),
        ("}", "", "", "c", True),  # not known
    ],
)
def test_syntax_is_judged_around_the_completion(completion, prefix, suffix, language, expected):
    assert parses(prefix, completion, suffix, language) is expected
