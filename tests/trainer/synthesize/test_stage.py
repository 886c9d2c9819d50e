"""The stage: samples with their origin in the store, once each, whatever broke in between."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from spa_lsp.errors import BadInput, TooLong
from tests.trainer.synthesize.conftest import CLAMP, INITIALS, CannedBase, git
from trainer.configs import ItemsConfig, SourcesConfig, SynthesizeConfig
from trainer.data.samples import load_samples, make_items
from trainer.pipeline.stages import open_trainer
from trainer.pipeline.synthesis import run_synthesize
from trainer.rows.runs import begin_run
from trainer.rows.stages import SYNTHESIZE, SynthesizeParents, SynthesizeSettings
from trainer.synthesize import stage
from trainer.synthesize.contamination import Known, grams_of
from trainer.synthesize.rows import begin_dataset

pytestmark = pytest.mark.usefixtures("sandbox", "tiny_base")
BASE = "tiny-qwen2"


def synthesize(db, folder, base, config, **options):
    return run_synthesize(db, config, SourcesConfig(folders=(folder,)), base_id=BASE, load=lambda *_: base, **options)


@pytest.fixture
def db():
    with open_trainer() as db:
        yield db


def rows(db, table, columns):
    return [tuple(row.values()) for row in db.query(f"SELECT {columns} FROM {table} ")]


def test_all_distinct_right_solutions_become_samples(db, project, canned, config):
    figures = synthesize(db, project, canned, config).run.figures
    codes = [sample.solution for sample in load_samples(db) if "`clamp(" in sample.problem]
    assert figures.n_tasks == 2 and len(codes) == 4  # the seed's own and three right ones
    assert not any("    return low\n```" in code for code in codes)


# #14
def test_a_seed_that_the_base_cannot_read_ends_no_run(db, project, canned, config, caplog):
    answer = canned._answer

    def answer_what_fits(request):
        if "def clamp" in request.begun:
            raise TooLong("no room")
        return answer(request)

    canned._answer = answer_what_fits
    figures = synthesize(db, project, canned, config).run.figures
    assert figures.n_tasks == 2 and figures.n_unreadable >= config.responses  # of `clamp` its author's solution is kept
    assert len(load_samples(db)) == 3 and "left without an answer: no room" in caplog.text


def test_each_solution_has_its_approach_and_normal_form(db, project, canned, config):
    synthesize(db, project, canned, config)
    found = rows(
        db,
        "task_solutions JOIN tasks ON tasks.id = task_id WHERE entry_point = 'initials'",
        "approach, is_of_seed, normal_form",
    )
    assert len({form for *_, form in found}) == len(found) == 2
    assert any("for" in approach for approach, *_ in found)


def test_a_sample_says_where_it_is_from(db, project, canned, config):
    synthesize(db, project, canned, config)
    extra = next(iter(db.query("SELECT extra FROM samples WHERE problem LIKE '%initials%'")))["extra"]
    origin = json.loads(extra)["origin"]
    assert (origin["path"], origin["licence"], origin["recipe"]) == ("helpers.py", "MIT", "behaviour")
    assert origin["commit"] == git(project, "rev-parse", "HEAD").strip() and origin["lines"] == [19, 21]


def test_the_samples_can_be_learned_from(db, project, canned, config):
    synthesize(db, project, canned, config)
    assert all(make_items(sample, config=ItemsConfig(infill_share=1.0), seed=0) for sample in load_samples(db))


def test_what_becomes_of_each_seed_is_counted(db, project, canned, config):
    figures = synthesize(db, project, canned, config).run.figures
    assert figures.outcomes == {"kept": 2}
    assert figures.left_out == {"not Python": 1} and figures.benchmarks_missing


def test_the_same_call_does_nothing_again(db, project, canned, config):
    synthesize(db, project, canned, config)
    n_asked = len(canned.asked)
    assert synthesize(db, project, canned, config).was_done and len(canned.asked) == n_asked


def test_a_new_commit_adds_its_new_seeds_only(db, project, canned, config):
    synthesize(db, project, canned, config)
    (project / "more.py").write_text('def twice(n: int) -> int:\n    """Two times a number."""\n    return n + n\n')
    git(project, "add", "-A")
    git(project, "commit", "-q", "-m", "more")
    canned.asked.clear()
    assert synthesize(db, project, canned, config).run.figures.n_tasks == 3
    assert {"`twice(" in request.prefix for request in canned.asked} == {True}


def test_a_limit_is_where_a_later_call_goes_on(db, project, canned, config):
    first = synthesize(db, project, canned, config, limit=1).run.figures
    then = synthesize(db, project, canned, config).run.figures
    assert (first.n_seeds, then.n_seeds) == (1, 2)


def test_how_long_a_block_takes_decides_whether_another_is_begun(db, project, canned, config, monkeypatch):
    monkeypatch.setattr(stage, "BLOCK_SEEDS", 1)
    expected = []
    first = synthesize(db, project, canned, config, is_over=lambda next_s: expected.append(next_s) or next_s > 0)
    assert expected[0] == 0 < expected[1] and len(expected) == 2
    assert first.run.figures.n_seeds == 1
    assert synthesize(db, project, canned, config).run.figures.n_seeds == 2


def test_what_broke_goes_on_and_gives_the_same(db, project, config, monkeypatch):
    monkeypatch.setattr(stage, "BLOCK_SEEDS", 1)
    with pytest.raises(KeyboardInterrupt):
        synthesize(db, project, CannedBase(stops_after=3), config)
    assert len(rows(db, "seed_snippets", "id, outcome")) == 1
    synthesize(db, project, CannedBase(), config)
    assert len(rows(db, "seed_snippets", "id, outcome")) == 2


def test_a_kill_loses_no_block_that_was_done(project, config):
    code = f"""
