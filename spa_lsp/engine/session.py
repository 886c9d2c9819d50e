"""One client of the engine: what it asked for and how to write to it. Used in the event loop only."""

import asyncio

from spa_lsp.engine import wire
from spa_lsp.engine.events import Event, to_message

MAX_UNREAD_BYTES = 8 << 20  # a client that does not read its answers is dropped
CLOSE_TIMEOUT_S = 1.0


class Session:
    """A connection; it counts as a client once it has said `hello`."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self.is_greeted = False
        self.adapter_set: str | None = None  # None: the selected one

    def send(self, event: Event) -> None:
        """Write without waiting; does nothing when the client is gone."""
        if self._writer.is_closing():
            return
        self._writer.write(wire.encode(to_message(event)))
        if self._writer.transport.get_write_buffer_size() > MAX_UNREAD_BYTES:
            self.abort()

    def abort(self) -> None:
        """End the connection now; what was not read is lost."""
        self._writer.transport.abort()

    async def close(self) -> None:
        """End the connection after what was written has been read, within a second."""
        self._writer.close()
        try:
            await asyncio.wait_for(self._writer.wait_closed(), CLOSE_TIMEOUT_S)
        except (TimeoutError, OSError):
            self.abort()
