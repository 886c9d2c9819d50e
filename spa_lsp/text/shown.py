"""What a person sees of a result: polished texts, which of them are the same program, where they differ. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from itertools import zip_longest

from spa_lsp.completion import Alternative, CompletionResult, Timing, is_open
from spa_lsp.text.normal_form import normal_form
from spa_lsp.text.programs import program_at
from spa_lsp.text.site import Site

_TOKEN = re.compile(r"\w+|\s+|[^\w\s]")
_HINT_CHARS = 24  # what fits into a status bar


@dataclass(frozen=True, kw_only=True)
class Offer:
    """One alternative as it is offered."""

    alternative: Alternative  # with the text that an editor inserts; empty: there is nothing to insert
    form: str = ""  # equal for the same programs
    same: tuple[Alternative, ...] = ()  # the same program from other adapters, in their words
    n_replaced: int = 0  # characters behind the cursor whose place it takes: closing brackets, the rest of a word

    @property
    def text(self) -> str:
        """What is inserted."""
        return self.alternative.text

    @property
    def wordings(self) -> tuple[Alternative, ...]:
        """The program in the words of all who wrote it, those that are offered first."""
        return (self.alternative, *self.same)


def shown_infills(alternatives: Sequence[Alternative], site: Site) -> list[Offer]:
    """Each alternative at a cursor, polished for its place."""
    return [_infill(alternative, site) for alternative in alternatives]


def shown_answers(alternatives: Sequence[Alternative]) -> list[Offer]:
    """Each answer to an instruction, whole: nothing is taken out of it."""
    return [_answer(alternative) for alternative in alternatives]


def distinct(shown: Sequence[Offer]) -> list[Offer]:
    """Those that are to be looked at: of every program the first, which knows the others."""
    programs: dict[str, list[Offer]] = {}
    for each in shown:
        if each.text:
            programs.setdefault(each.form, []).append(each)
    return [replace(first, same=tuple(each.alternative for each in same)) for first, *same in programs.values()]


def first_same(shown: Sequence[Offer], number: int) -> int:
    """Number of the first one that is the same program as this one, which may be this one; both count from 1."""
    wanted = shown[number - 1]
    same = (n for n, each in enumerate(shown, start=1) if each.text and each.form == wanted.form)
    return next(same) if wanted.text else number


def _infill(alternative: Alternative, site: Site) -> Offer:
    text = "" if alternative.finish == "disabled" else alternative.text
    program = program_at(text, site, is_open=is_open(alternative.finish))
    return Offer(alternative=replace(alternative, text=program.text), form=program.form, n_replaced=program.n_replaced)


def _answer(alternative: Alternative) -> Offer:
    text = "" if alternative.finish == "disabled" else alternative.text.strip("\n")
    form = normal_form("", text, "", "python") if text else ""
    return Offer(alternative=replace(alternative, text=text), form=form)


def differing(text: str, other: str) -> list[tuple[str, bool]]:
    """The text in pieces, and of each whether it is missing in the other one; whole words, never single letters."""
    tokens, others = _TOKEN.findall(text), _TOKEN.findall(other)
    matcher = SequenceMatcher(None, others, tokens, autojunk=False)
    return [
        ("".join(tokens[start:end]), tag != "equal") for tag, _, _, start, end in matcher.get_opcodes() if start < end
    ]


def labelled(offers: Sequence[Offer]) -> list[Offer]:
    """Each with what it is called: its adapter's label; of several that share one all but the first get a hint with it.

    As of one adapter or of a base alone: `base: for item in items`, where it begins to differ from the first offer.
    What only ends earlier than that one gets none.
    """
    own = [offer.alternative.label for offer in offers]
    return [
        offer if n == 0 or own.count(offer.alternative.label) == 1 else _with_hint(offer, offers[0].text)
        for n, offer in enumerate(offers)
    ]


def _with_hint(offer: Offer, first: str) -> Offer:
    label, text = offer.alternative.label, offer.text
    tokens, others = _TOKEN.findall(text), _TOKEN.findall(first)
    start = next((n for n, pair in enumerate(zip_longest(tokens, others)) if pair[0] != pair[1]), 0)
    line = "".join(tokens[start:]).strip().partition("\n")[0]
    hint = "".join(sign if sign.isprintable() else " " for sign in line).strip()  # it stands in a status bar
    short = hint if len(hint) <= _HINT_CHARS else f"{hint[:_HINT_CHARS].rstrip()} …"
    label = ": ".join(part for part in (label, short) if part)
    return replace(offer, alternative=replace(offer.alternative, label=label))


def title(shown: Sequence[Offer], number: int) -> str:
    """`2/8 · comprehensions (a2)`, and what is worth knowing of it. The number counts from 1."""
    alternative, first = shown[number - 1].alternative, first_same(shown, number)
    parts = [f"{number}/{len(shown)}", f"{alternative.label} ({alternative.adapter})"]
    if alternative.finish == "disabled":
        parts.append("disabled: its numbers are not finite")
    elif first != number:
        parts.append(f"same as {first}")
    elif not alternative.text and alternative.finish != "deadline":
        parts.append("nothing to insert")
    elif is_open(alternative.finish):
        parts.append(f"not finished ({alternative.finish})")
    return " · ".join(parts)


def facts(result: CompletionResult, shown: Sequence[Offer]) -> str:
    """One line: how many differ, how long it took, what answered."""
    return f"{len(distinct(shown))} of {len(shown)} differ · {times(result.timing)} · {setting(result)}"


def setting(result: CompletionResult) -> str:
    """`qwen2.5-coder-0.5b-instruct · default · fp32 on cpu`."""
    return f"{result.base} · {result.adapter_set or 'no adapter set'} · {result.quantization} on {result.device}"


def times(timing: Timing) -> str:
    """`prefill 38 ms (212 tokens, 0 cached) · decode 1.9 s · total 1.9 s`."""
    load = [f"load {duration(timing.load_ms)}"] if timing.load_ms else []
    tokens = f"({timing.prompt_tokens} tokens, {timing.cached_tokens} cached)"
    prefill = f"prefill {duration(timing.prefill_ms)} {tokens}"
    return " · ".join([*load, prefill, f"decode {duration(timing.decode_ms)}", f"total {duration(timing.total_ms)}"])


def duration(n_ms: float) -> str:
    """`38 ms`, `1.9 s`, `65 s`."""
    if n_ms < 999.5:
        return f"{n_ms:.0f} ms"
    return f"{n_ms / 1000:.1f} s" if n_ms < 9950 else f"{n_ms / 1000:.0f} s"
