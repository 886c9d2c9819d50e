"""Requests to one server, and what became of them as sentences for a person. What they mean is not known here.

No proxy, no redirect, no cookie: text goes to the host that the user has named and to no other. Logs hold neither key
nor text: what a server says of an error may repeat what it was asked.
"""

import asyncio
import json
import logging
import re
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpcore2

from spa_lsp.errors import BadInput, NotFound, SpaError, Unavailable
from spa_lsp.offline import let_through
from spa_lsp.settings.engine_url import EngineUrl

CONNECT_S = 5.0
SILENCE_S = 60.0  # without a byte; a server that is asked by many has queues
MAX_LINE_BYTES = 1 << 20
MAX_BYTES = 8 << 20  # of one answer; a thousand tokens with all that is said of them are one of these


class HttpServer:
    """One server; made and used in one event loop."""

    def __init__(self, url: EngineUrl, *, key: str = "", is_insecure: bool = False) -> None:
        logging.getLogger("httpcore2").setLevel(logging.WARNING)  # at debug it logs headers
        self.url = url
        self._headers: dict[bytes | str, bytes | str] = {"Content-Type": "application/json", "User-Agent": "spa-lsp"}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=_ssl_context(is_insecure=is_insecure),
            max_connections=256,
            keepalive_expiry=20.0,  # less than servers wait: a request must not meet a connection that is being closed
            network_backend=_OneHost(url),
        )

    async def close(self) -> None:
        """End all connections."""
        await self._pool.aclose()

    async def get(self, path: str) -> Any:
        """The JSON at a path.

        Raises:
            SpaError: why there is none.
        """
        async with self._answer("GET", path, None) as response:
            return self._to_json(b"".join([part async for part in self._parts(response)]))

    async def stream(self, path: str, body: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """The events of a streamed answer, to its `[DONE]`; who stops listening ends the work at the server, too.

        Raises:
            SpaError: why there are none, or no more.
        """
        async with self._answer("POST", path, json.dumps(body).encode()) as response:
            async for line in self._lines(response):
                if not line.startswith(b"data:"):
                    continue  # empty, a comment that keeps the connection, or another field
                data = line[5:].strip()
                if data == b"[DONE]":
                    return
                event = self._to_json(data)
                if not isinstance(event, dict) or "error" in event:
                    raise Unavailable(f"{self.url.place} broke off with an error; see its log")
                yield event
        raise Unavailable(f"{self.url.place} broke off in the middle of an answer; see its log")

    @asynccontextmanager
    async def _answer(self, method: str, path: str, body: bytes | None) -> AsyncIterator[httpcore2.Response]:
        scheme = "https" if self.url.is_tls else "http"
        url = httpcore2.URL(scheme=scheme, host=self.url.host, port=self.url.port, target=self.url.path + path)
        timeouts = {"connect": CONNECT_S, "read": SILENCE_S, "write": SILENCE_S, "pool": SILENCE_S}
        try:
            async with self._pool.stream(
                method, url, headers=self._headers, content=body, extensions={"timeout": timeouts}
            ) as response:
                if response.status != 200:
                    raise self._fault(response.status, await self._kind(response))
                yield response
        except httpcore2.TimeoutException:
            raise Unavailable(f"{self.url.place} does not answer; is the server there?") from None
        except (httpcore2.NetworkError, httpcore2.ProtocolError, OSError) as error:
            raise self._lost(error) from None

    async def _parts(self, response: httpcore2.Response) -> AsyncIterator[bytes]:
        n_bytes = 0
        async for part in response.aiter_stream():
            n_bytes += len(part)
            if n_bytes > MAX_BYTES:
                raise Unavailable(f"{self.url.place} says more than {MAX_BYTES >> 20} MB without an end; see its log")
            yield part

    async def _lines(self, response: httpcore2.Response) -> AsyncIterator[bytes]:
        rest = b""
        async for part in self._parts(response):
            *lines, rest = (rest + part).split(b"\n")
            for line in lines:
                yield line
            if len(rest) > MAX_LINE_BYTES:
                raise self._garbage()
        if rest:
            yield rest

    async def _kind(self, response: httpcore2.Response) -> str:
        """What a server calls its error, if that is one word: more of it may be the user's text."""
        try:
            said = self._to_json(b"".join([part async for part in self._parts(response)]))["error"]["type"]
        except (KeyError, TypeError, SpaError):
            return ""
        return f", {said}" if isinstance(said, str) and re.fullmatch(r"\w{1,40}", said) else ""

    def _fault(self, status: int, kind: str) -> SpaError:
        place, what = self.url.place, f"({status}{kind})"
        if status in (401, 403):
            return BadInput(f"{place} refuses the key {what}; set engine and its engineKey in your own settings")
        if status == 404:
            return NotFound(f"{place} has no such model or address {what}; is it a server with the completions API?")
        if status in (429, 503):
            return Unavailable(f"{place} has too much to do {what}; it is asked again in a while")
        if 400 <= status < 500:
            return BadInput(f"{place} refuses the request {what}; see its log, and whether its context is long enough")
        return Unavailable(f"{place} failed {what}; see its log")

    def _lost(self, error: Exception) -> SpaError:
        if isinstance(error, httpcore2.RemoteProtocolError):
            return Unavailable(f"{self.url.place} broke off, or does not speak HTTP; see its log")
        said = str(error)
        if "CERTIFICATE_VERIFY_FAILED" in said:
            way_out = "install its authority's certificate (SSL_CERT_FILE), or set allowInsecure in your own settings"
            return BadInput(f"nobody vouches for the certificate of {self.url.place}; {way_out}")
        return Unavailable(f"{self.url.place} cannot be reached ({type(error).__name__}); is the server there?")

    def _garbage(self) -> SpaError:
        return Unavailable(f"{self.url.place} answers with something that is not JSON; is it a server of models?")

    def _to_json(self, data: bytes) -> Any:
        try:
            return json.loads(data)
        except (ValueError, RecursionError):
            raise self._garbage() from None


class _OneHost(httpcore2.AsyncNetworkBackend):
    """Connects to one host and port, at the addresses that its name has now, and excepts just those from the guard."""

    def __init__(self, url: EngineUrl) -> None:
        self._url = url
        self._backend = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """The first connection that succeeds."""
        error: Exception = OSError(f"{host} has no address")
        for address in await self._addresses(timeout):
            try:
                return await self._backend.connect_tcp(address, self._url.port, timeout, None, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as failure:
                error = failure
        raise error

    async def _addresses(self, timeout: float | None) -> list[str]:
        url = self._url
        let_through(url.host, url.port)
        try:
            async with asyncio.timeout(timeout):
                found = await asyncio.get_running_loop().getaddrinfo(url.host, url.port, type=socket.SOCK_STREAM)
        except TimeoutError:
            raise httpcore2.ConnectTimeout("its name is not found in time") from None
        addresses = list(dict.fromkeys(str(address[0]) for *_, address in found))
        let_through(url.host, url.port, addresses)
        return addresses

    async def sleep(self, seconds: float) -> None:
        """Wait, as its pool asks."""
        await self._backend.sleep(seconds)


def _ssl_context(*, is_insecure: bool) -> ssl.SSLContext:
    """The authorities of this machine, or those that SSL_CERT_FILE names."""
    context = ssl.create_default_context()
    if is_insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
