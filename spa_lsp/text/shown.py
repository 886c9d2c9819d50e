"""What a person sees of a result: polished texts, which of them are the same program, where they differ. Pure."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from spa_lsp.completion import Alternative, CompletionResult, Timing
from spa_lsp.text.normal_form import normal_form
from spa_lsp.text.postprocess import Site, n_replaced, polish

_OPEN = ("length", "deadline")  # how a completion ends that was not over
_TOKEN = re.compile(r"\w+|\s+|[^\w\s]")


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One alternative of a result."""

    alternative: Alternative
    text: str | None  # as an editor would insert it; None: there is nothing to insert
    same_as: int | None = None  # number, from 1, of the first one that is the same program
    form: str = ""  # equal for the same programs
    n_replaced: int = 0  # characters behind the cursor whose place it takes


def shown_infills(alternatives: Sequence[Alternative], *, prefix: str, suffix: str, language: str) -> list[Shown]:
    """Each alternative at a cursor, polished for its place as the server does it."""

    def clean(alternative: Alternative) -> tuple[str | None, int]:
        site = Site(prefix=prefix, suffix=suffix, language=language, is_open=alternative.finish in _OPEN)
        text = polish(alternative.text, site)
        return text, n_replaced(text, site) if text else 0

    def form(text: str, n: int) -> str:
        return normal_form(prefix, text, suffix[n:], language)

    return _show(alternatives, clean, form)


def shown_answers(alternatives: Sequence[Alternative]) -> list[Shown]:
    """Each answer to an instruction, whole: nothing is taken out of it."""
    return _show(
        alternatives,
        lambda alternative: (alternative.text.strip("\n") or None, 0),
        lambda text, _: normal_form("", text, "", "python"),
    )


def distinct(shown: Sequence[Shown]) -> list[Shown]:
    """Those that are to be looked at: of every program the first."""
    return [each for each in shown if each.text is not None and each.same_as is None]


def _show(
    alternatives: Sequence[Alternative],
    clean: Callable[[Alternative], tuple[str | None, int]],
    form: Callable[[str, int], str],
) -> list[Shown]:
    numbers: dict[str, int] = {}
    shown = []
    for number, alternative in enumerate(alternatives, start=1):
        text, n = clean(alternative) if alternative.finish != "disabled" else (None, 0)
        key = "" if text is None else form(text, n)
        first = number if text is None else numbers.setdefault(key, number)
        same_as = None if first == number else first
        shown.append(Shown(alternative=alternative, text=text, same_as=same_as, form=key, n_replaced=n))
    return shown


def differing(text: str, other: str) -> list[tuple[str, bool]]:
    """The text in pieces, and of each whether it is missing in the other one; whole words, never single letters."""
    tokens, others = _TOKEN.findall(text), _TOKEN.findall(other)
    matcher = SequenceMatcher(None, others, tokens, autojunk=False)
    return [
        ("".join(tokens[start:end]), tag != "equal") for tag, _, _, start, end in matcher.get_opcodes() if start < end
    ]


def title(shown: Shown, number: int, total: int) -> str:
    """`2/8 · comprehensions (a2)`, and what is worth knowing of it."""
    alternative = shown.alternative
    parts = [f"{number}/{total}", f"{alternative.label} ({alternative.adapter})"]
    if alternative.finish == "disabled":
        parts.append("disabled: its numbers are not finite")
    elif shown.same_as is not None:
        parts.append(f"same as {shown.same_as}")
    elif shown.text is None and alternative.finish != "deadline":
        parts.append("nothing to insert")
    elif alternative.finish in ("length", "deadline"):
        parts.append(f"not finished ({alternative.finish})")
    return " · ".join(parts)


def facts(result: CompletionResult, shown: Sequence[Shown]) -> str:
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
