"""`trainer`: exit codes, sentences, data on stdout, and the whole way on a tiny base."""

import json
import re
import shlex
import signal
import subprocess
import sys
from contextlib import closing

import pytest
from click import BadParameter

from spa_lsp import paths
from spa_lsp.adapters.finding import find_set
from spa_lsp.adapters.reading import read_adapter
from spa_lsp.storage.store import open_store
from tests.trainer.cli.running import sentence, trainer, trainer_json
from trainer.cli import main
from trainer.cli.options import Duration
from trainer.configs import SERVED_TEMPERATURE
from trainer.pipeline import costs, run
from trainer.pipeline.costs import Costs

COMMANDS = ["import", "attribute", "partition", "finetune", "publish", "run", "status", "evaluate", "judge"]


def program(n):
    return f"def add_{n}(a, b):\n    total = a + b\n    if total > {n}:\n        total -= {n}\n    return total\n"


def row(n, **fields):
    solution = f"```python\n{program(n)}```"
    return json.dumps({"lang": "python", "problem": f"Add up, but at most {n}.", "solution": solution, **fields})


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "samples.jsonl"
    path.write_text("\n".join(row(n) for n in range(24)))
    return path


@pytest.fixture
def attributed(data):
    trainer("import", data)
    return trainer_json("attribute", "--method", "bm25")[0]


@pytest.fixture
def newer(data):
    """A store that a newer version has changed."""
    trainer("import", data)
    with closing(open_store(write=True)) as db:
        steps = next(name for name in db.table_names() if "migrations" in name)
        row = next(own for own in db.table(steps).rows if "trainer" in own.values())
        name = next(column for column, value in row.items() if str(value).startswith("m0"))
        db.table(steps).insert({**{c: v for c, v in row.items() if c != "id"}, name: "m999_of_tomorrow"})


# --- help and misuse


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_an_example(command):
    result = trainer(command, "-h")
    assert result.exit_code == 0 and f"\n      trainer {command}" in result.output


@pytest.mark.parametrize(
    "arguments",
    [
        ["import"],
        ["nonsense"],
        ["attribute", "--method", "magic"],
        ["partition", "--k", "0"],
        ["run", "--limit", "x"],
        ["run", "samples.jsonl", "--seeds", "5"],
        ["run", "--from-outcomes", "--recipe", "all"],
    ],
)
def test_misuse_exits_with_2(arguments):
    assert trainer(*arguments).exit_code == 2


# --- import


def test_import_counts_and_names_bad_lines(tmp_path):
    (tmp_path / "a.jsonl").write_text(f"{row(1)}\nno\n{row(2)}\n{row(3, lang='')}\n")
    lines = trainer("import", tmp_path / "a.jsonl").stdout.splitlines()
    assert lines[0] == "import: 2 new samples, 0 known, 2 lines left out"
    assert lines[1].startswith("  line 2: not JSON") and lines[2] == "  line 4: field 'lang' is empty"


def test_import_shows_at_most_20_bad_lines(tmp_path):
    (tmp_path / "a.jsonl").write_text("\n".join([row(1), *["no"] * 30]))
    lines = trainer("import", tmp_path / "a.jsonl").stdout.splitlines()
    assert (len(lines), lines[-1]) == (22, "  and 10 more; --json lists all")


def test_import_as_json_has_every_bad_line(tmp_path):
    (tmp_path / "a.jsonl").write_text("\n".join([row(1), *["{}"] * 30]))
    (record,) = trainer_json("import", tmp_path / "a.jsonl")
    assert (record["new"], record["known"], len(record["bad"]), record["was_done"]) == (1, 0, 30, False)
    assert record["bad"][29] == {"line": 31, "reason": "field 'lang' is missing"}


def test_importing_again_is_done_already(data):
    trainer("import", data)
    (record,) = trainer_json("import", data)
    assert (record["new"], record["known"], record["was_done"]) == (0, 24, True)


