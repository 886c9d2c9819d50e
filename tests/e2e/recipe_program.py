"""The program `spa-lsp` of the recipes' tests: the real front, with a canned engine behind it."""

from spa_lsp.bases.catalog import DEFAULT_BASE
from spa_lsp.cli import main as spa_lsp
from spa_lsp.cli._serve import serve_stdio
from spa_lsp.engine.supervisor import socket_path
from tests.e2e import canned_engine


def main(arguments: list[str]) -> None:
    """Do what `spa-lsp` does with these arguments."""
    if arguments == ["--stdio"]:
        serve_stdio(canned_engine.command(socket_path(DEFAULT_BASE, "auto")))
    spa_lsp(arguments, prog_name="spa-lsp")
