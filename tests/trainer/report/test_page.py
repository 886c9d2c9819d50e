"""The page: right figures, nothing from outside, nothing that a completion could start."""

import base64
import hashlib
import json

import pytest

from tests.trainer.report import example
from tests.trainer.report.html_reader import Page
from trainer.report.exports import read_report

pytest.importorskip("matplotlib", reason="the extra `report` is not installed")

HOSTILE = (
    "</pre></script><img src=x onerror=alert(1)>\n\"'{{ 7 * 7 }} $\\frac{1}{0}$ \x00 \u202e http://example.org/a.js"
)


def make_page(folder, *documents):
    from trainer.report.page import page

    paths = [folder / f"{n}.json" for n in range(len(documents))]
    for path, document in zip(paths, documents, strict=True):
        path.write_text(json.dumps(document))
    return Page(page(read_report(paths)))


@pytest.fixture
def page_of(tmp_path):
    return lambda *documents: make_page(tmp_path, *documents)


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    return make_page(tmp_path_factory.mktemp("usual"), example.usual())


@pytest.fixture(scope="module")
def of_two_k(tmp_path_factory):
    return make_page(tmp_path_factory.mktemp("two"), example.usual(2), example.usual(4))


def captions(page):
    return [own["text"] for own in page.all("figcaption")]


def test_page_is_well_formed(usual):
    assert usual.mistakes == [] and usual.elements[0]["tag"] == "html"


def test_page_refers_to_nothing_outside(usual):
    assert usual.references() and all(place.startswith("#") for place in usual.references())


def test_references_are_ids_of_the_page_each_there_once(of_two_k):
    ids = [own["attributes"]["id"] for own in of_two_k.elements if "id" in own["attributes"]]
    assert len(ids) == len(set(ids)) and {place[1:] for place in of_two_k.references()} <= set(ids)


def test_only_the_script_of_the_page_may_run(usual):
    (script,), (policy,) = usual.all("script"), usual.all("meta", **{"http-equiv": "Content-Security-Policy"})
    digest = base64.b64encode(hashlib.sha256(script["text"].encode()).digest()).decode()
    allowed = policy["attributes"]["content"]
    assert allowed.startswith("default-src 'none';") and f"script-src 'sha256-{digest}'" in allowed


def test_table_has_the_means_of_the_export_in_full(usual):
    table = usual.elements.index(usual.all("table", class_="main-figures")[0])
    after = usual.elements[table:]
    end = next(n for n, own in enumerate(after) if own["attributes"].get("class") == "all-figures")
    shown = [float(own["attributes"]["value"]) for own in after[:end] if own["tag"] == "data"]
    names = ("dc_exact", "dc_ast", "dc_near", "dc_approach", "distinct_ast", "pass_at_1", "diversity")
    arms = example.usual()["benchmarks"][0]["arms"]
    assert shown == [arm["figures"][name]["mean"] for arm in arms for name in names]


def test_interval_stands_beside_the_mean(usual):
    assert "0.527 [0.427, 0.677]" in " ".join(usual.all("table", class_="main-figures")[0]["text"].split())


def test_marks_of_the_plot_say_the_figures(usual):
    words = [own["text"] for own in usual.all("title")]
    assert "influence@0.4, k = 4: pass@1 0.450 [0.350, 0.600], DC@k, AST 1.430 [1.330, 1.580]" in words


def test_every_adapter_has_its_bar(usual):
    words = [own["text"] for own in usual.all("title")]
    assert "recursion: pass@1 0.300 [0.200, 0.450]" in words


def test_questions_have_bars_of_both_ways_of_scoring(page_of):
    arm = example.arm("random", k=2, adapters=["first", "second"])
    for n, own in enumerate(arm["by_adapter"]):
        own["accuracy_loglik"] = example.figure(0.25 + 0.5 * n)
    page = page_of(example.document(example.benchmark([arm])))
    assert "accuracy, likeliest option: random, k = 2" in captions(page)
    assert "second: accuracy, likeliest option 0.750 [0.650, 0.900]" in [own["text"] for own in page.all("title")]


def test_labels_are_drawn_as_they_are(usual):
    assert "$x_1$ <b>" in [own["text"] for own in usual.all("text")]


def test_characters_that_no_drawing_may_hold_are_replaced(page_of):
    arm = example.arm("random", k=2, adapters=["a\x00b\ud83dc", "other"]) | {"arm": "\x00\n\ud83d@0.5"}
    page = page_of(example.document(example.benchmark([arm, example.arm("base", k=1)])))
    shown = [own["text"] for own in page.all("text")]
    assert "a\ufffdb\ufffdc" in shown and "\ufffd\ufffd\ufffd" in shown


