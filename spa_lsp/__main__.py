"""`python -m spa_lsp` is the program `spa-lsp`."""

from spa_lsp.cli import main

if __name__ == "__main__":
    main(prog_name="spa-lsp")