def test_import_says_nothing_but_data_on_stdout(data):
    result = trainer("import", data)
    assert result.stdout == "import: 24 new samples, 0 known, 0 lines left out\n" and "samples.jsonl" in result.stderr


def test_a_missing_file_is_named(tmp_path):
    assert "there is no file" in sentence(trainer("import", tmp_path / "none.jsonl"))


def test_a_folder_is_named(tmp_path):
    assert f"{tmp_path} has no *.parquet" in sentence(trainer("import", tmp_path))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\n \n", "only blank lines"),
        (bytes(range(255, 0, -1)) * 100, "no line that can be used (line 1: not UTF-8"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "no line that can be used (line 1: not UTF-8"),
        (b"no\nneither\n", "no line that can be used (line 1: not JSON"),
        (b'{"lang": "python"}', "field 'problem' is missing"),
    ],
    ids=["empty", "blank", "binary", "picture", "text", "other json"],
)
def test_a_file_without_a_good_line_is_one_sentence(tmp_path, content, words):
    (tmp_path / "a.jsonl").write_bytes(content)
    assert words in sentence(trainer("import", tmp_path / "a.jsonl"))


def test_an_interrupted_import_exits_with_130_and_leaves_nothing_half(tmp_path):
    path = tmp_path / "large.jsonl"
    path.write_text("\n".join(row(n) for n in range(60_000)))
    command = [sys.executable, "-m", "trainer", "import", str(path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert "import large.jsonl" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout) == (130, "") and "resumes at the next call" in stderr
    assert json.loads(trainer("status", "--json").stdout)["samples"] == {}


@pytest.mark.parametrize("name", ["rank", "alpha", "steps", "k"])  # (#11)
def test_an_option_that_several_commands_have_is_the_same_in_all(name):
    names = [command for command in main.list_commands(None) if command != "partition check"]  # that is short by intent
    commands = [main.get_command(None, command) for command in names]
    found = [option for command in commands for option in command.params if f"--{name}" in option.opts]
    assert len(found) >= 3 and len({(option.default, option.help) for option in found}) == 1


def test_a_second_trainer_is_told_to_wait(data):
    with_lock = open_store(write=True)
    try:
        assert "is writing to the store" in sentence(trainer("import", data))
    finally:
        with_lock.close()


# --- attribute and partition


def test_attribute_without_samples_says_what_to_do():
    assert "trainer import FILE" in sentence(trainer("attribute", "--method", "bm25"))


def test_attribute_in_a_language_without_samples_names_it(data):
    trainer("import", data)
    assert "no samples in cobol" in sentence(trainer("attribute", "--method", "bm25", "--language", "cobol"))


def test_a_language_is_found_however_it_is_written_and_others_are_named(data):  # (#14)
    trainer("import", data)
    assert trainer("attribute", "--method", "bm25", "--language", "Python").exit_code == 0
    assert "it has some in python: pass --language" in sentence(trainer("attribute", "--language", "rust"))


def test_attribute_refuses_samples_without_code(tmp_path):
    (tmp_path / "a.jsonl").write_text(row(1, solution="prose"))
    trainer("import", tmp_path / "a.jsonl")
    command = ["attribute", "--method", "bm25", "--infill-share", "1"]
    assert "none of the 1 samples" in sentence(trainer(*command))


def test_a_missing_anchor_file_is_named_by_attribute(data, tmp_path):
    trainer("import", data)
    command = ["attribute", "--method", "bm25", "--anchors", tmp_path / "mine.jsonl"]
    assert "mine.jsonl" in sentence(trainer(*command))


def test_an_unknown_base_is_named_before_any_work(data):
    assert "nope" in sentence(trainer("run", data, "--base", "nope", "--method", "bm25"))


def test_attribute_is_done_once(attributed):
    again = trainer_json("attribute", "--method", "bm25")[0]
    assert (attributed["was_done"], again["was_done"], again["id"]) == (False, True, attributed["id"])
    assert attributed["figures"]["n_samples"] == 24


def test_the_text_says_that_it_was_done_already(attributed):
    assert trainer("attribute", "--method", "bm25").stdout.startswith("attribute: already done (run ")


@pytest.mark.parametrize("option", [["--seed", "1"], ["--limit", "12"], ["--method", "random"], ["--max-tokens", "99"]])
def test_another_option_is_another_run(attributed, option):
    other = trainer_json("attribute", "--method", "bm25", *option)[0]
    assert other["id"] != attributed["id"] and not other["was_done"]


def test_partition_without_influence_says_what_to_do(data):
    trainer("import", data)
    assert "run: trainer attribute" in sentence(trainer("partition"))


def test_partition_gives_parts_of_like_size_with_the_anchors_names(attributed):
    figures = trainer_json("partition")[0]["figures"]
    assert list(figures["sizes"].values()) == [3] * 8 and figures["names"] == attributed["figures"]["anchors"]


def test_partition_is_done_once(attributed):
    assert [trainer_json("partition")[0]["was_done"] for _ in range(2)] == [False, True]


def test_partition_show_explains_every_part(attributed):  # (#14)
    names = trainer_json("partition", "--k", "2")[0]["figures"]["names"]
    (views,) = trainer_json("partition", "show")
    assert [view["name"] for view in views] == names and all(len(view["examples"]) == 5 for view in views)
    text = trainer("partition", "show").stdout
    assert f"{names[0]} (" in text and ": 12 samples" in text and "- Add up, but at most" in text


def test_partition_show_reads_while_a_trainer_writes(attributed):  # (#14)
    trainer("partition", "--k", "2")
    with closing(open_store(write=True)):
        assert ": 12 samples" in trainer("partition", "show").stdout


def test_partition_show_of_a_newer_store_is_one_sentence(newer):  # (#14)
    assert "upgrade spa-lsp" in sentence(trainer("partition", "show"))


def test_partition_show_of_nothing_says_what_to_do(attributed):  # (#14)
    assert "run: trainer partition" in sentence(trainer("partition", "show"))


def test_fewer_parts_take_fewer_anchors(attributed):
    assert len(trainer_json("partition", "--k", "3")[0]["figures"]["sizes"]) == 3


def test_more_parts_than_anchors_is_one_sentence(attributed):
    assert "k is 9, but there are 8 anchors" in sentence(trainer("partition", "--k", "9"))


def test_more_parts_than_samples_is_one_sentence(attributed):
    assert "only 5 samples" in sentence(trainer("partition", "--limit", "5"))


def test_a_partition_that_was_refused_leaves_no_run(attributed):  # (#14)
    assert trainer("partition", "--k", 9).exit_code == 1
    assert [run["stage"] for run in json.loads(trainer("status", "--json").stdout)["runs"]] == ["attribute"]


@pytest.mark.usefixtures("tiny_base")
def test_a_finetune_that_was_refused_leaves_no_run(attributed):  # (#14)
    trainer("partition", "--k", 2)
    assert "raise --max-tokens" in sentence(trainer("finetune", "--base", "tiny-qwen2", "--max-tokens", 16))
    stages = [run["stage"] for run in json.loads(trainer("status", "--json").stdout)["runs"]]
    assert stages == ["attribute", "partition"]


def test_partition_goes_on_from_the_run_asked_for_last(attributed):
    trainer("attribute", "--method", "random")
    trainer("attribute", "--method", "bm25")
    assert trainer_json("partition")[0]["parents"] == {"attribute_run": attributed["id"], "within_run": None}


def test_partition_takes_the_start_of_a_runs_id(attributed):
    other = trainer_json("attribute", "--method", "random")[0]
    assert trainer_json("partition", attributed["id"][:10])[0]["parents"]["attribute_run"] == attributed["id"]
    assert trainer_json("partition", other["id"])[0]["parents"]["attribute_run"] == other["id"]


def test_a_command_that_is_advised_does_what_it_says(attributed):  # (#14)
    asked = ("--method", "argmax", "--normalize", "none", "--k", 5)
    divided = trainer_json("partition", attributed["id"], *asked)[0]
    command = re.search("`trainer (partition [^`]*balanced[^`]*)`", divided["figures"]["advice"])[1]
    trainer("attribute", "--method", "random")
    again = trainer_json(*shlex.split(command))[0]
    assert again["parents"] == divided["parents"] and max(again["figures"]["sizes"].values()) == 5
    assert again["config"]["partition"] == {"method": "balanced", "normalize": "none", "k": 5}


def test_an_unknown_run_is_named(attributed):
    assert "no finished attribute run begins with 'xyz'" in sentence(trainer("partition", "xyz"))


def test_parts_of_a_random_division_promise_no_style(data):
    trainer("import", data)
    trainer("attribute", "--method", "random")
    assert trainer_json("partition", "--k", "2")[0]["figures"]["names"] == ["random-1", "random-2"]


# --- a store of a newer version


@pytest.mark.parametrize("command", [("import", "samples.jsonl"), ("attribute",), ("forget", "--repo", "/nowhere")])
def test_a_store_of_a_newer_version_is_one_sentence(newer, command, monkeypatch, tmp_path):  # (#14)
    monkeypatch.chdir(tmp_path)
    assert "m999_of_tomorrow" in (said := sentence(trainer(*command))) and "upgrade spa-lsp" in said


def test_a_status_of_a_newer_store_is_no_traceback(newer):  # (#14)
    result = trainer("status")
    assert result.exit_code in (0, 1) and "Traceback" not in result.output


# --- finetune, publish, status


def test_finetune_without_parts_says_what_to_do(attributed):
    assert "run: trainer partition" in sentence(trainer("finetune"))


def test_publish_without_adapters_says_what_to_do(attributed):
    assert "run: trainer finetune" in sentence(trainer("publish"))


def test_status_of_nothing_says_how_to_start():
    assert trainer("status").stdout == "nothing yet; start with: trainer import FILE\n"


def test_status_counts_samples_and_lists_runs(attributed):
    trainer("partition")
    status = json.loads(trainer("status", "--json").stdout)
    assert (status["samples"], status["datasets"][0]["n_samples"]) == ({"python": 24}, 24)
    assert [(run["stage"], run["is_finished"]) for run in status["runs"]] == [("attribute", True), ("partition", True)]


def states():
    return {own["stage"]: own["reasons"] for own in json.loads(trainer("status", "--json").stdout)["stages"]}


def test_status_names_the_next_stage(attributed):  # (#14)
    assert trainer("status").stdout.splitlines()[-1] == "next: trainer partition"
    assert states()["partition"] == ["it has not run yet"] and states()["attribute"] == []


def test_the_next_stage_is_to_do_what_it_did_before(attributed, tmp_path):  # (#14)
    trainer("partition", "--method", "argmax", "--k", "3")
    (tmp_path / "more.jsonl").write_text(row(99))
    trainer("import", tmp_path / "more.jsonl")
    assert trainer("status").stdout.splitlines()[-1] == "next: trainer attribute --method bm25"
    trainer("attribute", "--method", "bm25")
    assert trainer("status").stdout.splitlines()[-1] == "next: trainer partition --method argmax --k 3"


def test_status_says_that_samples_came_since(attributed, tmp_path):  # (#14)
    (tmp_path / "more.jsonl").write_text(row(99))
    trainer("import", tmp_path / "more.jsonl")
    assert states()["attribute"] == ["1 samples were imported since (more.jsonl)"]


def test_a_run_that_was_called_again_since_is_fresh(data, tmp_path):  # (#14)
    trainer("import", data)
    trainer("attribute", "--method", "bm25", "--limit", "9")
    (tmp_path / "more.jsonl").write_text(row(99))
    trainer("import", tmp_path / "more.jsonl")
    trainer("attribute", "--method", "bm25", "--limit", "9")
    assert states()["attribute"] == []


def test_the_rest_of_a_file_that_was_known_in_part_came_since(data):  # (#14)
    trainer("import", data, "--limit", "9")
    trainer("attribute", "--method", "bm25")
    trainer("import", data)
    assert states()["attribute"] == ["15 samples were imported since (samples.jsonl)"]


def test_what_was_made_of_something_stale_is_stale(attributed):  # (#14)
    trainer("partition")
    trainer("attribute", "--method", "random")
    assert states()["partition"] == ["attribute has another newest run since"]
    trainer("attribute", "--method", "bm25")
    assert states()["partition"] == []


def test_status_reads_while_a_trainer_writes(attributed):
    writer = open_store(write=True)
    try:
        assert "bm25: 24 samples" in trainer("status").stdout
    finally:
        writer.close()


def test_a_base_that_was_removed_is_named_before_any_work(data, tiny_base):  # (#14)
    tiny_base.unlink()
    result = trainer("run", data, "--base", "tiny-qwen2", "--method", "bm25")
    assert "is not on this machine; run: spa-lsp models pull" in sentence(result) and "import" not in result.output


@pytest.mark.usefixtures("tiny_base")
def test_run_does_all_of_it_and_again_nothing(data):
    options = [
        "--base",
        "tiny-qwen2",
        "--method",
        "bm25",
        "--k",
        "2",
        "--rank",
        "2",
        "--steps",
        "2",
        "--max-tokens",
        "400",
    ]
    first = trainer_json("run", data, *options, "--name", "mine")
    assert [record["stage"] for record in first] == ["import", "attribute", "partition", "finetune", "publish"]
    served = find_set(None, "tiny-qwen2")
    assert (served.name, served.k, served.rank, served.run_id) == ("mine", 2, 2, first[3]["id"])
    assert [info.name for info in served.adapters] == first[2]["figures"]["names"]
    assert all(read_adapter(served, info.name) for info in served.adapters)
    assert served.temperature == SERVED_TEMPERATURE
    assert [record["was_done"] for record in trainer_json("run", data, *options, "--name", "mine")] == [True] * 5
    trainer_json("publish", "--name", "first", "--limit", "1", "--temperature", "0")
    assert find_set("first", "tiny-qwen2").temperature == 0
    assert [info.name for info in find_set("first", "tiny-qwen2").adapters] == first[2]["figures"]["names"][:1]


@pytest.mark.usefixtures("tiny_base")
def test_run_with_a_budget_says_what_fits_and_publishes(data, monkeypatch):
    monkeypatch.setattr(run, "give_way", lambda: None)  # or all tests after this one had the lowest priority
    found = Costs(load_s=1, warm_up_s=1, gradient_s=1, gradient_share=1, anchor_s=1, step_s=30, held_out_s=1)
    monkeypatch.setattr(costs, "measure_costs", lambda samples, anchors, request: found)
    options = ["--base", "tiny-qwen2", "--method", "bm25", "--rank", "2", "--max-tokens", "400", "--name", "mine"]
    result = trainer("run", data, *options, "--budget", "5m")
    assert result.exit_code == 0, result.output
    assert "next: attribute 24 samples by bm25, partition into 6, finetune 8 steps, publish" in result.stderr
    assert find_set(None, "tiny-qwen2").name == "mine"


# #14
@pytest.mark.usefixtures("tiny_base")
@pytest.mark.parametrize(("given", "steps"), [([], 8), (["--steps", "20"], 8), (["--steps", "3"], 3)])
def test_a_budget_has_at_most_the_steps_that_were_given(data, monkeypatch, given, steps):
    monkeypatch.setattr(run, "give_way", lambda: None)
    found = Costs(load_s=1, warm_up_s=1, gradient_s=1, gradient_share=1, anchor_s=1, step_s=30, held_out_s=1)
    monkeypatch.setattr(costs, "measure_costs", lambda samples, anchors, request: found)
    options = ["--base", "tiny-qwen2", "--method", "bm25", "--rank", "2", "--max-tokens", "400"]
    assert f"finetune {steps} steps" in trainer("run", data, *options, "--budget", "5m", *given).stderr


# #14
@pytest.mark.usefixtures("tiny_base")
def test_another_number_of_parts_than_the_set_has_is_refused_before_the_work(data):
    options = ["--base", "tiny-qwen2", "--method", "bm25", "--rank", "2", "--steps", "1", "--max-tokens", "400"]
    assert trainer("run", data, *options, "--k", "2", "--name", "mine").exit_code == 0
    onward = ["run", data, "--base", "tiny-qwen2", "--init-from", "mine"]
    result = trainer(*onward, "--k", "3")
    assert "has 2 adapters and there are 3 parts; pass --k 2" in sentence(result) and "attribute" not in result.stdout


# #14
@pytest.mark.usefixtures("tiny_base")
@pytest.mark.parametrize(("k", "words"), [(9, "k is 9, but there are 8 anchors"), (8, "there are only 5 samples")])
def test_a_run_refuses_more_parts_than_can_be_before_it_attributes(tmp_path, k, words):
    (tmp_path / "few.jsonl").write_text("\n".join(row(n) for n in range(5)))
    result = trainer("run", tmp_path / "few.jsonl", "--base", "tiny-qwen2", "--k", k)
    assert words in sentence(result) and "attribute" not in result.output


# #14
@pytest.mark.usefixtures("base_without_infill")
@pytest.mark.parametrize(
    ("given", "way_out"), [([], "pass --infill-share 0"), (["--infill-share", "0"], "pass --method bm25 or approach")]
)
def test_a_run_refuses_what_a_base_without_infill_cannot_be_asked_before_any_work(data, given, way_out):
    result = trainer("run", data, "--base", "tiny-qwen2", "--method", "cosine", *given)
    assert way_out in sentence(result) and "import" not in result.output


# #14
@pytest.mark.usefixtures("tiny_base")
def test_a_run_refuses_a_core_without_specialists_before_any_work(data):
    result = trainer("run", data, "--base", "tiny-qwen2", "--rank", "4", "--shared-rank", "4")
    assert "leaves nothing of rank 4" in sentence(result) and "import" not in result.output


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("10m", 600), ("10", 600), ("1h30m", 5400), (" 2H ", 7200)])
def test_a_time_is_written_as_people_do(text, seconds):
    assert Duration().convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "0", "0m", "-5m", "1.5h", "10x", "m", "30s10m", "9999999h", "200h"])
def test_a_time_that_is_none_is_refused(text):
    with pytest.raises(BadParameter, match="90s, 10m or 1h30m"):
        Duration().convert(text, None, None)


@pytest.mark.usefixtures("tiny_base")
@pytest.mark.parametrize("is_lost", [True, False], ids=["lost", "damaged"])
def test_finetune_makes_lost_and_damaged_files_again(data, is_lost):
    options = ["--base", "tiny-qwen2", "--max-tokens", "400", "--steps", "1", "--rank", "2"]
    trainer("import", data)
    trainer("attribute", "--method", "bm25")
    trainer("partition", "--k", "2")
    first = trainer_json("finetune", *options)[0]
    (file,) = (paths.cache_dir() / "runs" / first["id"]).glob("part-1.safetensors")
    content = file.read_bytes()
    if is_lost:
        file.unlink()
    else:
        file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    said = sentence(trainer("publish"))
    assert ("cannot read" if is_lost else "is not as training wrote it") in said and said.endswith("trainer finetune")
    assert trainer_json("finetune", *options)[0]["was_done"] is False
    assert file.read_bytes() == content
