"""The engine process: `python -m spa_lsp.engine --base ID --quantization Q`. Started by clients, rarely by hand."""

import argparse
import logging
import os
from functools import partial

from spa_lsp.bases.catalog import find_base, installed_base
from spa_lsp.engine.service import serve
from spa_lsp.engine.supervisor import socket_path
from spa_lsp.engine.switching import SwitchingCompleter
from spa_lsp.engine.watchdog import HANG_S
from spa_lsp.engine.worker import EngineCompleter, OnProgress
from spa_lsp.errors import Hung, NoMemory, SpaError
from spa_lsp.offline import forbid_network, go_offline
from spa_lsp.waiting import spin_briefly

logger = logging.getLogger(__name__)


def main() -> None:
    """Serve until the end; the process then ends at once, whatever torch's threads still do."""
    go_offline()
    forbid_network()
    spin_briefly()
    options = _parse_options()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    load = partial(load_local, options.base, options.set, options.quantization)
    about = {"base": options.base, "adapter_set": options.set or "", "quantization": options.quantization}
    status = 1
    try:
        path = socket_path(options.base, options.quantization)
        serve(path, load, options.idle_s, about=about, max_memory_mb=options.max_memory_mb, hang_s=HANG_S)
        status = 0
    except KeyboardInterrupt:
        logger.info("interrupted")
    except (NoMemory, Hung):
        logger.info("ended in trouble")
    except Exception:
        logger.exception("the engine ended by an error")
    logging.shutdown()
    os._exit(status)


def load_local(base_id: str, set_name: str | None, quantization: str, on_progress: OnProgress) -> EngineCompleter:
    """The base in this process, with the named adapter set if that can be used (None: the selected one; "": none).

    Whoever is served by a set that cannot be used is told so when he asks; others share this engine.
    """
    installed_base(find_base(base_id))  # says that it must be pulled before seconds go into importing torch
    from spa_lsp.lm.completer import LocalCompleter

    completer = LocalCompleter.load(base_id, adapter_set="", quantization=quantization, on_load=on_progress)
    switching = SwitchingCompleter(completer, base_id)
    try:
        switching.use_set(set_name)
    except SpaError as error:
        logger.warning("ready without an adapter set: %s", error)
    return switching


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="spa_lsp.engine")
    parser.add_argument("--base", required=True, help="base id of the catalog")
    parser.add_argument("--set", help='adapter set; "": none; default: the selected one')
    parser.add_argument("--quantization", default="auto")
    parser.add_argument("--idle-s", type=float, default=1800.0, help="seconds without a client until the end")
    parser.add_argument("--max-memory-mb", type=int, help="end when more memory is resident than this")
    return parser.parse_args()


if __name__ == "__main__":
    main()
