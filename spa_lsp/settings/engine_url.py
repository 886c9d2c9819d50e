"""The address of a server elsewhere that computes in place of the engine here. Pure."""

from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from spa_lsp.offline import is_loopback

LOCAL = "local"  # the engine of this machine

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, kw_only=True)
class EngineUrl:
    """Where it listens; `path` is what stands before `/v1`, as a rule nothing."""

    host: str
    port: int
    is_tls: bool
    path: str = ""

    @property
    def place(self) -> str:
        """`HOST:PORT`, for people."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_private(self) -> bool:
        """Whether nobody on the way can read what is sent, or there is no way."""
        return self.is_tls or is_loopback(self.host)


def parse_engine_url(text: str) -> EngineUrl:
    """The address in a URL like `https://gpu-box:8000` or `http://127.0.0.1:8080/v1`.

    Raises:
        ValueError: it is none, or has more in it than an address.
    """
    parts = urlsplit(text)
    if parts.scheme not in _PORTS or not parts.hostname or not text.isascii() or not text.isprintable():
        raise ValueError(f"{text!r} is no address of a server; write it as https://HOST:PORT")
    if parts.username is not None or parts.query or parts.fragment or " " in text:
        raise ValueError("the address of a server has neither a user nor a query; a key belongs into engineKey")
    return EngineUrl(
        host=parts.hostname,
        port=parts.port or _PORTS[parts.scheme],
        is_tls=parts.scheme == "https",
        path=parts.path.rstrip("/").removesuffix("/v1"),
    )


def is_same_server(engine: str, other: str) -> bool:
    """Whether two values of the setting mean one program: by scheme, host and port."""
    if LOCAL in (engine, other):
        return engine == other
    return replace(parse_engine_url(engine), path="") == replace(parse_engine_url(other), path="")


def is_engine(value: object) -> bool:
    """Whether a setting may say this: `local`, or an address."""
    if not isinstance(value, str) or len(value) > 300:
        return False
    try:
        return value == LOCAL or bool(parse_engine_url(value))
    except ValueError:
        return False
