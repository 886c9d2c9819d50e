"""The arms: what may answer a problem, side by side on one base. Which there are, and how they are asked for.

`base@0.8` is the arm `base` at temperature 0.8, `influence=my-set` the arm `influence` with the adapter set `my-set`,
`influence=my-set@served` the same as an editor asks it: the lead greedily, the others at the set's own temperature.
`base@served` is what an editor gets where there is no set, `single=my-set@served` with one adapter.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from spa_lsp.adapters.manifest import AdapterSet, check_temperature
from spa_lsp.adapters.row_plan import BASE_TEMPERATURE
from spa_lsp.errors import BadInput
from trainer.configs import ArmRecipe

_ASKED = re.compile(r"(?P<name>[a-z]+)(=(?P<set>[a-z0-9][a-z0-9_-]{0,63}))?(@(?P<temperature>\d+(\.\d+)?|served))?")


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One arm; without a recipe it is the base."""

    name: str
    about: str
    recipe: ArmRecipe | None = None
    temperature: float = 0.0  # when none is asked for


ARMS = (
    Arm(name="base", about="the base, greedy"),
    Arm(
        name="single",
        about="one adapter on all samples, k times the steps, sampled (the paper's baseline)",
        recipe=ArmRecipe(attribute="datainf", partition="whole", is_single=True),
        temperature=0.1,
    ),
    Arm(name="random", about="k parts by chance", recipe=ArmRecipe(attribute="random", partition="balanced")),
    Arm(
        name="lexical", about="k parts by BM25+ (the paper's)", recipe=ArmRecipe(attribute="bm25", partition="balanced")
    ),
    Arm(name="influence", about="k parts by influence", recipe=ArmRecipe(attribute="datainf", partition="balanced")),
    Arm(name="kmeans", about="k clusters of influence", recipe=ArmRecipe(attribute="datainf", partition="kmeans")),
    Arm(
        name="solutions",
        about="of each task's solutions one for each of k parts, by approach",
        recipe=ArmRecipe(attribute="approach", partition="solutions"),
    ),
    Arm(name="seeds", about="k seeds, all samples each", recipe=ArmRecipe(attribute="datainf", partition="whole")),
)


@dataclass(frozen=True, kw_only=True)
class ArmEntry:
    """An arm as it was asked for: `k` completions per problem at a temperature, perhaps of a set named by hand."""

    arm: Arm
    k: int
    temperature: float  # of one that is served: not known before there is a set
    set_name: str | None = None
    is_served: bool = False  # asked as an editor does

    @property
    def label(self) -> str:
        """As in reports: `base@0.8`, `influence`; two entries of one evaluation never share it."""
        named = f"={self.set_name}" if self.set_name else ""
        asked = "@served" if self.is_served else f"@{self.temperature:g}" if self.temperature else ""
        return f"{self.arm.name}{named}{asked}"

    @property
    def is_one_model(self) -> bool:
        """Whether all its completions come from the base, or from one adapter."""
        return self.arm.recipe is None or self.arm.recipe.is_single

    @property
    def n_rows(self) -> int:
        """Completions per problem: greedy decoding of one model gives one."""
        return 1 if self.is_one_model and self.temperature == 0 and not self.is_served else self.k

    def with_set(self, adapter_set: AdapterSet | None) -> "ArmEntry":
        """It at the temperature that its set is served at, where it is served."""
        return replace(self, temperature=adapter_set.temperature) if adapter_set and self.is_served else self


def parse_arms(text: str, *, k: int, temperature: float | None = None) -> list[ArmEntry]:
    """The entries of a list such as `base,base@0.8,influence`; `temperature` is for those that name none.

    Raises:
        BadInput: an unknown arm, one that comes twice, or a list of nothing.
    """
    entries = [_parse(part.strip(), k, temperature) for part in text.split(",") if part.strip()]
    labels = [entry.label for entry in entries]
    repeated = sorted({label for label in labels if labels.count(label) > 1})
    if not entries or repeated:
        what = f"arm {repeated[0]!r} comes twice" if repeated else "--arms names no arm"
        raise BadInput(f"{what}; {_choose()}")
    return entries


def _parse(text: str, k: int, temperature: float | None) -> ArmEntry:
    asked = _ASKED.fullmatch(text)
    arm = next((arm for arm in ARMS if asked and arm.name == asked["name"]), None)
    if asked is None or arm is None:
        raise BadInput(f"unknown arm {text!r}; {_choose()}")
    if asked["set"] and arm.recipe is None:
        raise BadInput(f"arm {text!r}: the base has no adapter set; leave out ={asked['set']}")
    if asked["temperature"] == "served":
        known = BASE_TEMPERATURE if arm.recipe is None else 0.0
        return ArmEntry(arm=arm, k=k, temperature=known, set_name=asked["set"], is_served=True)
    wanted = float(asked["temperature"]) if asked["temperature"] else temperature
    wanted = arm.temperature if wanted is None else wanted
    try:
        check_temperature(wanted)
    except BadInput as error:
        raise BadInput(f"arm {text!r}: {error}") from None
    return ArmEntry(arm=arm, k=k, temperature=wanted, set_name=asked["set"])


def _choose() -> str:
    return f"choose from {', '.join(arm.name for arm in ARMS)}, as in base,base@0.8,influence"


def pairs(entries: Sequence[ArmEntry]) -> list[tuple[ArmEntry, ArmEntry]]:
    """Every two entries once, the later one first: `influence` minus `base`."""
    return [(second, first) for n, first in enumerate(entries) for second in entries[n + 1 :]]
