"""The work of the stage that asks the base, a batch of items a piece: the warm-up, then gradients or embeddings.

Knows no store. What a piece gives depends on its items and on the work alone, so pieces may be computed anywhere.
"""

import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from spa_lsp.errors import BadInput
from spa_lsp.lm.bank import AdapterBank
from spa_lsp.progress import progress
from trainer.attribute.embedding import embeddings
from trainer.attribute.gradients import begin, point_gradients, warm_up, warm_up_steps
from trainer.attribute.less import Point
from trainer.attribute.vectors import Vector
from trainer.configs import AttributeConfig
from trainer.data.items import TokenItem
from trainer.executor.held_base import HeldBase
from trainer.executor.work import Do, Give, use_threads

WARM_UP = "warm-up.safetensors"


@dataclass(frozen=True, kw_only=True)
class WarmUp:
    """Trains the warm-up adapter: items in, the files that it leaves out, by name. In `folder` it can be resumed."""

    base: HeldBase
    config: AttributeConfig
    seed: int
    folder: Path | None

    @property
    def base_id(self) -> str:
        """As `Work.base_id`."""
        return self.base.base_id

    def start(self, n_threads: int | None) -> Do[Sequence[TokenItem], Mapping[str, bytes]]:
        """As `Work.start`."""
        use_threads(n_threads)
        return self._train

    def _train(self, items: Sequence[TokenItem], give: Give[Mapping[str, bytes]]) -> None:
        base = self.base.get()
        bank = AdapterBank(base.model, device=base.device)
        with nullcontext(self.folder) if self.folder else TemporaryDirectory(prefix="warm-up-") as name:
            folder = Path(name)
            with progress("warm-up", warm_up_steps(len(items), self.config), "steps") as bar:
                warm_up(
                    base, bank, items, self.config, seed=self.seed, checkpoint=folder / WARM_UP, on_step=bar.advance
                )
            if not self.folder:
                give({path.name: path.read_bytes() for path in folder.glob("*.safetensors")})


@dataclass(frozen=True, kw_only=True)
class Batch:
    """At most `config.batch` items by their keys; of queries or of samples."""

    items: Mapping[str, TokenItem]
    are_queries: bool


@dataclass(frozen=True, kw_only=True)
class BatchVectors:
    """What a batch came to, and how long that took."""

    vectors: Mapping[str, Vector]
    are_queries: bool
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Vectors:
    """Gradients at points of the warm-up, or embeddings where there are none."""

    base: HeldBase
    config: AttributeConfig
    seed: int
    points: Sequence[Point] = ()
    arithmetic: str = ""  # precision and device of the warm-up

    @property
    def base_id(self) -> str:
        """As `Work.base_id`."""
        return self.base.base_id

    def start(self, n_threads: int | None) -> Do[Batch, BatchVectors]:
        """As `Work.start`."""
        use_threads(n_threads)
        base = self.base.get()
        if self.points and self.arithmetic != (here := f"{base.quantization} on {base.device}"):
            raise BadInput(
                f"the warm-up was trained in {self.arithmetic}, this is {here}; go on there, or pass another --seed"
            )
        bank = AdapterBank(base.model, device=base.device)
        if self.points:
            begin(base, bank, self.config, seed=self.seed)
        points = [point.on(base.device) for point in self.points]

        def do(batch: Batch, give: Give[BatchVectors]) -> None:
            started = time.perf_counter()
            items = list(batch.items.values())
            if points:
                are_updates = self.config.method == "less" and not batch.are_queries
                made = point_gradients(
                    base, bank, items, self.config, seed=self.seed, points=points, are_updates=are_updates
                )
            else:
                made = embeddings(base, items, self.config.layer)
            vectors = dict(zip(batch.items, made.numpy(), strict=True))
            seconds = time.perf_counter() - started
            give(BatchVectors(vectors=vectors, are_queries=batch.are_queries, seconds=seconds))

        return do
