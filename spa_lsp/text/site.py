"""The text around a cursor: what is to be completed, for the model and for every rule about its completions. Pure."""

from dataclasses import dataclass, replace

from spa_lsp.completion import CompletionRequest


@dataclass(frozen=True, kw_only=True)
class Site:
    """One cursor: between `prefix + begun` and `suffix`. Line ends are `\\n` for a model and for all rules."""

    prefix: str = ""
    suffix: str = ""
    language: str = ""  # LSP language id; empty: unknown
    begun: str = ""  # how the completion begins, see `CompletionRequest`: typed behind the prefix, or given

    @property
    def before(self) -> str:
        """All of the text before the cursor."""
        return self.prefix + self.begun

    @property
    def line(self) -> str:
        """The cursor's line up to the cursor."""
        return self.before.rpartition("\n")[2]

    @property
    def rest(self) -> str:
        """The cursor's line behind the cursor, without white space at its end."""
        return self.suffix.partition("\n")[0].rstrip()

    def filled(self, text: str, n_replaced: int = 0) -> tuple[str, str, str, str]:
        """What is before, a text at the cursor, what is behind it and the language; n characters made room for it."""
        return self.before, text, self.suffix[n_replaced:], self.language

    @property
    def next_lines(self) -> list[str]:
        """The lines after the cursor's that are not blank, without white space at their ends."""
        return [line.rstrip() for line in self.suffix.split("\n")[1:] if line.strip()]


def site_of(request: CompletionRequest) -> Site:
    """What a request says of the cursor; an instruction is no text before it."""
    prefix = request.prefix if request.layout == "infill" else ""
    return Site(prefix=prefix, begun=request.begun, suffix=request.suffix, language=request.language)


def on_empty_line(site: Site) -> Site:
    """The site as an editor has it where whole lines are missing: nobody asks for those in front of a line."""
    is_before_line = site.before.endswith("\n") and bool(site.rest.strip())
    return replace(site, suffix=f"\n{site.suffix}") if is_before_line else site
