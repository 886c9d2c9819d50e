"""`python -m trainer` is the program `trainer`."""

import sys

if __name__ == "__main__" and not sys.flags.safe_path:
    del sys.path[0]  # the folder that it is called in is no place to import from, not even the next line

from trainer.cli import main

if __name__ == "__main__":
    main(prog_name="trainer")
