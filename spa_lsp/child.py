"""How this program starts Python again; the only place that says which and with what."""

import sys


def own_python(*arguments: str) -> list[str]:
    """The command line of a child interpreter; the folder that it is started in is no place to import from."""
    return [sys.executable, "-P", *arguments]
