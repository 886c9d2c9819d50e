from spa_lsp.adapters.finding import find_set
from spa_lsp.bases.catalog import DEFAULT_BASE
from spa_lsp.server.adapter_names import AdapterNames


async def test_the_adapters_of_a_set_are_known_in_its_order():
    shipped = find_set(None, DEFAULT_BASE)
    names = await AdapterNames().of(DEFAULT_BASE, shipped.name)
    assert names == tuple(info.name for info in shipped.adapters) and len(names) > 1


async def test_a_set_that_is_not_to_be_found_has_none():
    assert await AdapterNames().of(DEFAULT_BASE, "elsewhere") == ()
    assert await AdapterNames().of(DEFAULT_BASE, "") == ()
