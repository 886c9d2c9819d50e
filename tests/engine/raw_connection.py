"""A client of an engine that says what a test wants, byte for byte, and reads messages as they are."""

from spa_lsp.engine import private_socket, wire


class RawConnection:
    def __init__(self, path):
        self.sock = private_socket.try_connect(path)
        self._decoder = wire.FrameDecoder()
        self._messages = []

    def send(self, message):
        self.sock.sendall(wire.encode(message))

    def receive(self, timeout_s):
        """The next message; an error when there is none in time, or the engine is gone."""
        self.sock.settimeout(timeout_s)
        while not self._messages:
            data = self.sock.recv(1 << 16)
            assert data, "the engine is gone"
            self._messages += self._decoder.feed(data)
        return self._messages.pop(0)

    def close(self):
        self.sock.close()