import os, signal
from pathlib import Path
from tests.trainer.synthesize.conftest import CannedBase
from trainer.configs import SourcesConfig, SynthesizeConfig
from trainer.pipeline.stages import open_trainer
from trainer.pipeline.synthesis import run_synthesize
from trainer.synthesize import stage
class Killed(CannedBase):
    def complete_many(self, requests):
        if len(self.asked) >= 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().complete_many(requests)
stage.BLOCK_SEEDS = 1
with open_trainer() as db:
    config = SynthesizeConfig(recipe="behaviour", responses=15)
    sources = SourcesConfig(folders=(Path({str(project)!r}),))
    run_synthesize(db, config, sources, base_id={BASE!r}, load=lambda *_: Killed())
"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == -9
    with open_trainer() as db:
        assert len(rows(db, "seed_snippets", "id, outcome")) == 1
        assert synthesize(db, project, CannedBase(), config).run.figures.n_tasks == 2


def test_exercises_of_other_recipes_are_borne_out_by_tests(db, make_repository):
    folder = make_repository({"a.py": 4 * CLAMP})
    total = (
        "    return sum(items)\n",
        "    found = 0\n    for item in items:\n        found += item\n    return found\n",
    )
    base = CannedBase(
        bodies={"total": total},
        others={
            "List the programming concepts": "loops, sums",
            "Invent a small": "total(items: list) -> int` that returns the sum of all items of a list.",
            "Invent another small": "total(items: list) -> int` that returns the sum of all items of a list.",
            "assert statements": "".join(f"[{n}]) == {n}\nassert total(" for n in (0, 5, 9)) + "[1]) == 99\n",
        },
    )
    figures = synthesize(db, folder, base, SynthesizeConfig(recipe="oss-instruct")).run.figures
    assert figures.recipes == {"oss-instruct": 1} and figures.n_samples == 2
    (cases,) = rows(db, "tasks", "cases, id")[0][:1]
    assert "99" not in cases


# #14
def test_other_settings_add_solutions_to_the_same_task(db, project, config):
    """`clamp` has three right answers; asked with fewer responses its first run sees one or two of them."""
    few = synthesize(db, project, CannedBase(), replace(config, responses=1)).run
    more = synthesize(db, project, CannedBase(), config).run
    again = synthesize(db, project, CannedBase(), replace(config, responses=14)).run
    assert len({few.id, more.id, again.id}) == 3 and few.figures.n_samples < more.figures.n_samples
    assert (more.figures.outcomes, again.figures.outcomes) == ({"kept": 2}, {"kept": 2})
    forms = [row["normal_form"] for row in db.query("SELECT task_id || normal_form AS normal_form FROM task_solutions")]
    assert len(forms) == len(set(forms)) == len(load_samples(db)) == more.figures.n_samples == again.figures.n_samples


# #14
def test_benchmarks_that_come_later_take_back_what_they_have(db, project, canned, config, monkeypatch, tmp_path):
    synthesize(db, project, canned, config)
    known = Known(grams=frozenset(), names=frozenset({"clamp"}), benchmarks=("mbpp",), missing=())
    monkeypatch.setattr(stage, "read_benchmarks", lambda *_, **__: known)
    n_asked = len(canned.asked)
    figures = synthesize(db, project, canned, config, data=tmp_path).run.figures
    assert figures.outcomes == {"kept": 1, "contaminated: name of a task": 1} and figures.decontaminated == ("mbpp",)
    assert not any("`clamp(" in sample.problem for sample in load_samples(db)) and len(load_samples(db)) == 2
    assert len(canned.asked) == n_asked


