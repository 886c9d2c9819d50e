"""The bundled anchors run, are right, and are not from a benchmark."""

import json
import re

import pytest

from spa_lsp.errors import BadInput, NotFound
from trainer.attribute.anchors import anchor_tasks, load_anchors

CART = [("books", 900, 2), ("food", 150, 3), ("books", 100, 1)]
CART_TOTALS = {"books": 1900, "food": 450}
SETTINGS = "# server\nhost = example.org\n\nport=80 # default\n  motto =  a=b \nport = 8080\n"
SETTINGS_READ = {"host": "example.org", "port": "8080", "motto": "a=b"}
READINGS = [("mon", 20.0), ("tue", None), ("mon", None), ("mon", 21.5), ("wed", -3), ("tue", None)]
AVERAGES = {"mon": 20.8, "wed": -3.0}
MOVEMENTS = [("tea", 5), ("rice", 2), ("tea", -3), ("rice", -2), ("salt", 1)]
NAMES = [" Ada", "bob", "ADA ", "", "  ", " Bob", "Cy"]
RESULTS = [("a", "b", 2, 1), ("b", "c", 0, 0), ("c", "a", 1, 3)]
SHIFTS = [("ann", 8, 12), ("bo", 22, 6), ("ann", 13, 17)]
MESSAGE = "New #Tea and #tea_time, not # or #tea-cup. ##b2"
TASKS = ["cart", "settings", "sensor", "stock", "guests", "league", "shifts", "tags"]
# what the paper's queries and the benchmarks are about
FORBIDDEN = (
    r"palindrom|fibonacci|prime|subarray|merge sort|binary search|k-th|missing number|longest common|quickselect"
)


def programs(task):
    """Name of the anchor and namespace of its program for one task."""
    place = TASKS.index(task)
    return [(anchor.name, run(anchor.items[place])) for anchor in load_anchors()]


def run(item):
    namespace = {}
    exec(item.prefix + item.completion + item.suffix, namespace)
    return namespace


def call(namespace, function, class_answer, argument):
    return namespace[function](argument) if function in namespace else class_answer(namespace)


def test_there_are_eight_anchors_of_the_same_eight_tasks():  # (#14)
    assert [anchor.tasks for anchor in load_anchors()] == [tuple(TASKS)] * 8


def test_differences_are_taken_within_each_task():  # (#14)
    assert anchor_tasks(load_anchors()) == [list(range(task, 64, 8)) for task in range(8)]


def test_a_task_of_one_item_has_no_difference():  # (#14)
    anchors = load_anchors()
    with pytest.raises(BadInput, match="'cart' has one item"):
        anchor_tasks([anchors[0]])


def test_anchor_names_can_be_adapter_names():
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", anchor.name) for anchor in load_anchors())


def test_names_labels_and_items_differ():
    anchors = load_anchors()
    n_items = len({item.completion for anchor in anchors for item in anchor.items})
    assert (len({a.name for a in anchors}), len({a.label for a in anchors}), n_items) == (8, 8, 64)


@pytest.mark.parametrize(("name", "namespace"), programs("cart"))
def test_cart_totals_are_right(name, namespace):
    answer = call(namespace, "totals_by_category", lambda n: n["CategoryTotals"]().add_all(CART).totals, CART)
    assert answer == CART_TOTALS


@pytest.mark.parametrize(("name", "namespace"), programs("settings"))
def test_settings_are_right(name, namespace):
    assert call(namespace, "read_settings", lambda n: n["Settings"](SETTINGS).as_dict(), SETTINGS) == SETTINGS_READ


@pytest.mark.parametrize(("name", "namespace"), programs("sensor"))
def test_daily_averages_are_right(name, namespace):
    assert call(namespace, "daily_averages", record_all, READINGS) == AVERAGES


def record_all(namespace):
    averages = namespace["DailyAverages"]()
    for reading in READINGS:
        averages.record(*reading)
    return averages.as_dict()


