"""A language server that is not the one wanted: another name, another version, or it ends when it should serve."""

import json
import os
import sys


def main(name: str, version: str, then: str = "stays") -> None:
    """Answer `initialize` as this server would, and every other request with nothing; or end at once, if it `ends`."""
    while line := sys.stdin.buffer.readline():
        length = int(line.split(b":")[1])
        while sys.stdin.buffer.readline() != b"\r\n":
            pass
        message = json.loads(sys.stdin.buffer.read(length))
        if message.get("method") == "initialize":
            capabilities = {"inlineCompletionProvider": True, "textDocumentSync": 1}
            _send(message["id"], {"serverInfo": {"name": name, "version": version}, "capabilities": capabilities})
        elif message.get("method") == "exit" or then == "ends":
            os._exit(3 if then == "ends" else 0)
        elif "id" in message:
            _send(message["id"], None)


def _send(message_id, result) -> None:
    body = json.dumps({"jsonrpc": "2.0", "id": message_id, "result": result}).encode()
    sys.stdout.buffer.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
