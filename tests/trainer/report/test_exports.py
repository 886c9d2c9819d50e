"""Reading exports, and putting together what belongs together."""

from pathlib import Path

import pytest

from spa_lsp.bases.catalog import find_base
from spa_lsp.errors import BadInput, NotFound, TooNew
from tests.trainer.report import example
from trainer.report.exports import FORMAT, read_report
from trainer.report.tables import heading

MODELS = Path(__file__).parents[3] / "models"


def labels(comparison):
    return [(arm.label, arm.k) for arm in comparison.arms]


def test_format_is_the_one_that_evaluate_writes():
    from trainer.evaluate.figures import export

    assert FORMAT == export.FORMAT


def test_figures_are_those_of_the_export(export):
    (comparison,) = read_report([export()]).comparisons
    (influence,) = [arm for arm in comparison.arms if arm.label == "influence"]
    written = next(own for own in example.usual()["benchmarks"][0]["arms"] if own["arm"] == "influence")
    assert {name: vars(figure) for name, figure in influence.figures.items()} == written["figures"]


def test_exports_of_the_same_problems_are_put_together(export):
    (comparison,) = read_report([export(example.usual(2), "k2.json"), export(example.usual(4), "k4.json")]).comparisons
    assert labels(comparison) == [
        ("base", 1), ("base@0.2", 2), ("base@0.8", 2), ("base@0.2", 4), ("base@0.8", 4),
        ("random", 2), ("random", 4),
        ("influence", 2), ("influence@0.4", 2), ("influence", 4), ("influence@0.4", 4),
    ]  # fmt: skip


def test_the_same_export_twice_is_shown_once(export):
    once, twice = read_report([export()]), read_report([export(), export(name="again.json")])
    assert labels(twice.comparisons[0]) == labels(once.comparisons[0])
    assert twice.comparisons[0].differences == once.comparisons[0].differences


def test_exports_of_other_problems_stay_apart(export):
    other = example.document(example.benchmark([example.arm("base", k=1)]))
    for problem in other["benchmarks"][0]["arms"][0]["problems"]:
        problem["task_id"] += "-other"
    assert len(read_report([export(), export(other, "other.json")]).comparisons) == 2


def test_exports_of_other_bases_stay_apart(export):
    other = example.usual()
    other["settings"]["base"] = "large"
    assert len(read_report([export(), export(other, "other.json")]).comparisons) == 2


# #15
def test_the_same_arms_with_and_without_begun_characters_keep_their_figures(export):
    plain, begun = example.usual(), example.usual()
    begun["settings"]["begun_chars"] = 40
    begun["benchmarks"][0]["arms"][0]["figures"]["pass_at_1"] = example.figure(0.25)
    found = read_report([export(plain, "plain.json"), export(begun, "begun.json")]).comparisons
    assert [own.arms[0].figures["pass_at_1"].mean for own in found] == [0.53, 0.25]
    assert list(map(heading, found)) == [
        "made-up, 3 problems, tiny in fp32",
        "made-up, 3 problems, tiny in fp32, --begun-chars 40",
    ]


# #15
def test_the_same_arms_with_and_without_a_package_keep_their_figures(export):
    plain, allowed = example.usual(), example.usual()
    allowed["settings"]["allow_packages"] = ["numpy"]
    assert len(read_report([export(plain, "plain.json"), export(allowed, "allowed.json")]).comparisons) == 2 * len(
        read_report([export(plain, "plain.json")]).comparisons
    )


# #15
def test_an_export_from_before_begun_characters_were_named_goes_with_those_without(export):
    older, plain = example.usual(2), example.usual(4)
    plain["settings"]["begun_chars"] = None
    assert len(read_report([export(older, "older.json"), export(plain, "plain.json")]).comparisons) == 1


# #15
@pytest.mark.parametrize("path", sorted(MODELS.rglob("figures-*.json")), ids=lambda path: path.name)
def test_published_figures_are_still_read(path):
    expected = 40 if "begun" in path.name else None
    assert {own.begun_chars for own in read_report([path]).comparisons} == {expected}


# #15
@pytest.mark.parametrize(
    ("base_id", "published", "arm"),
    [
        ("qwen2.5-coder-0.5b-instruct", "oss-python/figures-own-2026-11-30.json", "influence"),
        ("qwen2.5-coder-1.5b-instruct", "figures-own-one-2026-11-30.json", "base"),
    ],
)
def test_what_users_are_told_of_a_base_is_what_was_measured(base_id, published, arm):
    (comparison,) = read_report([MODELS / base_id / published]).comparisons
    (measured,) = [own.figures["pass_first"].mean for own in comparison.arms if own.label.startswith(arm)]
    assert find_base(base_id).first_right == pytest.approx(measured, abs=0.005)


def test_arms_with_one_label_and_other_runs_are_told_apart(export):
    first = example.document(example.benchmark([example.arm("base@0.8", k=4, run_id="1111111aaaa")]))
    second = example.document(example.benchmark([example.arm("base@0.8", k=4, run_id="2222222bbbb")]))
    (comparison,) = read_report([export(first, "one.json"), export(second, "two.json")]).comparisons
    assert [arm.title for arm in comparison.arms] == ["base@0.8 (one.json, 1111111)", "base@0.8 (two.json, 2222222)"]


