"""The bank: k LoRA adapters stacked on one base, adapter i acting on row i of the batch. Serves and trains alike.

    y = base(x)                                   # one product for all rows
    y = baddbmm(y, bmm(x, A), B, alpha=scaling)   # A [K, D, R], B [K, R, N]: two more, whatever k is

Since row i is always adapter i there is nothing to gather, and the gradient of A[i], B[i] is that of row i alone: with
the same adapter in every row that is a per-sample gradient.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from spa_lsp.errors import AdapterMismatch

PREFIX = "base_model.model."  # of PEFT's tensor names


@dataclass(frozen=True)
class Lanes:
    """Where the rows of a batch lie among those of their adapters, so that each adapter is multiplied once for all."""

    cells: Tensor  # [rows], of each row, in `[K, M]` laid flat
    shape: tuple[int, int]  # K adapters, and M, the most rows that one of them has

    @classmethod
    def of(cls, lanes: Sequence[int], *, n_lanes: int, device: str) -> "Lanes":
        """The cells of rows of which each names its lane."""
        before = [lanes[:n].count(lane) for n, lane in enumerate(lanes)]
        M = max(before) + 1
        cells = [lane * M + n for lane, n in zip(lanes, before, strict=True)]
        return cls(cells=torch.tensor(cells, device=device), shape=(n_lanes, M))

    def product(self, x: Tensor, A: Tensor, B: Tensor) -> Tensor:
        """What each row `[rows, 1, D]` is by its lane's A `[K, D, R]` and B `[K, R, N]`: `[rows, 1, N]`."""
        laid = x.new_zeros(self.shape[0] * self.shape[1], x.shape[2])
        laid[self.cells] = x[:, 0]
        found = torch.bmm(torch.bmm(laid.view(*self.shape, -1), A), B)
        return found.flatten(0, 1)[self.cells][:, None]


@dataclass
class _Switch:
    is_on: bool = False
    rows: slice | None = None  # None: all
    selected: list[int] | None = None  # the adapter of each row, or lane; None: all in their order
    lanes: Lanes | None = None  # of the rows; None: row i is the i-th that is selected


class BankLinear(nn.Module):
    """A linear of the base with K adapters beside it; off, it is the base's linear and nothing else."""

    def __init__(self, base: nn.Module, switch: _Switch) -> None:
        super().__init__()
        self.base = base
        self.switch = switch
        self.scaling = 1.0
        self.all: tuple[Tensor, Tensor] | None = None  # A and B of all adapters that were loaded
        self.A: Tensor | None = None  # [K, D, R], of the rows that run now
        self.B: Tensor | None = None  # [K, R, N]

    def forward(self, x: Tensor) -> Tensor:
        """`[K, T, D]` to `[K, T, N]` when on; any shape of the base's when off."""
        y: Tensor = self.base(x)
        if not self.switch.is_on:
            return y
        self._take_rows()
        if self.A is None or self.B is None:
            return y
        if self.switch.lanes is not None:
            return y.add_(self.switch.lanes.product(x, self.A.to(x.dtype), self.B.to(x.dtype)), alpha=self.scaling)
        rows = self.switch.rows
        A, B = (self.A, self.B) if rows is None else (self.A[rows], self.B[rows])
        inner = torch.bmm(x, A.to(x.dtype))
        return torch.baddbmm(y, inner, B.to(x.dtype), alpha=self.scaling)

    def _take_rows(self) -> None:
        """Copy the adapters of the rows that were selected: only now, since the compiled step needs no copies."""
        if self.A is None and self.all is not None:
            A, B = self.all
            rows = torch.tensor(self.switch.selected, device=A.device)
            self.A, self.B = A.index_select(0, rows), B.index_select(0, rows)


