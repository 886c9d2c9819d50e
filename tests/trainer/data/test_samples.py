"""Reading samples and cutting them into items."""

import json
import os
from dataclasses import replace

import pytest
from sqlite_utils import Database

from spa_lsp.errors import BadInput, NotFound
from trainer.configs import ItemsConfig
from trainer.data.samples import (
    MAX_LINE_CHARACTERS,
    Sample,
    count_samples,
    import_file,
    load_samples,
    make_items,
    split_holdout,
    spread,
)
from trainer.rows.tables import MIGRATIONS

CODE = '''import math


class Circle:
    """A circle."""

    def area(self, factor=1):
        """The area.

        Twice the area for factor 2.
        """
        # the squared radius
        squared = self.radius ** 2
        message = """
        not a line of code
            of its own
        """
        result = math.prod(
            [squared, math.pi],
            start=factor,
        )
        if result > 10:
            print(message)
        return result
'''
SOLUTION = f"Here it is:\n\n```python\n{CODE}```\n\nThe method multiplies."
INFILL_ONLY = ItemsConfig(infill_share=1.0, typed_share=0.0)
TYPED = ItemsConfig(infill_share=1.0, typed_share=1.0)
INSTRUCT_ONLY = ItemsConfig(infill_share=0.0)


@pytest.fixture
def db():
    database = Database(memory=True)
    database.execute("PRAGMA foreign_keys = ON")
    MIGRATIONS.apply(database)
    return database


def row(n=0, **fields):
    return json.dumps({"lang": "python", "problem": f"problem {n}", "solution": f"solution {n}", **fields})


def write(tmp_path, *lines, name="data.jsonl"):
    path = tmp_path / name
    path.write_bytes(b"\n".join(line if isinstance(line, bytes) else line.encode() for line in lines))
    return path


def sample(solution=SOLUTION, *, lang="python", n=0):
    return Sample(id=f"sample {n}", lang=lang, problem="Write a circle.", solution=solution)


def infill_items(config=INFILL_ONLY, *, n_seeds=40, solution=SOLUTION, lang="python"):
    return [
        item for seed in range(n_seeds) for item in make_items(sample(solution, lang=lang), config=config, seed=seed)
    ]


# --- reading


def test_good_lines_become_samples_in_their_order(db, tmp_path):
    report = import_file(db, write(tmp_path, row(2), row(0), row(1)))
    assert (report.n_new, report.n_known, report.bad) == (3, 0, ())
    assert [s.problem for s in load_samples(db)] == ["problem 2", "problem 0", "problem 1"]


def test_importing_again_finds_everything_known(db, tmp_path):
    path = write(tmp_path, row(0), row(1))
    first = import_file(db, path)
    again = import_file(db, path)
    assert (again.n_new, again.n_known, again.dataset_id) == (0, 2, first.dataset_id)
    assert db.table("datasets").count == 1


def test_the_same_line_in_another_file_is_known_and_belongs_to_both(db, tmp_path):
    import_file(db, write(tmp_path, row(0), row(1)))
    other = import_file(db, write(tmp_path, row(1), row(2), name="other.jsonl"))
    assert (other.n_new, other.n_known) == (1, 1)
    assert db.table("dataset_samples").count_where("dataset_id = ?", [other.dataset_id]) == 2


@pytest.mark.parametrize("again", [row(0), row(0, problem=" problem\n0 "), row(1, solution="solution   0")])
def test_a_line_equal_but_for_white_space_is_known(db, tmp_path, again):
    report = import_file(db, write(tmp_path, row(0), again))
    assert (report.n_new, report.n_known) == (1, 1)


# #14
def test_all_solutions_of_a_problem_are_kept(db, tmp_path):
    report = import_file(db, write(tmp_path, row(0), row(0, solution="another"), row(0, solution="another ")))
    assert (report.n_new, report.n_known) == (2, 1)
    assert [sample.solution for sample in load_samples(db)] == ["solution 0", "another"]


