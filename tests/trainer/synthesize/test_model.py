"""The real base on a small repository: a handful of verified samples, several solutions of a task."""

import pytest

from tests.trainer.synthesize.conftest import CLAMP
from trainer.configs import SourcesConfig, SynthesizeConfig
from trainer.data.samples import load_samples
from trainer.pipeline.stages import open_trainer
from trainer.pipeline.synthesis import run_synthesize
from trainer.rows.records import plain

pytestmark = [pytest.mark.model, pytest.mark.usefixtures("sandbox")]
MORE = '''
def runs(items: list[int]) -> list[tuple[int, int]]:
    """Lengths of runs of equal neighbours: pairs of value and length.

    >>> runs([1, 1, 2])
    [(1, 2), (2, 1)]
    """
    found: list[tuple[int, int]] = []
    for item in items:
        if found and found[-1][0] == item:
            found[-1] = (item, found[-1][1] + 1)
        else:
            found.append((item, 1))
    return found


def snake_case(name: str) -> str:
    """A name in camel case, as `MaxLength`, in snake case, as `max_length`."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")
'''


def test_the_base_solves_what_it_is_shown_in_more_than_one_way(make_repository, found):
    folder = make_repository({"helpers.py": CLAMP, "more.py": MORE})
    with open_trainer() as db:
        figures = run_synthesize(db, SynthesizeConfig(recipe="behaviour"), SourcesConfig(folders=(folder,))).run.figures
        samples = load_samples(db)
    found("{n_samples} samples of {n_tasks} tasks, {tokens_per_s:.1f} tokens/s".format(**plain(figures)))
    assert figures.n_tasks >= 3 and figures.n_by_model >= 3 and figures.n_tasks_of_two >= 2
    assert len(samples) == figures.n_samples
