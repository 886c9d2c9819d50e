"""The base that a setting means: `auto` goes by the adapter sets that a person made or chose, then by the machine."""

from contextlib import closing

from spa_lsp import paths
from spa_lsp.adapters.finding import list_sets, places_stamp
from spa_lsp.adapters.selection import read_selection
from spa_lsp.bases.catalog import DEFAULT_BASE
from spa_lsp.bases.choice import best_base
from spa_lsp.errors import NotFound, SpaError
from spa_lsp.storage import store
from spa_lsp.storage.whole_files import Stamp, file_stamp


def served_base(setting: str | None, set_name: str | None = None) -> str:
    """The id that a setting means; for `auto` and None the best base here, of those that have the set asked for.

    When none is asked for, bases come first for which the person has chosen or published a set: who trains one wants
    to be served by it. Never raises: what is wrong with a store, a set or a catalog is said where it is used.
    """
    if setting not in ("auto", None):
        assert setting is not None
        return setting
    try:
        having = {found.base_id for found in list_sets() if found.name == set_name} if set_name else _personal()
    except SpaError:
        having = set()
    try:
        best = best_base(having)
    except SpaError:  # the person's own catalog
        return DEFAULT_BASE
    return min(having) if set_name and having and best not in having else best


def served_stamp() -> tuple[Stamp, ...]:
    """What is another when a base came or went, or a set was published or chosen; six calls of `stat`, no reading."""
    return (*places_stamp(""), file_stamp(paths.bases_dir()))


def _personal() -> set[str]:
    chosen = set(read_selection())
    try:
        db = store.open_store()
    except NotFound:
        return chosen
    with closing(db):
        return chosen | {manifest["base_id"] for manifest in store.load_manifests(db)}
