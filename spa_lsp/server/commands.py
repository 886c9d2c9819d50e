"""What clients run by name or tell: each unpacks, does one thing with the front's state, and packs."""

import asyncio
import logging
from dataclasses import replace
from functools import partial
from typing import Any

from spa_lsp import errors
from spa_lsp.engine.client import stop_engine_of
from spa_lsp.outcomes.records import EventKind, Outcome
from spa_lsp.server import feedback
from spa_lsp.server import pick_lists as choices
from spa_lsp.server.state import SpaServer

logger = logging.getLogger(__name__)


async def accept(ls: SpaServer, *arguments: Any) -> None:
    """The client inserted an alternative: note which, and look ahead."""
    tell("accepted", ls, arguments[0] if arguments else None)
    await asyncio.to_thread(ls.recorder.flush)


def tell(kind: EventKind, ls: SpaServer, arguments: Any) -> None:
    """Note what the client says became of an alternative; what is written is the user's choice."""
    try:
        outcome = feedback.read_outcome(kind, arguments)
    except errors.BadInput as error:
        logger.warning("an outcome was not recorded: %s", error)
        return
    uri = feedback.document_of(arguments)
    if shown := ls.offering.answers.latest(outcome.set_id, outcome.index, uri):
        outcome = replace(outcome, set_sha256=shown[1].alternative.set_sha256 or None)
        uri = shown[0].spot.uri
    is_recorded = partial(_recorded, ls, uri)
    recorded = is_recorded()
    if kind == "accepted":
        _look_ahead(ls, outcome, uri, is_learned=bool(recorded))
    elif kind in ("shown", "partial"):
        ls.offering.is_on_screen(outcome.set_id, outcome.index, uri)
    elif kind == "dismissed":
        ls.offering.dismissed(outcome.set_id, outcome.index, uri)
    if recorded:
        ls.recorder.add(outcome, uri=uri, is_recorded=is_recorded)
    if kind == "accepted" and recorded == "text":
        documents = ls.protocol.documents

        def text_now() -> str | None:
            return found.text if is_recorded() == "text" and (found := documents.get(uri)) else None

        ls.recorder.watch(outcome, uri=uri, text_now=text_now)


def _recorded(ls: SpaServer, uri: str) -> bool | str:
    """What may be recorded now of a document; of one that is not open what may be recorded of all."""
    ls.configuration.refresh()
    if document := ls.protocol.documents.get(uri):
        return ls.configuration.settings_of(document.file_uri).record_outcomes
    found = {each.record_outcomes for each in ls.configuration.all_settings}
    return False if False in found else "text" if found == {"text"} else True


def _look_ahead(ls: SpaServer, taken: Outcome, uri: str, *, is_learned: bool) -> None:
    if is_learned:
        ls.offering.learned.add(taken.language, taken.adapter)
    ls.offering.accepted(taken.set_id, taken.index, ls.protocol.program, uri)


def toggle(ls: SpaServer, *arguments: Any) -> dict[str, bool]:
    """Switch alternatives off or on in this window; with true or false: to that."""
    ls.is_on = arguments[0] if arguments and isinstance(arguments[0], bool) else not ls.is_on
    ls.status.switch(is_off=not ls.is_on)
    return {"enabled": ls.is_on}


def clear_cache(ls: SpaServer, *arguments: Any) -> None:
    """Forget all answers given."""
    ls.offering.clear()


def reload_adapters(ls: SpaServer, *arguments: Any) -> None:
    """Ask anew: the engine looks at every request which set is selected or published; it may be one of another base."""
    ls.configuration.find_base()
    ls.use_settings()
    ls.offering.clear()
    ls.link.ask_names()


async def restart_engine(ls: SpaServer, *arguments: Any) -> None:
    """End the engine, for all windows, and start another; also one that was given up after many deaths."""
    ls.leave_engine()
    await asyncio.to_thread(stop_engine_of, ls.settings.base, ls.settings.quantization)
    ls.configuration.find_base()
    ls.use_settings()
    ls.link.start()


async def select_set(ls: SpaServer, *arguments: Any) -> dict[str, Any]:
    """Use an adapter set in this window until it ends ("": none, null: as the settings say); without one: the list."""
    if arguments and (arguments[0] is None or isinstance(arguments[0], str)):
        ls.configuration.choose("adapter_set", arguments[0])
        ls.use_settings()
    sets = await asyncio.to_thread(choices.list_sets, ls.settings.base)
    return {"base": ls.settings.base, "selected": ls.settings.adapter_set, "sets": sets}


async def select_base(ls: SpaServer, *arguments: Any) -> dict[str, Any]:
    """Use a base in this window until it ends (null: as the settings say); without one: the list."""
    if arguments and (arguments[0] is None or isinstance(arguments[0], str)):
        ls.configuration.choose("base", arguments[0])
        ls.use_settings()
    return {"selected": ls.settings.base, "bases": await asyncio.to_thread(choices.list_bases)}


async def show_metrics(ls: SpaServer, *arguments: Any) -> dict[str, Any]:
    """What `spa-lsp metrics --json` prints, and under `window` the answers of this window, recorded or not."""
    await asyncio.to_thread(ls.recorder.flush)
    return {**await asyncio.to_thread(choices.read_metrics), "window": window_figures(ls)}


def window_figures(ls: SpaServer) -> dict[str, dict[str, int]]:
    """The answers since the start of this front, and how many came without the engine."""
    return {
        kind: {"answers": ls.n_answers[kind, True] + ls.n_answers[kind, False], "from_cache": ls.n_answers[kind, True]}
        for kind in ("automatic", "invoked")
    }


COMMANDS = {
    feedback.ACCEPT_COMMAND: accept,
    "spa-lsp.reloadAdapters": reload_adapters,
    "spa-lsp.selectSet": select_set,
    "spa-lsp.selectBase": select_base,
    "spa-lsp.toggle": toggle,
    "spa-lsp.metrics": show_metrics,
    "spa-lsp.clearCache": clear_cache,
    "spa-lsp.restartEngine": restart_engine,
}
