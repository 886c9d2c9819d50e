"""A server of the completions API that says what it is told to; the words are a real llama-server's."""

import asyncio
import json
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

LLAMA = [{"id": "/models/base.gguf", "owned_by": "llamacpp", "meta": {"n_ctx": 4096}}]
VLLM = [{"id": "base", "owned_by": "vllm", "parent": None}]
SGLANG = [{"id": "base", "owned_by": "sglang"}]
PIECES = ("    return a", " + b\n", "\n")


@dataclass
class FakeServer:
    """Answers every request for a completion with `pieces`, or as `behave` does."""

    port: int = 0
    models: Any = field(default_factory=lambda: LLAMA)
    loras: Any = field(default_factory=list)  # of llama.cpp
    pieces: Any = PIECES  # or what makes them of a body; a pair has what else could have stood there, by its logprob
    key: str = ""
    status: int = 200  # of a completion
    error: Any = field(default_factory=lambda: {"error": {"type": "some_error", "message": "SECRET"}})
    behave: Any = None  # (writer, body) -> awaitable: writes the whole answer itself
    asked: list[dict[str, Any]] = field(default_factory=list)  # bodies of the requests for completions
    paths: list[str] = field(default_factory=list)
    keys: set[str | None] = field(default_factory=set)  # that were sent
    is_full: asyncio.Event = field(default_factory=asyncio.Event)  # set when `n_awaited` requests are there
    n_awaited: int = 1
    n_left: int = 0  # requests whose client went away while `holds` had them
    _tasks: set[Any] = field(default_factory=set)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader, writer):
        self._tasks.add(asyncio.current_task())
        try:
            while await self._serve_one(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client needs it no more
        finally:
            writer.close()

    async def _serve_one(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        request, *lines = head.split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        _, path, _ = request.split(" ")
        self.paths.append(path)
        self.keys.add(headers.get("authorization"))
        if self.key and headers.get("authorization") != f"Bearer {self.key}":
            return await send_json(writer, self.error, status=401)
        if path == "/v1/models":
            return await send_json(writer, {"object": "list", "data": self.models})
        if path == "/lora-adapters":
            return await send_json(writer, self.loras)
        self.asked.append(json.loads(body))
        if len(self.asked) >= self.n_awaited:
            self.is_full.set()
        await self.is_full.wait()
        if self.behave:
            return await self.behave(writer, self.asked[-1])
        if self.status != 200:
            return await send_json(writer, self.error, status=self.status)
        return await self._complete(writer, self.asked[-1])

    async def _complete(self, writer, body):
        await send_head(writer)
        pieces = self.pieces(body) if callable(self.pieces) else self.pieces
        for piece in pieces:
            text, tops = (piece, None) if isinstance(piece, str) else piece
            await send_piece(writer, text, tops=tops, is_listed=self.models[0]["owned_by"] != "llamacpp")
        await send_piece(writer, "", finish="stop")
        await send_end(writer)
        return True


async def send_json(writer, value, *, status=200):
    data = json.dumps(value).encode()
    writer.write(b"HTTP/1.1 %d Any\r\nContent-Length: %d\r\n\r\n%s" % (status, len(data), data))
    await writer.drain()
    return True


async def send_head(writer):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
    await writer.drain()


async def send_data(writer, data):
    writer.write(b"%x\r\n%s\r\n" % (len(data), data))
    await writer.drain()


async def send_piece(writer, text, *, finish=None, logprob=-0.5, tops=None, is_listed=False):
    """A token; what is said of it is listed by vLLM and SGLang, and one object of llama.cpp."""
    tops = {text: logprob, **tops} if tops else {}
    logprobs = {"tokens": [text], "token_logprobs": [logprob], "top_logprobs": [tops]}
    if not is_listed:
        logprobs = {"content": [{**said_of(text, logprob), "top_logprobs": [said_of(*top) for top in tops.items()]}]}
    logprobs = logprobs if text and logprob is not None else None
    choice = {"text": text, "index": 0, "logprobs": logprobs, "finish_reason": finish}
    await send_data(writer, b"data: %s\n\n" % json.dumps({"choices": [choice], "model": "m"}).encode())


def said_of(text, logprob):
    return {"id": 1, "token": text, "bytes": list(text.encode()), "logprob": logprob}


async def send_end(writer):
    await send_data(writer, b"data: [DONE]\n\n")
    writer.write(b"0\r\n\r\n")
    await writer.drain()


@asynccontextmanager
async def serving(*, tls=None, **options):
    fake = FakeServer(**options)
    server = await asyncio.start_server(fake.serve, "127.0.0.1", 0, ssl=tls)
    fake.port = server.sockets[0].getsockname()[1]
    try:
        yield fake
    finally:
        server.close()
        fake.is_full.set()
        for task in fake._tasks:
            task.cancel()
        await asyncio.gather(*fake._tasks, return_exceptions=True)
        await asyncio.sleep(0.01)  # what is closed has closed


def holds(fake):
    """Make it say nothing for as long as its clients stay."""

    async def behave(writer, body):
        try:
            await send_head(writer)
            while True:
                await send_data(writer, b": wait\n")
                await asyncio.sleep(0)
        except ConnectionError:
            fake.n_left += 1

    fake.behave = behave


async def _serve_at(host, port):
    fake = FakeServer(port=int(port))
    async with await asyncio.start_server(fake.serve, host, fake.port) as server:
        sys.stdout.write("listening\n")
        sys.stdout.flush()
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve_at(*sys.argv[1:]))