def all_of(name, method, answer):
    """What an object of the class says when it was told everything."""

    def answers(namespace, told):
        made = namespace[name]()
        for each in told:
            getattr(made, method)(*each) if isinstance(each, tuple) else getattr(made, method)(each)
        return answer(made)

    return answers


MORE = {  # of each task: argument, answer, function, and how its class is asked
    "stock": (MOVEMENTS, {"tea": 2, "salt": 1}, "stock_left", all_of("Stock", "move", lambda made: made.left())),
    "guests": (NAMES, ["Ada", "bob", "Cy"], "guest_list", all_of("GuestList", "add", lambda made: made.names())),
    "league": (RESULTS, {"a": 6, "b": 1, "c": 1}, "league_points", all_of("League", "add", lambda made: made.points)),
    "shifts": (SHIFTS, {"ann": 8, "bo": 8}, "hours_by_person", all_of("TimeSheet", "add", lambda made: made.hours)),
    "tags": ([MESSAGE], ["tea", "tea_time", "b2"], "tags_in", all_of("TagList", "read", lambda made: made.tags)),
}


@pytest.mark.parametrize(
    ("task", "name", "namespace"), [(task, *program) for task in MORE for program in programs(task)]
)
def test_the_answers_of_all_ways_are_the_same_and_right(task, name, namespace):  # (#14)
    told, expected, function, of_class = MORE[task]
    argument = told[0] if task == "tags" else told
    assert call(namespace, function, lambda own: of_class(own, told), argument) == expected


@pytest.mark.parametrize(
    ("task", "wrong", "words"),
    [
        ("stock", [("tea", 1), ("tea", -2)], "movement 1: only 1 of 'tea'"),
        ("guests", ["ada", 3], "name 1 is 3"),
        ("league", [("a", "a", 0, 0)], "'a' cannot play against itself"),
        ("shifts", [("ann", 8, 24)], "24 is no hour"),
        ("tags", None, "no message"),
    ],
)
def test_the_defensive_way_refuses(task, wrong, words):  # (#14)
    with pytest.raises((ValueError, TypeError), match=words):
        dict(programs(task))["defensive"][MORE[task][2]](wrong)


@pytest.mark.parametrize("cart", [[("books", 1)], [("", 1, 1)], [("books", -1, 1)]])
def test_the_defensive_cart_refuses(cart):
    with pytest.raises(ValueError, match="line 0"):
        dict(programs("cart"))["defensive"]["totals_by_category"](cart)


def test_no_anchor_speaks_of_a_benchmark_topic():
    words = json.dumps([[item.prefix, item.completion] for anchor in load_anchors() for item in anchor.items])
    assert re.search(FORBIDDEN, words, re.IGNORECASE) is None


def test_own_anchors_are_read_from_a_file(tmp_path):
    row = {
        "anchor": "mine",
        "label": "my way",
        "instruction": "add",
        "layout": "infill",
        "prefix": "x = ",
        "suffix": "",
    }
    lines = [json.dumps({**row, "completion": f"{n}\n"}) for n in range(3)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    assert [item.completion for item in load_anchors(tmp_path / "a.jsonl")[0].items] == ["0\n", "1\n", "2\n"]


def test_an_anchor_with_two_items_is_refused(tmp_path):
    row = {
        "anchor": "mine",
        "label": "my way",
        "instruction": "add",
        "layout": "infill",
        "prefix": "x = ",
        "suffix": "",
    }
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps({**row, "completion": str(n)}) for n in range(2)))
    with pytest.raises(BadInput, match="at least 3"):
        load_anchors(tmp_path / "a.jsonl")


def test_a_bad_anchor_line_is_named(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"anchor": 1}\n')
    with pytest.raises(BadInput, match="line 1: anchor, label"):
        load_anchors(tmp_path / "a.jsonl")


def test_a_missing_anchor_file_is_named(tmp_path):
    with pytest.raises(NotFound, match=r"a\.jsonl"):
        load_anchors(tmp_path / "a.jsonl")
