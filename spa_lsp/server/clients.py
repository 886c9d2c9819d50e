"""What is known of clients by their names."""

from lsprotocol import types

# what `clientInfo.name` of VS Code and of its kin holds; it is the name of the application
VSCODE_NAMES = ("visual studio code", "code - oss", "code-server", "vscodium", "vscode", "cursor", "windsurf")


def asks_again(client: types.ClientInfo | None) -> bool:
    """Whether the client is VS Code or built on it: it asks for all alternatives only when the user wants another.

    All others show and cycle through what the first answer held.
    """
    name = client.name.lower() if client else ""
    return any(known in name for known in VSCODE_NAMES)