# #14
def test_solutions_that_hang_on_the_tasks_of_another_run_are_taken_back_too(db, project, config, monkeypatch, tmp_path):
    synthesize(db, project, CannedBase(), replace(config, responses=1))
    synthesize(db, project, CannedBase(), config)
    known = Known(grams=frozenset(), names=frozenset({"clamp"}), benchmarks=("mbpp",), missing=())
    monkeypatch.setattr(stage, "read_benchmarks", lambda *_, **__: known)
    figures = synthesize(db, project, CannedBase(), config, data=tmp_path).run.figures
    assert figures.outcomes == {"kept": 1, "contaminated: name of a task": 1}
    assert not any("`clamp(" in sample.problem for sample in load_samples(db))


# #14
def test_solutions_that_another_run_had_not_compared_are_not_taken_over(db, project, config, monkeypatch, tmp_path):
    synthesize(db, project, CannedBase(bodies={"initials": INITIALS[1:2]}), replace(config, responses=1))
    assert any("found +=" in sample.solution for sample in load_samples(db))
    known = Known(grams=frozenset(grams_of(INITIALS[1])), names=frozenset(), benchmarks=("mbpp",), missing=())
    monkeypatch.setattr(stage, "read_benchmarks", lambda *_, **__: known)
    figures = synthesize(db, project, CannedBase(bodies={}), config, data=tmp_path).run.figures
    assert figures.outcomes == {"kept": 1, "contaminated: ten words": 1}
    assert not any("found +=" in sample.solution for sample in load_samples(db))


def test_on_a_full_disk_the_data_set_is_not_lost(config):  # #14
    settings = SynthesizeSettings(synthesize=config, base=BASE, quantization="fp32")
    with open_trainer():
        pass  # the tables are there already
    with open_trainer() as db:
        run = begin_run(db, SYNTHESIZE, settings, parents=SynthesizeParents(base="b"), seed=0)
        db.execute("VACUUM")  # no free pages are left
        (n_pages,) = db.execute("PRAGMA page_count").fetchone()
        db.execute(f"PRAGMA max_page_count = {n_pages}").fetchall()
        begin_dataset(db, run)
        assert rows(db, "datasets", "id, name") == [(run.id, "synthesized")]


def test_a_repository_of_nothing_usable_says_what_there_was(db, make_repository, canned, config):
    folder = make_repository({"a.md": "text", "b.py": "print 'two'\n"})
    with pytest.raises(BadInput, match="another Python's syntax 1, not Python 1"):
        synthesize(db, folder, canned, config)


HOSTILE = f'''from dataclasses import dataclass


@dataclass
class Book:
    author: str
    pages: int = +100-20-30


def pages_of(count: int) -> int:
    """How many pages a book of so many chapters has.

    >>> pages_of(3)
    150
    >>> pages_of(0x{"f" * 900})
    """
    return Book("nobody").pages * count
'''


# #14
def test_code_that_looks_like_personal_data_is_used_as_it_is(db, make_repository, config):
    folder = make_repository({"a.py": HOSTILE})
    figures = synthesize(db, folder, CannedBase(bodies={"pages_of": ("    return 50 * count\n",)}), config).run.figures
    assert figures.outcomes == {"kept": 1} and figures.n_masked == 0
    assert all("    author: str\n" in sample.problem for sample in load_samples(db))


# #14
def test_a_seed_that_cannot_be_masked_is_refused_and_counted(db, make_repository, canned, config):
    marked = CLAMP.replace('"".join(word', '"\\njane@corp.de"[:0].join(word')
    figures = synthesize(db, make_repository({"a.py": marked}), canned, config).run.figures
    assert figures.outcomes == {"kept": 1, "personal data in code": 1}


# #14
def test_a_second_source_adds_its_own_seeds_only(db, project, make_repository, canned, config):
    first = synthesize(db, project, canned, config).run
    other = make_repository({"b.py": CLAMP.replace("clamp", "confine").replace("value", "number")}, "other")
    canned.asked.clear()
    sources = SourcesConfig(folders=(project, other))
    then = run_synthesize(db, config, sources, base_id=BASE, load=lambda *_: canned).run
    assert then.id == first.id and then.figures.n_seeds == 3
    assert not any("`clamp(" in request.prefix for request in canned.asked)
