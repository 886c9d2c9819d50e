"""Where strings and comments stand: `s` for what stands in a string, `c` in a comment, a dot for code."""

import pytest

from spa_lsp.text.lexer import blanked, span_at_end, spans


def drawn(text, language, before=""):
    marks = ["\n" if character == "\n" else "." for character in before + text]
    for span in spans(before, text, language):
        for n in range(span.start, span.end):
            marks[n] = span.kind[0] if marks[n] != "\n" else "\n"
    return "".join(marks)


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("python", "f(':)')  # :(", "..ssss...cccc"),
        ("python", r'x = r"\d+\)"', ".....sssssss"),
        ("python", '"""a\n(""" )', "ssss\nssss.."),
        ("python", "'a\nb", "ss\n."),
        ("javascript", r"s.replace(/\)/g, 1)", "..........sssss...."),
        ("javascript", "a / b / c", "........."),
        ("javascript", "a) / 2 + (b / 3)", "." * 16),
        ("javascript", "return /[/)]/", ".......ssssss"),
        ("javascript", "`a\n(${b}`", "ss\nssssss"),
        ("javascriptreact", "<p>don't (</p>", "." * 14),
        ("javascriptreact", "<a>http://b</a>", "." * 15),
        ("typescript", "x // (", "..cccc"),
        ("rust", "&'a str, '(', b')'", ".........sss...sss"),
        ("rust", 'r#"("#, /* ( /* ) */ ) */ x', "ssssss..ccccccccccccccccc.."),
        ("c", "1'000 + '\\'' + '('", "........ssss...sss"),
        ("cpp", 'R"x()")x" )', "sssssssss.."),
        ("csharp", '@"\\" + "("', "ssss...sss"),
        ("java", '"""\n( "x"\n""")', "sss\nsssss\nsss."),
        ("go", "`\\` + '('", "sss...sss"),
        ("css", "url(http://a) // b", "sssssssssssss....."),
        ("scss", "a // (", "..cccc"),
        ("lua", "--[[ (\n]] [==[ ) ]==]", "cccccc\ncc.sssssssssss"),
        ("sql", "'it''s (' -- (", "sssssssss.cccc"),
        ("haskell", "foldl' {- ( -} '('", ".......ccccccc.sss"),
        ("julia", "A' * B'  # (", ".........ccc"),
        ("shellscript", "[ $# -lt 1 ] # (", ".............ccc"),
        ("sh", "cat <<EOF\n# (\nEOF\nx", "....sssss\nsss\nsss\n."),
        ("lisp", '\\( ; (\n"("', "ss.ccc\nsss"),
        ("yaml", "a: b#c  # it's", "........cccccc"),
        ("nonsense", "'(' # (", "......."),
    ],
)
def test_strings_and_comments_are_found(language, text, expected):
    assert drawn(text, language) == expected


@pytest.mark.parametrize(
    ("before", "text"),
    [("f('", ":)')"), ('x = "', '""a"""'), ("a /", "/ b"), ("a /* b", "*/ c"), ("x = /", "[)]/"), ("'a'", " 'b'")],
)
def test_a_text_is_read_as_it_goes_on_from_the_one_before(before, text):
    assert drawn(text, "javascript", before) == drawn(before + text, "javascript")
    assert blanked(before, text, "python") == blanked("", before + text, "python")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("x = 'a", "string"),
        ("x = 'a'", None),
        ("# a", "comment"),
        ("# a\n", None),
        ('"""a\n', "string"),
        ("'\\", "string"),
    ],
)
def test_what_the_cursor_stands_in_is_known(text, kind):
    found = span_at_end(text, "python")
    assert (found and found.kind) == kind