def test_extra_fields_are_kept(db, tmp_path):
    import_file(db, write(tmp_path, row(0, seed="x = 1", index=7)))
    assert json.loads(next(db.table("samples").rows)["extra"]) == {"seed": "x = 1", "index": 7}


# #14
@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_that_json_does_not_have_becomes_null_and_its_row_is_kept(db, tmp_path, number):
    report = import_file(db, write(tmp_path, row(0)[:-1] + f', "score": [{number}, 1.5]}}'))
    (extra,) = [each["extra"] for each in db.query("SELECT extra FROM samples WHERE json_valid(extra)")]
    assert (report.n_new, json.loads(extra)) == (1, {"score": [None, 1.5]}) and load_samples(db)


# #14
@pytest.mark.parametrize("weight", ["NaN", "1e999", "-1", "1" * 400, '"1"'])
def test_a_weight_that_is_no_finite_number_costs_its_row(db, tmp_path, weight):
    report = import_file(db, write(tmp_path, row(0)[:-1] + f', "sample_weight": {weight}}}', row(1)))
    assert (report.n_new, [bad.line for bad in report.bad]) == (1, [1])


def test_languages_are_told_apart(db, tmp_path):
    import_file(db, write(tmp_path, row(0), row(1, lang=" Rust "), row(2)))
    assert [s.problem for s in load_samples(db, language="rust")] == ["problem 1"]
    assert len(load_samples(db, language=None)) == 3


# #14
@pytest.mark.parametrize("language", ["python", "rust", "go"])
@pytest.mark.parametrize("limit", [None, 0, 1, 9])
def test_samples_are_counted_as_they_are_loaded(db, tmp_path, language, limit):
    import_file(db, write(tmp_path, row(0), row(1, lang=" Rust "), row(2)))
    asked = {"language": language, "limit": limit}
    assert count_samples(db, **asked) == len(load_samples(db, **asked))


def test_a_limit_counts_good_lines(db, tmp_path):
    path = write(tmp_path, row(0), "no", row(1), row(2))
    assert import_file(db, path, limit=2).n_new == 2
    assert len(load_samples(db)) == 2 and len(load_samples(db, limit=1)) == 1


def test_blank_lines_windows_lines_and_a_byte_order_mark_are_no_fault(db, tmp_path):
    report = import_file(db, write(tmp_path, b"\xef\xbb\xbf" + row(0).encode() + b"\r", "", "   ", row(1), ""))
    assert (report.n_new, report.bad) == (2, ())


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{not json", "not JSON"),
        ('{"lang": "python", "problem": "cut', "not JSON"),
        ("[" * 100_000, "not JSON"),
        ('"text"', "not an object but str"),
        ("[1]", "not an object but list"),
        ('{"problem": "p", "solution": "s"}', "field 'lang' is missing"),
        (row(lang=""), "field 'lang' is empty"),
        (row(problem=" \n"), "field 'problem' is empty"),
        (row(solution=None), "field 'solution' is not text but NoneType"),
        (row(lang="\x1b[2J"), "field 'lang' is not the name of a language"),
        (row(lang="x" * 100), "field 'lang' is not the name of a language"),
        (row(solution="\ud800"), "field 'solution' has half a surrogate pair"),
        (row(accepted_text="\ud800"), "field 'accepted_text' has half a surrogate pair"),
        (row(problem="p").encode()[:-3] + b'\xff"}', "not UTF-8"),
        (b"\x00\x01\x02\x80\xff", "not UTF-8"),
        (row(solution="x" * MAX_LINE_CHARACTERS), "longer than 200000"),
        (row(solution="x" * 5 * MAX_LINE_CHARACTERS), "longer than 200000"),
        (row(solution="y" * 9_000_000), "longer than 200000"),
    ],
)
def test_a_bad_line_is_reported_and_the_good_ones_kept(db, tmp_path, line, reason):
    report = import_file(db, write(tmp_path, row(0), line, row(1)))
    assert report.n_new == 2
    assert [bad.line for bad in report.bad] == [2] and reason in report.bad[0].reason


