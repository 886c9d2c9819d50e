"""From what the model wrote to what is shown: one pure rule per function."""


def polish(text: str, suffix: str) -> str | None:
    """The completion as it is shown before this suffix; None when nothing is left of it."""
    rest, _, behind = suffix.partition("\n")
    if rest.strip():
        text = drop_line_rest(first_line(text), rest)
    else:
        text = cut_at_next_line(text, behind)
    text = text.rstrip()
    return text or None


def drop_open_line(text: str) -> str:
    """Without the last line, which broke off in the middle of whatever it was to be; an only line is kept."""
    whole, _, _ = text.rpartition("\n")
    return whole if whole.strip() else text


def first_line(text: str) -> str:
    """Only the first line: in the middle of a line nothing else fits."""
    return text.partition("\n")[0]


def drop_line_rest(text: str, rest: str) -> str:
    """Without the end that repeats what stands behind the cursor on its line, `):` say, or the beginning of that."""
    rest = rest.rstrip()
    for length in range(min(len(text), len(rest)), 0, -1):
        kept, overlap = text[:-length], text[-length:]
        if overlap == rest[:length] and _is_border(kept, rest, length) and _is_surplus(text, overlap):
            return kept
    return text


def cut_at_next_line(text: str, behind: str) -> str:
    """Up to the first whole line that is the next line of the document."""
    following = next((line.rstrip() for line in behind.split("\n") if line.strip()), None)
    if following is None:
        return text
    lines = text.split("\n")
    for n, line in enumerate(lines[1:], start=1):
        # a line as short as `}` may well stand twice; it is the document's own only at the very end
        is_telling = len(following.strip()) > 2
        if line.rstrip() == following and (is_telling or not "".join(lines[n + 1 :]).strip()):
            return "\n".join(lines[:n])
    return text


def _is_border(kept: str, rest: str, length: int) -> bool:
    """Whether the overlap begins and ends where words do: the `e` of `else` is no reason to cut `value`."""
    begins_inside = kept[-1:].isalnum() and rest[0].isalnum()
    ends_inside = rest[length - 1].isalnum() and rest[length : length + 1].isalnum()
    return not (begins_inside or ends_inside)


def _is_surplus(text: str, overlap: str) -> bool:
    """Whether brackets in the overlap close nothing in the text: those of `f(x)` are its own."""
    if not any(bracket in overlap for bracket in ")]}"):
        return True
    return sum(map(text.count, "([{")) < sum(map(text.count, ")]}"))