class AdapterBank:
    """All adapted linears of one model; a later bank of the same model takes over."""

    def __init__(self, model: nn.Module, *, dtype: torch.dtype = torch.float32, device: str = "cpu") -> None:
        self.model = model
        self.dtype = dtype  # of adapters that are loaded; trained ones are float32
        self.device = device
        self.switch = _Switch()
        self.linears: dict[str, BankLinear] = {}
        self.n_adapters = 0

    def load(self, adapters: Sequence[Mapping[str, Tensor]], scalings: Sequence[float]) -> None:
        """Replace what the bank holds by these adapters, given in PEFT's names and shapes (A `[R, D]`, B `[N, R]`).

        Different ranks are padded with zeros, which changes no product; each scaling is folded into its B.

        Raises:
            AdapterMismatch: an adapter names a linear that the model does not have, or with another shape.
        """
        names = sorted({_linear_name(key) for adapter in adapters for key in adapter})
        stacked = {name: self._stack(name, adapters, scalings) for name in names}  # first: it may fail
        self._install(names)
        self.n_adapters = len(adapters)
        for name, linear in self.linears.items():
            linear.scaling, linear.all = 1.0, stacked[name]
        self.select(None)

    def create(
        self, names: Sequence[str], *, n_adapters: int, rank: int, scaling: float, seeds: Sequence[int]
    ) -> list[nn.Parameter]:
        """Fresh trainable adapters in float32, A Kaiming-uniform from its own seed, B zero, as PEFT starts them.

        Adapter i comes out the same for the same `seeds[i]`, however many others there are.
        """
        assert len(seeds) == n_adapters
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self._install(names)
        self.n_adapters = n_adapters
        for name in names:
            linear = self.linears[name]
            n_out, n_in = linear_shape(linear.base)
            bound = n_in**-0.5  # kaiming_uniform_ with a = sqrt(5), PEFT's choice
            starts = [torch.empty(n_in, rank).uniform_(-bound, bound, generator=g) for g in generators]
            linear.scaling = scaling
            linear.A = nn.Parameter(torch.stack(starts).to(self.device))
            linear.B = nn.Parameter(torch.zeros(n_adapters, rank, n_out, device=self.device))
        return self.parameters()

    def parameters(self) -> list[nn.Parameter]:
        """The trainable tensors, A before B, linears in order of name."""
        return [t for name in sorted(self.linears) for t in _pair(self.linears[name]) if isinstance(t, nn.Parameter)]

    def state(self) -> dict[str, Tensor]:
        """Every trained tensor under `<linear>.A` or `.B`, stacked; for checkpoints."""
        pairs = {name: _pair(linear) for name, linear in self.linears.items()}
        return {
            f"{name}.{part}": t.detach() for name, pair in pairs.items() for part, t in zip("AB", pair, strict=True)
        }

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Put back what `state` gave."""
        with torch.no_grad():
            for key, held in self.state().items():
                held.copy_(state[key])

    def begin(self, index: int, adapter: Mapping[str, Tensor]) -> None:
        """Let trainable adapter `index` start as this one, given in PEFT's names and shapes, of the bank's own rank."""
        with torch.no_grad():
            for name, linear in self.linears.items():
                A, B = _pair(linear)
                A[index].copy_(_tensor(adapter, name, "A").T)
                B[index].copy_(_tensor(adapter, name, "B").T)

    def export(self, index: int, dtype: torch.dtype = torch.bfloat16) -> dict[str, Tensor]:
        """Adapter `index` in PEFT's names and shapes, scaling not folded in."""
        adapter: dict[str, Tensor] = {}
        for name, linear in self.linears.items():
            A, B = _pair(linear)
            adapter[f"{PREFIX}{name}.lora_A.weight"] = A[index].detach().T.to(dtype).contiguous().cpu()
            adapter[f"{PREFIX}{name}.lora_B.weight"] = B[index].detach().T.to(dtype).contiguous().cpu()
        return adapter

    def select(self, rows: Tensor | None) -> None:
        """Let row i of the next batches be adapter `rows[i]`; None: all adapters in their order."""
        if rows is not None and rows.tolist() == list(range(self.n_adapters)):
            rows = None  # no copies for the usual case
        self.switch.selected = None if rows is None else rows.tolist()
        for linear in self.linears.values():
            if linear.all is not None:
                linear.A, linear.B = linear.all if rows is None else (None, None)

    @property
    def n_selected(self) -> int:
        """Rows of the next batch, or its lanes."""
        return self.n_adapters if self.switch.selected is None else len(self.switch.selected)

    @contextmanager
    def on(self, rows: slice | None = None, *, lanes: Lanes | None = None) -> Iterator[None]:
        """Let the adapters act inside the block, row i under adapter i, or each row under that of its lane.

        With `rows` only these act, on a batch of so many rows.
        """
        self.switch.is_on, self.switch.rows, self.switch.lanes = True, rows, lanes
        try:
            yield
        finally:
            self.switch.is_on, self.switch.rows, self.switch.lanes = False, None, None

    def _install(self, names: Sequence[str]) -> None:
        """Put a `BankLinear` around each named linear and take away all others."""
        for name in self.linears:
            held = self.model.get_submodule(name)
            if isinstance(held, BankLinear):
                self.model.set_submodule(name, held.base)
        self.linears = {}
        for name in names:
            self.linears[name] = BankLinear(self._find_linear(name), self.switch)
            self.model.set_submodule(name, self.linears[name])

    def _find_linear(self, name: str) -> nn.Module:
        """The base's own linear of this name."""
        try:
            found = self.model.get_submodule(name)
        except AttributeError as error:
            raise AdapterMismatch(f"the base has no linear {name!r}, which the adapter changes") from error
        return found.base if isinstance(found, BankLinear) else found

    def _stack(
        self, name: str, adapters: Sequence[Mapping[str, Tensor]], scalings: Sequence[float]
    ) -> tuple[Tensor, Tensor]:
        """A `[K, D, R]` and B `[K, R, N]` of one linear, R the largest rank."""
        n_out, n_in = linear_shape(self._find_linear(name))
        rank = max(_tensor(a, name, "A").shape[0] for a in adapters if f"{PREFIX}{name}.lora_A.weight" in a)
        A = torch.zeros(len(adapters), rank, n_in, dtype=self.dtype).transpose(1, 2)  # as the compiled step reads it
        B = torch.zeros(len(adapters), rank, n_out, dtype=self.dtype)
        for i, (adapter, scaling) in enumerate(zip(adapters, scalings, strict=True)):
            if f"{PREFIX}{name}.lora_A.weight" not in adapter:
                continue  # this adapter leaves the linear alone: zeros
            down, up = _tensor(adapter, name, "A"), _tensor(adapter, name, "B")
            if down.shape[1] != n_in or up.shape[0] != n_out or down.shape[0] != up.shape[1]:
                raise AdapterMismatch(
                    f"adapter {i} has {tuple(down.shape)} and {tuple(up.shape)} for {name}, the base's linear is "
                    f"({n_out}, {n_in}); the set was made for another base"
                )
            A[i, :, : down.shape[0]] = down.T.to(self.dtype)
            B[i, : up.shape[1]] = (up.float() * scaling).T.to(self.dtype)
        return A.to(self.device), B.to(self.device)


