"""`spa-lsp doctor`: looks at everything a completion needs, and says of each what is wrong and how to fix it.

It changes nothing and starts no engine.
"""

import json
from collections.abc import Callable
from dataclasses import asdict

import click

from spa_lsp.cli import _machine_checks as machine
from spa_lsp.cli import _own_checks as own
from spa_lsp.cli._finding import Finding
from spa_lsp.errors import SpaError


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(as_json: bool) -> None:
    """Check this installation; the exit status is 1 when something keeps completions from working.

    \b
        spa-lsp doctor
    """
    findings = examine()
    is_usable = all(finding.state != "bad" for finding in findings)
    if as_json:
        click.echo(json.dumps({"is_usable": is_usable, "findings": [asdict(each) for each in findings]}, indent=1))
    else:
        for finding in findings:
            click.echo(_to_text(finding))
    if not is_usable:
        n_bad = sum(1 for finding in findings if finding.state == "bad")
        raise click.ClickException(
            f"{n_bad} of {len(findings)} checks found something that keeps completions from working"
        )


def _to_text(finding: Finding) -> str:
    fix = f"\n{'':16}fix: {finding.fix}" if finding.fix else ""
    return f"{finding.state:<5} {finding.name:<9} {finding.text}{fix}"


def examine() -> list[Finding]:
    """All findings, in the order in which a person would fix them."""
    device = _guarded("device", machine.check_device)
    quantization = str(device.details.get("quantization", "fp32"))
    checks: list[tuple[str, Callable[[], Finding]]] = [
        ("memory", lambda: machine.check_memory(quantization)),
        ("disk", machine.check_disk),
        ("base", own.check_base),
        ("cache", own.check_cache),
        ("store", own.check_store),
        ("set", own.check_set),
        ("imports", own.check_broken_sets),
        ("engine", own.check_engine),
        ("server", own.check_server),
        ("sandbox", machine.check_sandbox),
    ]
    return [_guarded("packages", machine.check_packages), device, *(_guarded(name, check) for name, check in checks)]


def _guarded(name: str, check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except SpaError as error:
        return Finding(name=name, state="bad", text=error.what, fix=error.way_out)
    except OSError as error:
        text = f"could not be checked: {error}"
        return Finding(name=name, state="note", text=text, fix="check who may read that folder")
