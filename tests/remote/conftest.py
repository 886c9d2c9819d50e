import shutil
import ssl
import subprocess
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from spa_lsp import paths
from spa_lsp.adapters import selection, writing
from spa_lsp.remote.engine import RemoteEngine
from spa_lsp.settings.schema import Settings
from tests.conftest import TINY_CATALOG, TINY_ID
from tests.remote.fake_server import serving
from tests.tiny_set import make_adapters, make_set


@pytest.fixture
def catalog(homes):
    """The tiny base is known, and not on this machine."""
    paths.data_dir().mkdir(parents=True, exist_ok=True)
    (paths.data_dir() / "catalog.toml").write_text(TINY_CATALOG)


@pytest.fixture
def install(catalog):
    """Put a set in use whose adapters are `a1` …; the set comes back."""

    def install(**changes):
        adapters = make_adapters()
        made = replace(make_set(adapters, activation="all"), **changes)
        found = writing.write_set(paths.user_sets_dir() / TINY_ID / made.name, made, adapters)
        selection.select_set(found)
        return found

    return install


@pytest.fixture
async def opened(catalog):
    """Start a fake server with these options, and an engine that asks it."""
    async with AsyncExitStack() as stack:

        async def opened(*, settings=None, **options):
            fake = await stack.enter_async_context(serving(**options))
            given = {"base": TINY_ID, "engine": fake.url, **(settings or {})}
            engine = RemoteEngine(Settings(**given))
            stack.push_async_callback(engine.close)
            return fake, engine

        yield opened


@pytest.fixture
async def certified(catalog, tmp_path):
    """Start a fake server with a certificate that it has made itself, for localhost; its URL comes back."""
    certificate, key = tmp_path / "own.pem", tmp_path / "own.key"
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not here")
    made_for = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *made_for]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    async with AsyncExitStack() as stack:

        async def certified():
            fake = await stack.enter_async_context(serving(tls=context))
            return f"https://localhost:{fake.port}"

        certified.certificate = certificate
        yield certified
