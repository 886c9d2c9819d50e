"""A running engine takes up another adapter set between requests, and keeps the one it has when that is no good."""

from dataclasses import dataclass

import pytest

from spa_lsp import paths
from spa_lsp.engine.switching import SwitchingCompleter
from spa_lsp.errors import Damaged, NotFound


@dataclass(frozen=True)
class Set:
    name: str
    folder: object = None


class Completer:
    """Stands in for the local completer: it only knows which set it was given."""

    def __init__(self):
        self.adapter_set = None
        self.is_broken = False

    def swap_set(self, wanted):
        if self.is_broken:
            raise Damaged("a byte is wrong")
        self.adapter_set = wanted


@pytest.fixture
def sets(monkeypatch):
    """What the look-up finds by name, and how often it was asked."""
    found = {None: Set("first")}
    asked = []

    def find_set(name, base_id):
        asked.append(name)
        if name not in found:
            raise NotFound(f"no adapter set {name!r}")
        return found[name]

    monkeypatch.setattr("spa_lsp.adapters.finding.find_set", find_set)
    found["asked"] = asked
    return found


def publish():
    """Something that a publishing trainer does to the disk."""
    paths.data_dir().mkdir(parents=True, exist_ok=True)
    path = paths.store_path()
    path.write_bytes((path.read_bytes() if path.exists() else b"") + b"x")


def test_a_published_set_is_taken_up_and_nothing_is_looked_up_before(sets):
    completer = Completer()
    switching = SwitchingCompleter(completer, "base")
    for _ in range(3):
        switching.use_set(None)
    sets[None] = Set("second")
    switching.use_set(None)
    assert completer.adapter_set.name == "first" and len(sets["asked"]) == 1
    publish()
    switching.use_set(None)
    assert completer.adapter_set.name == "second"


def test_a_set_that_cannot_be_used_leaves_the_one_before_and_is_told_once(sets, caplog):
    completer = Completer()
    switching = SwitchingCompleter(completer, "base")
    switching.use_set(None)
    sets[None], completer.is_broken = Set("second"), True
    for _ in range(3):
        publish()
        switching.use_set(None)
    assert completer.adapter_set.name == "first" and caplog.text.count("a byte is wrong") == 1
    completer.is_broken = False
    publish()
    switching.use_set(None)
    assert completer.adapter_set.name == "second"


def test_a_set_that_is_asked_for_by_another_name_is_not_replaced_by_the_one_in_use(sets):
    switching = SwitchingCompleter(Completer(), "base")
    switching.use_set(None)
    with pytest.raises(NotFound):
        switching.use_set("other")


def test_each_name_gets_its_own_set(sets):
    completer = Completer()
    switching = SwitchingCompleter(completer, "base")
    sets["other"] = Set("other")
    names = []
    for name in (None, "other", None, ""):
        switching.use_set(name)
        names.append(completer.adapter_set and completer.adapter_set.name)
    assert names == ["first", "other", "first", None]
