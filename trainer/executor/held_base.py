"""The base of a work that computes gradients."""

from spa_lsp.lm.load import LoadedBase, load_base


class HeldBase:
    """A base for gradients: loaded when it is first asked for, once in a process. It travels as its id."""

    def __init__(self, base_id: str) -> None:
        self.base_id = base_id
        self._loaded: LoadedBase | None = None

    def __reduce__(self) -> tuple[type["HeldBase"], tuple[str]]:
        return HeldBase, (self.base_id,)

    def get(self) -> LoadedBase:
        """The base."""
        if self._loaded is None:
            self._loaded = load_base(self.base_id, is_training=True)
        return self._loaded
