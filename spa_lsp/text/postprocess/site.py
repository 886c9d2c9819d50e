"""Where a completion goes: what the rules may look at besides its text."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Site:
    """One cursor. Line ends are `\\n` on both sides."""

    prefix: str = ""
    suffix: str = ""
    language: str = ""  # LSP language id; empty: unknown
    is_open: bool = False  # the length or the deadline ended the completion: it is not over

    @property
    def line(self) -> str:
        """The cursor's line up to the cursor."""
        return self.prefix.rpartition("\n")[2]

    @property
    def rest(self) -> str:
        """The cursor's line behind the cursor, without white space at its end."""
        return self.suffix.partition("\n")[0].rstrip()

    @property
    def next_lines(self) -> list[str]:
        """The lines after the cursor's that are not blank, without white space at their ends."""
        return [line.rstrip() for line in self.suffix.split("\n")[1:] if line.strip()]
