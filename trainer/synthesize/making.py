"""The work of the synthesize stage: a block of seeds in, what became of each out. Knows no store and no other block.

What compares tasks with each other, the filter for near-duplicates, is the driver's.
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from trainer.configs import SynthesizeConfig
from trainer.evaluate.sandbox import require_sandbox
from trainer.executor.work import Do, Give, blocks, use_threads
from trainer.synthesize.contamination import Known
from trainer.synthesize.filters import clean_seed
from trainer.synthesize.generation import Asker, BatchCompleter
from trainer.synthesize.recipes import Made, make_tasks
from trainer.synthesize.rows import Spent
from trainer.synthesize.seeds import Seed

Load = Callable[[str, str], BatchCompleter]  # of a base's id and a quantization


@dataclass(frozen=True, kw_only=True)
class Block:
    """Seeds that are asked about together, and their place among the blocks of a call."""

    number: int
    seeds: tuple[Seed, ...]


@dataclass(frozen=True, kw_only=True)
class MadeBlock:
    """What became of each seed of a block, how much of it was masked, and what it took."""

    block: Block
    made: dict[str, Made]  # by the seed's id, those that no exercise was asked for first
    masked: dict[str, int]
    spent: Spent


@dataclass(frozen=True, kw_only=True)
class Making:
    """Exercises, solutions and their verdicts; the sandbox is the worker's own."""

    base_id: str
    quantization: str
    load: Load
    config: SynthesizeConfig
    seed: int
    known: Known
    may_be_unsafe: bool = False

    def start(self, n_threads: int | None) -> Do[Block, MadeBlock]:
        """As `Work.start`."""
        use_threads(n_threads)
        require_sandbox(may_be_none=self.may_be_unsafe)
        completer = self.load(self.base_id, self.quantization)

        def do(block: Block, give: Give[MadeBlock]) -> None:
            give(self._make(block, Asker(completer, seed=self.seed)))

        return do

    def _make(self, block: Block, asker: Asker) -> MadeBlock:
        started = time.perf_counter()
        made: dict[str, Made] = {}
        masked: dict[str, int] = {}
        fit: list[Seed] = []
        for seed in block.seeds:
            counts: Counter[str] = Counter()
            cleaned, reason = clean_seed(seed, self.known, counts)
            masked[seed.id] = counts.total()
            if cleaned is None:
                made[seed.id] = Made(seed=seed, reason=reason)
            else:
                fit.append(cleaned)
        answered = make_tasks(
            fit,
            asker,
            recipes=self.config.recipe_names,
            responses=self.config.responses,
            temperature=self.config.temperature,
            rng_seed=self.seed,
        )
        made |= {each.seed.id: each for each in answered}
        spent = Spent(n_tokens=asker.n_tokens, seconds=time.perf_counter() - started, ask_s=asker.seconds)
        return MadeBlock(block=block, made=made, masked=masked, spent=spent)


def blocks_of(seeds: Sequence[Seed], size: int) -> list[Block]:
    """The seeds in their order, `size` at a time."""
    return [Block(number=number, seeds=tuple(own)) for number, own in enumerate(blocks(seeds, size))]