def test_several_k_give_curves_over_k(of_two_k):
    assert "diversity over k" in captions(of_two_k)


def test_one_k_gives_none(usual):
    assert [caption for caption in captions(usual) if "over" in caption] == []


@pytest.fixture
def of_two_sizes(page_of):
    documents = [example.usual(), example.usual()]
    for n, document in enumerate(documents):
        for arm in document["benchmarks"][0]["arms"]:
            arm |= {"n_samples": 100 * (n + 1), "run_id": f"{arm['run_id']}-{n}"} if arm["adapter_set"] else {}
            arm["figures"]["dc_ast"]["mean"] += n
    return page_of(*documents)


def test_several_sizes_of_data_give_a_curve(of_two_sizes):
    assert "DC@k, AST over samples trained on" in captions(of_two_sizes)
    words = [own["text"] for own in of_two_sizes.all("title")]
    assert len([said for said in words if said.startswith("random, k = 4, samples trained on 100: 0.830")]) == 1


def test_bars_of_several_sizes_of_data_say_which(of_two_sizes):
    shown = [caption for caption in captions(of_two_sizes) if caption.startswith("pass@1: random")]
    assert shown == ["pass@1: random, k = 4, 100 samples", "pass@1: random, k = 4, 200 samples"]


def test_tradeoff_shows_an_arm_with_its_most_samples_only(of_two_sizes):
    words = [own["text"] for own in of_two_sizes.all("title")]
    shown = [said for said in words if said.startswith("random, k = 4: pass@1") and "DC@k, AST" in said]
    assert [said.partition("AST ")[2] for said in shown] == ["1.830 [0.730, 0.980]"]


def test_part_sizes_are_drawn_when_the_export_has_them(page_of):
    document = example.usual()
    for n, adapter in enumerate(document["benchmarks"][0]["arms"][4]["by_adapter"]):
        adapter["n_samples"] = 70 + n
    page = page_of(document)
    assert "Part sizes: influence-k4" in captions(page)
    assert "recursion: 71 samples" in [own["text"] for own in page.all("title")]


def test_alternatives_stand_with_verdict_label_and_classes(usual):
    (problem,) = [own for own in usual.all("details", class_="problem") if "made-up/2" in own["text"]]
    assert "influence@0.4 k = 4, 3 of 4 pass" in " ".join(problem["text"].split())
    (failed,) = [own for own in usual.all("article", class_="alternative fails")[-1:]]
    assert " ".join(failed["text"].split()) == (
        "✗ fail recursion return sum((a, b)) exact 1 ast 1 near 1 approach – stop raw: fail return sum((a, b)) print(1)"
    )


def test_hostile_text_stays_text(page_of):
    arms = [example.arm("base@0.8", k=2), example.arm("random", k=2, adapters=[HOSTILE, "b"])]
    for arm in arms:
        arm["about"] = arm["adapter_set"] = HOSTILE
        for problem in arm["problems"]:
            problem |= {"task_id": HOSTILE, "prompt": HOSTILE, "canary": HOSTILE}
            problem["alternatives"] = [
                example.alternative(0, text=HOSTILE, verdict=HOSTILE, adapter="a0") | {"finish": HOSTILE}
            ]
    arms[1]["arm"] = HOSTILE
    document = example.document(example.benchmark(arms, name=HOSTILE))
    document["settings"] |= {"base": HOSTILE, HOSTILE: HOSTILE}
    page = page_of(document)
    assert page.mistakes == [] and page.all("img") == [] and len(page.all("script")) == 1
    assert all(place.startswith("#") for place in page.references())
    assert [own for own in page.elements if any(name.startswith("on") for name in own["attributes"])] == []
    assert HOSTILE in page.all("article")[0]["text"]


def test_one_arm_alone_has_its_page(page_of):
    page = page_of(example.document(example.benchmark([example.arm("base", k=1)])))
    assert page.mistakes == [] and captions(page)[0] == "DC@k, AST against pass@1, k = 1"


def test_no_figures_no_problems_no_arms_and_no_benchmarks_have_their_page(page_of):
    empty = example.arm("base", k=1, n_problems=0) | {"figures": {}}
    document = example.document(example.benchmark([empty]), example.benchmark([], name="nobody"))
    assert page_of(document).mistakes == [] and captions(page_of(document)) == []
    assert "no benchmark" in page_of(example.document()).all("main")[0]["text"]


def test_single_problem_without_standard_error_has_its_page(page_of):
    arm = example.arm("base@0.8", k=2, n_problems=1)
    for figure in arm["figures"].values():
        figure |= {"standard_error": None, "low": figure["mean"], "high": figure["mean"]}
    assert "made-up, 1 problem, tiny" in page_of(example.document(example.benchmark([arm]))).all("h2")[0]["text"]
