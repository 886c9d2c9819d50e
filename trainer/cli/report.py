"""`trainer report`: unpacks the options, reads exports, prints tables or writes the page."""

import re
from collections.abc import Sequence
from pathlib import Path

import click

from spa_lsp.errors import BadInput
from spa_lsp.storage.whole_files import written_whole
from trainer.cli import options

_RUN = re.compile("[0-9a-f]{4,64}")


@click.command("report", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("sources", metavar="[RUN|EXPORT]...", nargs=-1)
@click.option("--html", "html_path", type=options.PATH, metavar="FILE", help="Write one page that opens from disk.")
@click.option("--markdown", "is_markdown", is_flag=True, help="Print the tables.  [default without --html]")
def report_command(sources: tuple[str, ...], html_path: Path | None, is_markdown: bool) -> None:
    """Show an evaluation: tables, plots, and the alternatives of every problem side by side.

    By default the newest; RUN is the start of the id of one of its runs, EXPORT a file of `trainer evaluate --export`,
    which has the problems' text too. Several - other k, temperatures, numbers of samples - are put together where they
    asked the same problems. The page loads nothing, from nowhere.

    \b
        trainer report --html report.html
        trainer report k2.json k4.json k8.json --html report.html --markdown
    """
    from trainer.report.exports import read_report
    from trainer.report.tables import markdown

    exports = [_export(source) for source in sources or (None,)]
    report = read_report(exports)
    if html_path:
        from trainer.report.page import page

        _refuse_inputs(html_path, exports)
        _write(html_path, page(report))
        click.echo(f"trainer: wrote {html_path}", err=True)
    if is_markdown or not html_path:
        click.echo(markdown(report))


def _export(source: str | None) -> Path:
    """The file that is meant: a name is a run's where it looks like one and there is no such file."""
    from trainer.rows.kept_exports import find_evaluation

    if source is None or (_RUN.fullmatch(source) and not Path(source).exists()):
        return find_evaluation(source)
    return Path(source)


def _refuse_inputs(path: Path, exports: Sequence[Path]) -> None:
    if path.resolve() in {export.resolve() for export in exports}:
        raise BadInput(f"--html {path} is one of the exports; choose another name")


def _write(path: Path, text: str) -> None:
    """What is no text in UTF-8 becomes `?`."""
    with written_whole(path) as unfinished:
        unfinished.write_text(text, "utf-8", errors="replace")
