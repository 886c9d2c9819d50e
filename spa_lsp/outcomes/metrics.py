"""Figures of the noted outcomes and answers: what is accepted, how long it takes, how much is cached. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from spa_lsp.outcomes.records import KINDS

Row = Mapping[str, Any]


def summarize(outcomes: Sequence[Row], answers: Sequence[Row]) -> dict[str, Any]:
    """What `spa-lsp metrics --json` prints.

    `acceptance` of an adapter is accepted / shown, for editors that say what they show; of a language it is accepted
    / answers with alternatives. Latencies are those of answers that the engine gave, in milliseconds.
    """
    return {
        "since": min((row["created"] for row in (*outcomes[:1], *answers[:1])), default=None),
        "adapters": _by_adapter(outcomes),
        "languages": [
            {"language": language, **_language_figures(language, outcomes, answers)}
            for language in sorted({row["language"] for row in (*outcomes, *answers)})
        ],
        "total": _figures(outcomes, answers),
    }


def _by_adapter(outcomes: Sequence[Row]) -> list[dict[str, Any]]:
    counts: dict[tuple[str, str, str, str], Counter[str]] = {}
    for row in outcomes:
        made = row.get("set_sha256") or ""  # not noted by earlier versions
        counts.setdefault((row["set_id"], made, row["adapter"], row["language"]), Counter())[row["kind"]] += 1
    return [
        {
            "set": set_id,
            "set_sha256": made,
            "adapter": adapter,
            "language": language,
            **{kind: of[kind] for kind in KINDS},
            "acceptance": _share(of["accepted"], of["shown"]),
        }
        for (set_id, made, adapter, language), of in sorted(counts.items())
    ]


def _language_figures(language: str, outcomes: Sequence[Row], answers: Sequence[Row]) -> dict[str, Any]:
    return _figures(_of(outcomes, language), _of(answers, language))


def _of(rows: Iterable[Row], language: str) -> list[Row]:
    return [row for row in rows if row["language"] == language]


def _figures(outcomes: Sequence[Row], answers: Sequence[Row]) -> dict[str, Any]:
    useful = [row for row in answers if row["n_items"]]
    n_accepted = sum(row["kind"] == "accepted" for row in outcomes)
    from_engine = sorted(row["latency_ms"] for row in answers if not row["is_cached"])
    return {
        "answers": len(answers),
        "with_alternatives": len(useful),
        "accepted": n_accepted,
        "acceptance": _share(n_accepted, len(useful)),
        "from_cache": sum(bool(row["is_cached"]) for row in answers),
        "cache_share": _share(sum(bool(row["is_cached"]) for row in answers), len(answers)),
        "p50_ms": percentile(from_engine, 50),
        "p95_ms": percentile(from_engine, 95),
    }


def _share(n: int, total: int) -> float | None:
    return round(n / total, 4) if total else None


def percentile(ordered: Sequence[float], percent: int) -> float | None:
    """The least of these ascending values that so many percent do not exceed (nearest rank); None of none."""
    if not ordered:
        return None
    return round(ordered[max(0, -(-len(ordered) * percent // 100) - 1)], 1)
