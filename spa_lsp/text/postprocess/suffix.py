"""What a completion must not repeat of the text behind the cursor."""

from difflib import SequenceMatcher

from spa_lsp.text.lexer import spans
from spa_lsp.text.postprocess.brackets import Code, code_of, n_open_on_line, unmatched_closers
from spa_lsp.text.site import Site

ALIKE = 0.95  # of the characters, as Tabby's 5 % of edits: a repeat with another comma is one
TELLING_CHARACTERS = 3  # a line as short as `}` may well stand twice


def cut_at_next_line(text: str, site: Site) -> str:
    """Up to the first whole line that is the next line of the document."""
    following = next(iter(site.next_lines), None)
    if following is None or site.rest:
        return text
    lines = text.split("\n")
    for n, line in enumerate(lines[1:], start=1):
        # a short line is the document's own only at the very end
        if line.rstrip() == following and (_is_telling(following) or not "".join(lines[n + 1 :]).strip()):
            return "\n".join(lines[:n])
    return text


def drop_repeated_lines(text: str, site: Site) -> str:
    """Nothing, when all of it stands behind the cursor already, or nearly so."""
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    following = [line.strip() for line in site.next_lines[: len(lines)]]
    if not lines or site.rest or site.line.strip() or not any(map(_is_telling, lines)):
        return text
    return "" if _alike("\n".join(lines), "\n".join(following)) else text


def drop_line_rest(text: str, site: Site) -> str:
    """Without the end that repeats what stands behind the cursor on its line, `):` say, or the beginning of that."""
    rest = site.rest
    if not text or not rest:
        return text
    code, inside = code_of(text, site), _string_at_end(text, site)
    for length in range(min(len(text) - inside, len(rest)), 0, -1):
        kept, overlap = text[:-length], text[-length:]
        if overlap == rest[:length] and _is_border(kept, rest, length) and _is_surplus(code, overlap):
            return kept
    return text


def _is_telling(line: str) -> bool:
    return len(line.strip()) >= TELLING_CHARACTERS


def _alike(text: str, other: str) -> bool:
    matcher = SequenceMatcher(None, text, other, autojunk=False)
    return matcher.quick_ratio() >= ALIKE and matcher.ratio() >= ALIKE


def _is_border(kept: str, rest: str, length: int) -> bool:
    """Whether the overlap begins and ends where words do: the `e` of `else` is no reason to cut `value`."""
    begins_inside = kept[-1:].isalnum() and rest[0].isalnum()
    ends_inside = rest[length - 1].isalnum() and rest[length : length + 1].isalnum()
    return not (begins_inside or ends_inside)


def _string_at_end(text: str, site: Site) -> int:
    """How much of the text lies before the end of its last string or comment: what stands in one repeats nothing."""
    n_before = len(site.before)
    last = next(reversed(spans(site.before, text, site.language)), None)
    return last.end - n_before if last and last.start >= n_before else 0


def _is_surplus(code: Code | None, overlap: str) -> bool:
    """Whether the brackets in the overlap would close nothing: those of `f(x)` are its own, and `f(g(` needs two."""
    n_closers = sum(map((code.text[-len(overlap) :] if code else overlap).count, ")]}"))
    if not n_closers or code is None:
        return not n_closers
    n_own = len(unmatched_closers(code.text))
    return bool(n_own) and n_own + n_closers > n_open_on_line(code.line)
