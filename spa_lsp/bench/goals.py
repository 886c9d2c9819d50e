"""The goals of `bench latency`: what is divided by what, and what must come out on which kind of machine. Pure."""

from collections.abc import Mapping
from dataclasses import replace

from spa_lsp.bench.figures import Goal, Ratio

# Goals for two cores with AVX2 and the default base. Each reads: numerator / denominator; {k} is the number of rows.
RATIOS = (
    Ratio(name="prefill for {k} / for 1", goal=1.05, numerator="prefill_{k}", denominator="prefill_1"),
    Ratio(name="decode of {k} / of 1", goal=3.0, numerator="decode_{k}", denominator="decode_1"),
    Ratio(
        name="decode of {k} adapters / of {k} base rows", goal=1.25, numerator="decode_{k}", denominator="decode_base"
    ),
    Ratio(
        name="fp32 / ours, a step of {k}", goal=2.5, is_at_most=False, numerator="fp32_{k}", denominator="decode_{k}"
    ),
    Ratio(name="fp32 / ours, a step of 1", goal=3.5, is_at_most=False, numerator="fp32_1", denominator="decode_1"),
    Ratio(
        name="PEFT, mixed batch of {k} / ours, cold",
        goal=3.0,
        is_at_most=False,
        numerator="peft",
        denominator="total_{k}",
    ),
    Ratio(
        name="llama.cpp, {k} samples / ours, cold",
        goal=1.8,
        is_at_most=False,
        numerator="llama_cpp_{k}",
        denominator="total_{k}",
    ),
    Ratio(
        name="llama.cpp, 1 sample / ours, cold",
        goal=1.3,
        is_at_most=False,
        numerator="llama_cpp_1",
        denominator="total_1",
    ),
    Ratio(
        name="prefill of the next key / of a cold prompt",
        goal=0.05,
        numerator="prefill_next_key",
        denominator="prefill_{k}",
    ),
)
_GRAPH = Ratio(
    name="eager / captured, a step of {k}", goal=4.0, is_at_most=False, numerator="eager_{k}", denominator="decode_{k}"
)
_ON_CUDA = {"decode_{k} / decode_1": 1.25, "peft / total_{k}": 15.0}
WARM = Goal(name="{k} alternatives over a warm prompt", goal=2.0, unit="s")
DECODE_ON_CUDA = Goal(name="decode of {k}", goal=0.06, unit="s")  # 8 x 32 tokens of the default base


def ratios(k: int, device: str) -> list[Ratio]:
    """The ratios for k rows; those that compare k rows with one, or one twice, are left out where k is 1."""
    goals: Mapping[str, float] = _ON_CUDA if device == "cuda" else {}
    every = (*RATIOS, _GRAPH) if device == "cuda" else RATIOS
    asked = [replace(ratio, goal=goals.get(_sides(ratio), ratio.goal)) for ratio in every]
    named = [_with_k(ratio, k) for ratio in asked]
    if k > 1:
        return named
    seen: dict[str, Ratio] = {}
    for ratio in reversed(named):  # the goal of one row is the later one's
        if ratio.numerator != ratio.denominator:
            seen.setdefault(_sides(ratio), ratio)
    return [ratio for ratio in named if ratio in seen.values()]


def _sides(ratio: Ratio) -> str:
    return f"{ratio.numerator} / {ratio.denominator}"


def _with_k(ratio: Ratio, k: int) -> Ratio:
    return replace(
        ratio,
        name=ratio.name.format(k=k),
        numerator=ratio.numerator.format(k=k),
        denominator=ratio.denominator.format(k=k),
    )