# #14
def test_a_file_whose_name_is_no_text_is_read(db, tmp_path):
    path = write(tmp_path, row(0)).rename(tmp_path / os.fsdecode(b"caf\xe9.jsonl"))
    assert import_file(db, path).n_new == 1


# #14
@pytest.mark.parametrize("depth", [900, 960, 990, 5000])
def test_a_field_that_nests_deeply_costs_no_other_line(db, tmp_path, depth):
    deep = row(0)[:-1] + ', "x": ' + "[" * depth + "]" * depth + "}"
    report = import_file(db, write(tmp_path, deep, row(1)))
    assert report.n_new + len(report.bad) == 2 and report.n_new >= 1


def test_a_file_without_a_good_line_leaves_nothing(db, tmp_path):
    report = import_file(db, write(tmp_path, "no", "{}"))
    assert (report.n_new, len(report.bad), db.table("datasets").count) == (0, 2, 0)


def test_every_byte_is_reported_as_read(db, tmp_path):
    path = write(tmp_path, row(0), "x" * 2_000_000, row(1))
    counts = []
    import_file(db, path, on_bytes=counts.append)
    assert sum(counts) == path.stat().st_size


def test_a_missing_file_is_named(db, tmp_path):
    with pytest.raises(NotFound, match="no file .*none.jsonl"):
        import_file(db, tmp_path / "none.jsonl")


def test_an_empty_file_is_refused(db, tmp_path):
    with pytest.raises(BadInput, match="is empty"):
        import_file(db, write(tmp_path, ""))


# --- items


def test_items_are_the_same_each_time():
    assert make_items(sample(), config=ItemsConfig(), seed=3) == make_items(sample(), config=ItemsConfig(), seed=3)


def test_another_seed_gives_other_items():
    assert len({item.id for item in infill_items()}) > 10


def test_prefix_completion_and_suffix_give_the_code_again():
    assert {(item.prefix + item.completion + item.suffix).rstrip() for item in infill_items()} == {CODE.rstrip()}


def test_the_first_item_is_the_whole_body_after_the_docstring():
    completions = {make_items(sample(), config=INFILL_ONLY, seed=n)[0].completion.strip() for n in range(10)}
    body = CODE[CODE.index("# the squared") :].strip()
    assert completions == {body}


def test_a_span_never_cuts_a_string_or_a_bracket():
    lines = CODE.split("\n")
    string, bracket = lines.index('        message = """') + 1, lines.index("        result = math.prod(") + 1
    inside = {string + 1, string + 2, string + 3, bracket + 1, bracket + 2, bracket + 3}
    starts = {item.prefix.count("\n") + 1 for item in infill_items()}
    after = {item.prefix.count("\n") + item.completion.rstrip().count("\n") + 2 for item in infill_items()}
    assert starts & inside == set() and after & inside == set()
    assert {string, bracket} <= starts and {string + 4, bracket + 4} <= after


def test_spans_have_two_to_eight_lines_or_sometimes_one():
    spans = [make_items(sample(), config=INFILL_ONLY, seed=seed)[1] for seed in range(60)]
    n_lines = [item.completion.strip().count("\n") + 1 for item in spans]
    assert set(n_lines) <= set(range(1, 9)) and 0 < n_lines.count(1) < 20


def test_whole_lines_end_in_a_newline_and_the_suffix_starts_on_the_next_line():
    items = infill_items(replace(INFILL_ONLY, editor_share=0.0))
    assert all(item.prefix.endswith("\n") and item.completion.endswith("\n") for item in items)