def adapted_linears(model: nn.Module, target_modules: Sequence[str]) -> list[str]:
    """Names of the model's linears whose last part is one of `target_modules`, in the model's order.

    Raises:
        AdapterMismatch: one of them does not occur.
    """
    names = [name.removesuffix(".base") for name, _ in model.named_modules()]
    found = [name for name in dict.fromkeys(names) if name.rpartition(".")[2] in target_modules]
    missing = set(target_modules) - {name.rpartition(".")[2] for name in found}
    if missing:
        raise AdapterMismatch(
            f"the base has no linear named {', '.join(sorted(missing))}; choose other --target-modules"
        )
    return found


def linear_shape(linear: Any) -> tuple[int, int]:
    """`(N, D)` of a linear, also where its weight is packed."""
    return int(linear.out_features), int(linear.in_features)


def _pair(linear: BankLinear) -> tuple[Tensor, Tensor]:
    pair = linear.all or (linear.A, linear.B)
    assert pair[0] is not None and pair[1] is not None
    return pair[0], pair[1]


def _linear_name(key: str) -> str:
    return key.removeprefix(PREFIX).removesuffix(".weight").rpartition(".")[0]


def _tensor(adapter: Mapping[str, Tensor], name: str, part: str) -> Tensor:
    return adapter[f"{PREFIX}{name}.lora_{part}.weight"]
