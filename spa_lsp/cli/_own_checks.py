"""What `spa-lsp doctor` checks of our own: base, cache, store, sets, engine, and a server in its place."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from spa_lsp.cli._finding import GB, Finding, State

if TYPE_CHECKING:
    from spa_lsp.settings.schema import Settings


def check_base() -> Finding:
    """Whether the base that is served lies here converted, which others do, and what a larger one would bring."""
    from spa_lsp.bases.catalog import DEFAULT_BASE, find_base, installed_base, is_ready, load_catalog
    from spa_lsp.bases.choice import what_larger_brings
    from spa_lsp.cli._completer import choose_model
    from spa_lsp.errors import NotFound

    ready = [base.id for base in load_catalog().values() if is_ready(base)]
    served = choose_model().base_id
    details = {"default": DEFAULT_BASE, "ready": ready, "served": served}
    try:
        installed = installed_base(find_base(served))
    except NotFound as error:
        others = f", {', '.join(ready)} can be used with --base" if ready else ""
        state: State = "note" if ready or _server_settings() else "bad"
        return Finding(name="base", state=state, text=error.what + others, fix=error.way_out, details=details)
    n_bytes = sum(file.n_bytes for file in installed.files.values())
    text = f"{', '.join(ready)} ready, {served} is served: {n_bytes / GB:.1f} GB in {installed.folder}"
    if larger := what_larger_brings():
        return Finding(name="base", text=f"{text}; {larger}", details=details)
    return Finding(name="base", text=text, details=details)


def check_cache() -> Finding:
    """How much can be fetched again and could be removed."""
    from spa_lsp import paths

    folder = paths.cache_dir()
    n_bytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    text = f"{n_bytes / GB:.1f} GB in {folder}" if folder.exists() else f"{folder} is not there yet"
    return Finding(name="cache", text=text, details={"folder": str(folder), "n_bytes": n_bytes})


def check_store() -> Finding:
    """Whether the store can be read, is not of a newer version, is sound, and lies where other programs find it."""
    from spa_lsp import paths

    found = _read_store()
    snap = paths.snap_of(paths.data_dir())
    if not snap or found.state != "ok":
        return found
    text = f"{paths.store_path()} lies in the folder of the snap {snap}: programs outside of it use another store"
    fix = "set SPA_HOME to one folder for all programs, as ~/.local/share/spa-lsp, then: spa-lsp engine stop"
    return replace(found, state="note", text=text, fix=fix)


def _read_store() -> Finding:
    from contextlib import closing

    from spa_lsp import paths
    from spa_lsp.errors import NotFound
    from spa_lsp.storage import store

    details: dict[str, Any] = {"path": str(paths.store_path())}
    try:
        db = store.open_store()
    except NotFound:
        return Finding(name="store", text="none yet; the first command of the trainer makes it", details=details)
    with closing(db):
        wrong = store.check_integrity(db)
        names = [manifest["name"] for manifest in store.load_manifests(db)]
    if wrong:
        text = f"{paths.store_path()} is damaged: {wrong[0]}"
        return Finding(name="store", state="bad", text=text, fix="move it away or put a backup in its place")
    details["published"] = names
    return Finding(name="store", text=f"sound, sets published: {', '.join(names) or 'none'}", details=details)


def check_set() -> Finding:
    """Whether the set that completions use is whole and fits the base that is served."""
    from spa_lsp.adapters import finding, selection
    from spa_lsp.adapters.transfer import verify_set
    from spa_lsp.cli._completer import choose_model
    from spa_lsp.errors import NotFound

    model = choose_model()
    if model.set_name == "":
        return Finding(name="set", text=f"none, as your own settings say: {model.base_id} alone answers")
    try:
        found = finding.find_set(model.set_name, model.base_id)
    except NotFound as error:  # the base alone still answers, but where a set is asked for by name
        return Finding(name="set", state="bad" if model.set_name else "note", text=error.what, fix=error.way_out)
    details = {"name": found.name, "source": finding.source_of(found), "k": found.k, "set_id": found.set_id}
    problems = [f"{verdict.file}: {verdict.problem}" for verdict in verify_set(found) if verdict.problem]
    if problems:
        text = f"{found.name} ({details['source']}): {problems[0]}"
        return Finding(name="set", state="bad", text=text, fix="spa-lsp adapters use ANOTHER", details=details)
    is_chosen = model.set_name or model.base_id in selection.read_selection()
    chosen = "chosen" if is_chosen else "by default"
    text = f"{found.name} ({details['source']}, {chosen}), {found.k} adapters for {found.base_id}"
    return Finding(name="set", text=text, details=details)


def check_broken_sets() -> Finding:
    """Whether there are folders of sets that cannot be read."""
    from spa_lsp.adapters.finding import list_broken

    broken = list_broken()
    if not broken:
        return Finding(name="imports", text="every folder of an adapter set can be read")
    text = "; ".join(f"{folder}: {error}" for folder, error in broken.items())
    return Finding(name="imports", state="note", text=text, fix="remove the folder, or import the set again")


def check_engine() -> Finding:
    """Whether an engine of this store and cache runs, and what it holds; of others, only that they run."""
    from spa_lsp.engine.client import has_own_store, running_engines

    running = running_engines()
    if silent := next((each for each in running if each["state"] == "silent"), None):
        text = f"process {silent['pid']} does not answer at {silent['socket']}"
        return Finding(name="engine", state="note", text=text, fix="spa-lsp engine stop", details=silent)
    status = next(filter(has_own_store, running), None)
    n_others = sum(1 for each in running if not has_own_store(each))
    others = f"; engines of another store or cache: {n_others}" if n_others else ""
    if status is None:
        return Finding(name="engine", text=f"not running; it is started when it is needed{others}")
    if status.get("state") == "failed":
        text = f"process {status.get('pid')} could not load: {status.get('error')}{others}"
        return Finding(name="engine", state="bad", text=text, fix="fix that, then: spa-lsp engine stop", details=status)
    resident = status.get("resident_bytes", 0) / GB
    text = f"process {status.get('pid')} is {status.get('state')}, {status.get('base')}, {resident:.1f} GB resident"
    return Finding(name="engine", text=text + others, details=status)


def check_server() -> Finding:
    """Whether text goes to a server elsewhere, and that has what is wanted; none is sent."""
    settings = _server_settings()
    if settings is None:
        return Finding(name="server", text="none in place of the engine: text stays on this machine")
    from spa_lsp.remote.client import RemoteClient

    client = RemoteClient(settings)
    try:
        model = client.check()
    finally:
        client.close()
    who = model.adapter_set.name if model.adapter_set else "the base alone"
    return Finding(name="server", text=f"text goes to {settings.engine}, where {who} answers")


def _server_settings() -> "Settings | None":
    """The user's settings where they name a server in place of the engine."""
    from spa_lsp.cli._completer import own_settings
    from spa_lsp.settings.engine_url import LOCAL

    settings = own_settings()
    return None if settings.engine == LOCAL else settings