def test_at_an_editors_cursor_the_indentation_is_in_the_prefix_and_the_newline_in_the_suffix():
    items = infill_items(replace(INFILL_ONLY, editor_share=1.0))
    assert all(item.prefix.endswith(" ") and not item.completion[0].isspace() for item in items)
    assert all(not item.completion.endswith("\n") and item.suffix[:1] in ("", "\n") for item in items)


def test_a_middle_at_the_end_of_the_file_has_no_suffix():
    assert "" in {item.suffix for item in infill_items()}


def test_the_middles_of_one_sample_differ():
    config = replace(INFILL_ONLY, infill_per_sample=6)
    completions = [item.completion.strip() for item in make_items(sample(), config=config, seed=0)]
    assert len(completions) == len(set(completions)) == 6


def test_with_what_is_begun_an_item_gives_the_code_again_too():
    whole = {(item.prefix + item.begun + item.completion + item.suffix).rstrip() for item in infill_items(TYPED)}
    assert whole == {CODE.rstrip()}


def test_half_of_what_is_typed_on_is_behind_the_anchor_and_at_most_sixty_characters():
    begun = [len(item.begun) for item in infill_items(TYPED, n_seeds=200)]
    assert max(begun) <= 60 and len(set(begun)) > 40
    assert begun.count(0) / len(begun) == pytest.approx(0.5, abs=0.08)


def test_cursor_and_anchor_stand_inside_words_too():
    items = infill_items(TYPED)
    assert any(item.begun[-1:].isalpha() and item.completion[0].isalpha() for item in items)
    assert any(item.prefix[-1:].isalpha() and item.begun[:1].isalpha() for item in items)


def test_at_least_half_of_a_middle_is_left_to_learn():
    plain, typed = infill_items(), infill_items(TYPED)
    assert min(len(item.completion) for item in typed) >= min(len(item.completion) for item in plain) / 2


def test_the_share_of_items_that_are_typed_on_is_met():
    items = infill_items(replace(TYPED, typed_share=0.3, editor_share=0.0), n_seeds=200)
    assert sum(not item.prefix.endswith("\n") for item in items) / len(items) == pytest.approx(0.3, abs=0.06)


def test_the_share_of_infill_items_is_met():
    items = [item for n in range(400) for item in make_items(sample(n=n), config=ItemsConfig(infill_share=0.8), seed=0)]
    share = sum(item.layout == "infill" for item in items) / len(items)
    assert share == pytest.approx(0.8, abs=0.03)


def test_a_small_share_of_infill_items_is_met_too():
    items = [item for n in range(400) for item in make_items(sample(n=n), config=ItemsConfig(infill_share=0.3), seed=0)]
    share = sum(item.layout == "infill" for item in items) / len(items)
    assert share == pytest.approx(0.3, abs=0.04)


def test_an_instruct_item_is_problem_and_solution():
    (item,) = make_items(sample(), config=INSTRUCT_ONLY, seed=0)
    assert (item.layout, item.prefix, item.suffix, item.completion) == ("instruct", "Write a circle.", "", SOLUTION)


@pytest.mark.parametrize(
    "solution",
    [
        "no code at all",
        "```python\nprint(1)\n```",
        "```python\ndef f(:\n  1\n  2\n```",
        "```python\nx = 1\ny = 2\nz = 3\n```",
        "```\nx = 1\n\0\ny = 2\n```",
    ],
    ids=["prose", "too short", "does not parse", "no function", "null byte"],
)
def test_a_solution_without_fitting_code_has_no_infill_item(solution):
    assert infill_items(solution=solution, n_seeds=5) == []


def test_the_first_fence_that_parses_is_taken():
    solution = f"```\n$ run this now\nand this\nand that\n```\n\n```python\n{CODE}```"
    assert infill_items(solution=solution)[0].prefix.startswith("import math")


def test_an_indented_fence_and_windows_lines_are_read():
    solution = "1. Do:\n   ```python\n" + "".join(f"   {line}\n" for line in CODE.splitlines()) + "   ```\n"
    assert infill_items(solution=solution.replace("\n", "\r\n"))[0].prefix.startswith("import math")


