import asyncio
import threading
from contextlib import closing

import pytest

from spa_lsp.adapters import writing
from spa_lsp.adapters.finding import find_set
from spa_lsp.bases.catalog import DEFAULT_BASE
from spa_lsp.server import adapter_names
from spa_lsp.server.adapter_names import AdapterNames
from spa_lsp.storage import store
from tests.fakes import PATIENCE_S
from tests.tiny_set import BASE_ID, make_adapters, make_set


async def test_the_adapters_of_a_set_are_known_in_its_order():
    shipped = find_set(None, DEFAULT_BASE)
    names = await AdapterNames().of(DEFAULT_BASE, shipped.name)
    assert names == tuple(info.name for info in shipped.adapters) and len(names) > 1


async def test_a_set_that_is_not_to_be_found_has_none():
    assert await AdapterNames().of(DEFAULT_BASE, "elsewhere") == ()
    assert await AdapterNames().of(DEFAULT_BASE, "") == ()


def publish(*, k, **changes):
    made = make_adapters(k=k)
    with closing(store.open_store(write=True)) as db:
        writing.publish(db, make_set(made, **changes), made)


# #15
async def test_the_ranker_is_that_of_the_set_in_use():
    names = AdapterNames()
    assert await names.ranker_of(BASE_ID, "mine") == {}
    publish(k=2, ranker={"votes": 1.0})
    assert await names.ranker_of(BASE_ID, "mine") == {"votes": 1.0}


# #11
async def test_a_set_that_is_published_anew_under_its_name_has_its_new_adapters():
    names = AdapterNames()
    assert await names.of(BASE_ID, "mine") == ()
    publish(k=2)
    assert await names.of(BASE_ID, "mine") == ("a1", "a2")
    publish(k=3)
    assert await names.of(BASE_ID, "mine") == ("a1", "a2", "a3")


@pytest.fixture
def slow_reads(monkeypatch):
    """The names of the sets that are read, and what the reads wait for."""
    read, gate = [], threading.Event()

    def read_slowly(name, base_id):
        read.append(name)
        gate.wait(PATIENCE_S)
        return find_set(name, base_id)

    monkeypatch.setattr(adapter_names, "find_set", read_slowly)
    yield read, gate
    gate.set()


# #15
async def test_those_who_ask_at_the_same_time_share_one_read(slow_reads):
    read, gate = slow_reads
    publish(k=2, ranker={"votes": 1.0})
    names = AdapterNames()
    asked = asyncio.gather(names.of(BASE_ID, "mine"), names.ranker_of(BASE_ID, "mine"))
    await asyncio.sleep(0)
    gate.set()
    assert await asked == [("a1", "a2"), {"votes": 1.0}]
    assert read == ["mine"]


# #15
async def test_who_gives_up_takes_the_read_from_nobody(slow_reads):
    _, gate = slow_reads
    publish(k=2)
    names = AdapterNames()
    first, second = (asyncio.create_task(names.of(BASE_ID, "mine")) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    gate.set()
    assert await second == ("a1", "a2") and first.cancelled()
