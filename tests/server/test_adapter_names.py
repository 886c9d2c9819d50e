from contextlib import closing

from spa_lsp.adapters import writing
from spa_lsp.adapters.finding import find_set
from spa_lsp.bases.catalog import DEFAULT_BASE
from spa_lsp.server.adapter_names import AdapterNames
from spa_lsp.storage import store
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