EXAMPLED = CODE.replace(
    "        # the squared radius\n", "        note = '''\n        ```\n        x\n        ```'''\n"
)


# issue 13
@pytest.mark.parametrize(
    "solution",
    [
        f"~~~python\n{CODE}~~~\n",
        f"````python\n{CODE}````\nDone.",
        f"Here:\n```python\n{CODE}",
        f"```python\nimport math\nx = 1\ny = 2\n```\nand\n```python\n{CODE}```",
        f"```sh\npip install a\npip install b\npip install c\n```\n```python\n{CODE}```",
        f"```python\n{EXAMPLED}```",
    ],
)
def test_every_fence_of_commonmark_is_read(solution):
    item = infill_items(solution=solution)[0]
    code = item.prefix + item.completion + item.suffix
    assert code.rstrip() in (CODE.rstrip(), EXAMPLED.rstrip())


# issue 13
@pytest.mark.parametrize("fence", ["~~~", "````", "```"])
def test_no_fence_is_in_an_item_of_another_language(fence):
    code = "func main() {\n\ta := 1\n\tb := 2\n\tprintln(a + b)\n}\n"
    items = infill_items(solution=f"{fence}go\n{code}{fence}", lang="go")
    assert items and all((i.prefix + i.completion + i.suffix).rstrip() == code.rstrip() for i in items)


# issue 13
def test_an_instruct_item_has_one_kind_of_line_end(db, tmp_path):
    solution = "def f(a):\r\n    return a\r\n"
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"lang": "python", "problem": "Give a.\r\nAll.", "solution": solution}) + "\n")
    import_file(db, path)
    (sample,) = load_samples(db)
    stored = Sample(id="s", lang="python", problem="Give a.\r\nAll.", solution=solution)
    config = ItemsConfig(infill_share=0.0)
    (new,), (old,) = (make_items(each, config=config, seed=0) for each in (sample, stored))
    assert (new.prefix, new.completion) == (old.prefix, old.completion) == ("Give a.\nAll.", solution.replace("\r", ""))


@pytest.mark.parametrize("body", ["def f(): return 1\n\nx = 1\ny = 2\n", "def f():\n    ...\n\ndef g():\n    pass\n"])
def test_a_function_on_one_line_or_without_content_gives_no_body(body):
    assert infill_items(solution=f"```python\n{body}```", n_seeds=5) == []


def test_another_language_gives_spans_of_lines():
    code = 'fn main() {\n    let a = 1;\n    let b = 2;\n\n    println!("{}", a + b);\n}\n'
    items = infill_items(solution=f"```rust\n{code}```", lang="rust")
    assert items and all((i.prefix + i.completion + i.suffix).rstrip() == code.rstrip() for i in items)


# #14
def test_all_solutions_of_a_problem_are_held_out_together():
    samples = [replace(sample(n=n), problem=f"problem {n // 4}") for n in range(80)]
    train, held = split_holdout(samples, config=ItemsConfig(holdout=12), seed=0)
    assert len(held) == 12 and not {each.problem for each in train} & {each.problem for each in held}


# #14
def test_parts_with_other_solutions_of_the_same_tasks_hold_out_the_same_tasks():
    parts = [[sample(n=20 * part + n) for n in range(20)] for part in range(2)]
    held = [
        {own.problem for own in split_holdout(each, config=ItemsConfig(holdout=4), seed=0)[1]}
        for each in ([replace(own, problem=f"problem {n}") for n, own in enumerate(part)] for part in parts)
    ]
    assert len(held[0]) == 4 and held[0] == held[1]


# #14
@pytest.mark.parametrize("n", [3, 4, 5, 7, 8, 23])
def test_what_is_spread_is_from_all_over(n):
    places = spread(range(n), 4)
    assert len(set(places)) == min(n, 4) and places[0] == 0 and places[-1] >= n // 2
