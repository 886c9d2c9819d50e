"""How far lines are indented."""


def indentation(line: str) -> int:
    """How many characters of white space a line begins with."""
    return len(line) - len(line.lstrip())


def indent_of_cursor(prefix: str) -> str:
    """What a text at this cursor is printed behind, so that its first line stands under its others."""
    line = prefix.rpartition("\n")[2]
    return line[: indentation(line)]
