"""`spa-lsp metrics`: which adapters' alternatives are taken, how long answers take, how many come from the cache."""

import json
from typing import Any

import click


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@click.option("--reset", "is_reset", is_flag=True, help="Forget all that was noted, also what the order has learned.")
def metrics(as_json: bool, is_reset: bool) -> None:
    """Show what was noted on this machine of alternatives shown and taken; nothing of it ever leaves the machine.

    \b
        spa-lsp metrics --json
    """
    from spa_lsp.outcomes.file import read_answers, read_outcomes, reset
    from spa_lsp.outcomes.metrics import summarize

    if is_reset:
        reset()
        click.echo("forgot all outcomes and answers", err=True)
    summary = summarize(read_outcomes(), read_answers())
    click.echo(json.dumps(summary, indent=1) if as_json else _to_text(summary))


def _to_text(summary: dict[str, Any]) -> str:
    if not summary["since"]:
        return "nothing was noted yet"
    lines = [
        f"since {summary['since'][:10]}",
        f"{'adapter':24} {'language':12} shown accepted partial dismissed rejected",
    ]
    for row in summary["adapters"]:
        numbers = f"{row['shown']:5} {row['accepted']:8} {row['partial']:7} {row['dismissed']:9} {row['rejected']:8}"
        adapter = f"{row['adapter']} {row['set_sha256'][:8]}"  # a set may have been published anew under its name
        lines.append(f"{adapter:24} {row['language']:12} {numbers} {_percent(row['acceptance'])}".rstrip())
    for row in [*summary["languages"], {"language": "all", **summary["total"]}]:
        lines.append(
            f"{row['language']}: {row['answers']} answers, {row['with_alternatives']} with alternatives, "
            f"{row['accepted']} accepted {_percent(row['acceptance'])}, from the cache {_percent(row['cache_share'])}, "
            f"else p50 {_ms(row['p50_ms'])}, p95 {_ms(row['p95_ms'])}"
        )
    return "\n".join(lines)


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f} ms"
