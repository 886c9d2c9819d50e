"""Prompts of a wanted length, never the same twice at their beginning, so that no cache knows them. Pure."""

from collections.abc import Callable, Sequence

from spa_lsp.text.site import Site

TYPED_TOKENS = 3  # between one request and the next, at the cursor
_SUFFIX_SHARE = 4  # a quarter of the prompt stands behind the cursor, as in the server's own window
_FIM_TOKENS = 3

_NAMES = ("orders", "readings", "users", "files", "routes", "tickets", "events", "prices")


def make_prompt(
    n_tokens: int, key: str, *, encode: Callable[[str], list[int]], decode: Callable[[Sequence[int]], str]
) -> Site:
    """An infill prompt of as good as `n_tokens` tokens that begins with `key`; `begun` is typed in a keystroke more.

    The prefix ends with a line, where none of it is taken back: rows then write as many tokens as those of others.
    """
    ids = encode(f"{key} = 1\n" + source_code(40 * n_tokens))
    most = max(n_tokens - n_tokens // _SUFFIX_SHARE - _FIM_TOKENS, 1)
    n_prefix = next((n for n in range(most, 0, -1) if decode(ids[n - 1 : n]).endswith("\n")), most)
    n_suffix = n_tokens - n_prefix - _FIM_TOKENS
    return Site(
        prefix=decode(ids[:n_prefix]),
        begun=decode(ids[n_prefix : n_prefix + TYPED_TOKENS]),
        suffix=decode(ids[n_prefix + TYPED_TOKENS :][:n_suffix]),
    )


def source_code(n_characters: int) -> str:
    """Ordinary Python of at least this length."""
    functions: list[str] = []
    n = 0
    while n < n_characters:
        functions.append(_function(len(functions)))
        n += len(functions[-1])
    return "".join(functions)


def _function(number: int) -> str:
    name = _NAMES[number % len(_NAMES)]
    return (
        f"def select_{name}_{number}(items, limit={10 + number}):\n"
        f'    """The {name} whose weight is below the limit, heaviest first."""\n'
        f"    chosen = [item for item in items if item.weight < limit]\n"
        f"    chosen.sort(key=lambda item: item.weight, reverse=True)\n"
        f"    return chosen[: {number + 3}]\n\n\n"
    )
