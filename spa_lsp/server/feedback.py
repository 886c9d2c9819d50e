"""What the user did with an alternative: from the item's command to the outcomes file, never any text of the user."""

from typing import Any

from lsprotocol import types

from spa_lsp.completion import Alternative
from spa_lsp.errors import BadInput

ACCEPT_COMMAND = "spa-lsp.accept"


def accept_command(alternative: Alternative, adapter_set: str, language: str) -> types.Command:
    """The command that the client runs after it has inserted this alternative."""
    arguments = {
        "setId": adapter_set,
        "index": alternative.index,
        "adapter": alternative.adapter,
        "language": language,
    }
    return types.Command(title=alternative.label, command=ACCEPT_COMMAND, arguments=[arguments])


def record_accept(arguments: Any) -> None:
    """Note which alternative was taken. Writes a file: not for the event loop.

    Raises:
        BadInput: these are not the arguments of `accept_command`.
        SpaError: the outcome could not be written.
    """
    from spa_lsp.store import record_outcome  # SQLite is not needed to show alternatives

    match arguments:
        case {"setId": str(set_id), "index": int(index), "adapter": str(adapter), "language": str(language)}:
            try:
                record_outcome("accepted", set_id=set_id, index=index, adapter=adapter, language=language)
            except ValueError as error:
                raise BadInput(f"{ACCEPT_COMMAND}: {error}") from error
        case _:
            raise BadInput(f"{ACCEPT_COMMAND} takes setId, index, adapter and language")
