"""What is known of clients by their names, and by what they say they can."""

from typing import Any

from lsprotocol import types

# what `clientInfo.name` of VS Code and of its kin holds; it is the name of the application
VSCODE_NAMES = ("visual studio code", "code - oss", "code-server", "vscodium", "vscode", "cursor", "windsurf")
SHOWS_FIRST = "spaLspFirstItems"  # the name of that capability


def asks_again(client: types.ClientInfo | None) -> bool:
    """Whether the client is VS Code or built on it: it asks for all alternatives only when the user wants another.

    All others show and cycle through what the first answer held.
    """
    name = client.name.lower() if client else ""
    return any(known in name for known in VSCODE_NAMES)


def shows_first(experimental: Any) -> bool:
    """Whether the client shows what comes first while its request runs, by its experimental capabilities."""
    return isinstance(experimental, dict) and experimental.get(SHOWS_FIRST) is True