def test_export_without_problems_has_its_figures(export):
    document = example.usual()
    for arm in document["benchmarks"][0]["arms"]:
        del arm["problems"]
    (comparison,) = read_report([export(document)]).comparisons
    assert comparison.arms[0].figures["pass_at_1"].mean == 0.53


def test_missing_file_is_named(tmp_path):
    with pytest.raises(NotFound, match="nowhere.json: no such file"):
        read_report([tmp_path / "nowhere.json"])


def test_newer_format_says_upgrade(export):
    with pytest.raises(TooNew, match="has format 2, this version reads 1; upgrade"):
        read_report([export({**example.usual(), "format": 2})])


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"format": NaN}', b"null", b"[]", b'{"results": []}',
        b'{"format": true}', b'{"format": 1}', b'{"format": 1, "settings": [], "benchmarks": []}',
        b'{"format": 1, "settings": {}, "benchmarks": [3]}',
        b'{"format": 1, "settings": {"base": ' + b"[" * 900 + b"]" * 900 + b'}, "benchmarks": []}',
    ],
)  # fmt: skip
def test_foreign_file_is_refused(tmp_path, content):
    path = tmp_path / "foreign.json"
    path.write_bytes(content)
    with pytest.raises(BadInput, match="foreign.json is"):
        read_report([path])


@pytest.mark.parametrize(
    "keys, wrong",
    [
        (["figures", "pass_at_1", "mean"], "0.5"),
        (["figures", "pass_at_1", "low"], True),
        (["figures"], []),
        (["figures", "pass_at_1", "mean"], 10**400),
        (["figures", "pass_at_1", "mean"], float("nan")),
        (["k"], "4"),
        (["k"], -1),
        (["k"], 10**400),
        (["problems", 0, "prompt"], None),
        (["problems", 0, "alternatives", 0, "class_ast"], "1"),
        (["by_adapter"], None),
        (["n_samples"], "many"),
    ],
)
def test_value_of_another_kind_is_refused(export, keys, wrong):
    document = example.usual()
    place = document["benchmarks"][0]["arms"][4]
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = wrong
    with pytest.raises(BadInput, match="no export of an evaluation"):
        read_report([export(document)])


def test_number_too_large_for_a_float_is_refused(export):
    path = export()
    path.write_text(path.read_text().replace('"mean": 0.53', '"mean": 1e999', 1))
    with pytest.raises(BadInput, match="inf stands where there should be a number"):
        read_report([path])


def attempt(problem, place, *, verdict):
    from trainer.evaluate.attempts import Attempt
    from trainer.evaluate.completions import problem_id

    classes = {f"{view}class_{level}": place for view in ("", "raw_") for level in example.LEVELS}
    texts = {"raw_text": "return a  # raw", "shown_text": "return a", "raw_verdict": "fail", "verdict": verdict}
    return Attempt(
        problem_id=problem_id(problem), task_id=problem.task_id, place=place, adapter=f"a{place}", label=f"p{place}",
        n_tokens=3, mean_logprob=-0.1, finish="stop", seconds=0.5, sandbox="none", quantization="fp32",
        device="cpu", average_kl=None, is_likeliest=None, **texts, **classes,
    )  # fmt: skip


def test_what_evaluate_writes_is_read(tmp_path):
    """The writer's own document, not only ours that look like it."""
    from trainer.evaluate.answering import EvaluationSettings
    from trainer.evaluate.arms import parse_arms
    from trainer.evaluate.benchmarks.problems import Problem
    from trainer.evaluate.evaluation import ArmResult
    from trainer.evaluate.figures.estimates import estimates_of, values_of
    from trainer.evaluate.figures.export import BenchmarkResult, export, write_export
    from trainer.rows.runs import Run
    from trainer.rows.stages import EVALUATE, EvaluateParents

    problems = [
        Problem(task_id=f"made-up/{n}", prefix="def f(a):\n    ", solution="return a", canary="tweet") for n in (1, 2)
    ]
    attempts = {own.task_id: [attempt(own, 0, verdict="pass"), attempt(own, 1, verdict="fail")] for own in problems}
    values, tasks = values_of(attempts, is_code=True), {own.task_id: own.task for own in problems}
    run = Run(id="r1", stage=EVALUATE, is_finished=False, settings=None, parents=EvaluateParents(), seed=0, found=None,
              versions={}, git_commit=None, record={})  # fmt: skip
    arms = [
        ArmResult(entry=entry, adapter_set=None, run=run, attempts=attempts, tasks=tasks,
                  orders={own: [1] for own in attempts}, values=values, figures=estimates_of(values, attempts, tasks))
        for entry in parse_arms("base@0.2,base@0.8", k=2)
    ]  # fmt: skip
    result = BenchmarkResult(name="made-up", problems=problems, arms=arms)
    write_export(
        tmp_path / "figures.json", export([result], EvaluationSettings(base_id="tiny"), budget={"n_samples": None})
    )
    (comparison,) = read_report([tmp_path / "figures.json"]).comparisons
    assert {name: vars(own) for name, own in comparison.arms[0].figures.items()} == {
        name: vars(own) for name, own in arms[0].figures.items()
    }
    (first, _) = comparison.arms[0].problems
    assert (first.prompt, first.canary, [own.verdict for own in first.alternatives]) == (
        "def f(a):\n    ", "tweet", ["pass", "fail"]
    )  # fmt: skip
    assert {own.figure for own in comparison.differences} >= {"dc_ast", "pass_at_1"}
