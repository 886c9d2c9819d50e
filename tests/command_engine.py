"""For tests of commands that ask: a base that is only recorded, and an engine with a fake completer in its place."""

import json
import threading
import time
from contextlib import contextmanager

from spa_lsp import paths
from spa_lsp.bases.catalog import RECORD_NAME, base_dir, find_base
from spa_lsp.engine.client import stop_engine
from spa_lsp.engine.service import serve
from spa_lsp.engine.supervisor import socket_path
from tests.conftest import TINY_CATALOG, TINY_ID, TINY_SHA256
from tests.fakes import NAMES, PATIENCE_S, FakeCompleter

BASE = ("--base", TINY_ID)
TEXTS = ("return a + b", "return sum([a, b])", "return a + b  # both")  # the third is the first again


def record_base():
    """Put the tiny base into catalog and cache, without weights: enough for all that happens before the engine."""
    paths.data_dir().mkdir(parents=True)
    (paths.data_dir() / "catalog.toml").write_text(TINY_CATALOG)
    folder = base_dir(find_base(TINY_ID))
    folder.mkdir(parents=True)
    (folder / "tokenizer.json").write_text("{")
    files = {"tokenizer.json": {"sha256": "1" * 64, "bytes": 1}}
    record = {"id": TINY_ID, "source_sha256": TINY_SHA256, "files": files, "transformers": "any"}
    (folder / RECORD_NAME).write_text(json.dumps(record))


@contextmanager
def serving(completer=None):
    """An engine of this process that commands find when they ask for the tiny base; its completer comes back."""
    record_base()
    completer = completer or FakeCompleter(texts=TEXTS)
    path = socket_path(TINY_ID, "auto")
    thread = threading.Thread(target=serve, args=(path, lambda _: completer, 60.0), kwargs={"about": NAMES})
    thread.start()
    try:
        _wait_for(path)
        yield completer
    finally:
        stop_engine(path)
        thread.join(PATIENCE_S)


def _wait_for(path, timeout_s=PATIENCE_S):
    end = time.monotonic() + timeout_s
    while not path.exists():
        assert time.monotonic() < end, "the engine does not listen"
        time.sleep(0.01)
