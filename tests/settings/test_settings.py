from dataclasses import fields

import pytest

from spa_lsp import paths
from spa_lsp.settings.files import check_file, read_settings, signature
from spa_lsp.settings.schema import OWN_FILE_KEYS, WORKSPACE_KEYS, Layer, Settings, names, resolve

OF_CLIENT = {"source": "client"}
OF_USER = {"source": "user.toml", "is_file": True}
OF_WORKSPACE = {"source": "w.toml", "is_file": True, "is_workspace": True}


def of_client(values):
    return resolve([Layer(source="client", values=values)])


def test_without_options_all_is_default():
    assert of_client(None).settings == of_client({}).settings == resolve([]).settings == Settings()


def test_names_may_be_written_both_ways():
    found = of_client({"maxTokens": 9, "adapter_set": "mine"})
    assert (found.settings.max_tokens, found.settings.adapter_set, found.complaints) == (9, "mine", ())


def test_a_list_becomes_a_tuple():
    assert of_client({"disabledLanguages": ["markdown"]}).settings.disabled_languages == ("markdown",)


def test_null_is_not_set():
    found = of_client(dict.fromkeys(names()))
    assert found.settings == Settings() and not found.complaints


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("base", ""),
        ("base", 3),
        ("adapterSet", ["a"]),
        ("quantization", "nf3"),
        ("quantization", ["nf4"]),
        ("alternatives", 0),
        ("alternatives", True),
        ("maxTokens", 1e3),
        ("maxTokens", "64"),
        ("deadlineS", 0),
        ("deadlineS", float("nan")),
        ("firstItemsMs", -1),
        ("prefixChars", 10),
        ("suffixChars", -1),
        ("contextChars", 20_001),
        ("trigger", "sometimes"),
        ("disabledLanguages", "markdown"),
        ("disabledLanguages", [1]),
        ("ignore", "*.log"),
        ("ignore", ["a\n!.env*"]),  # two lines, of which the second takes something back
        ("ignore", ["\ufeff!.env*"]),  # a mark that is no part of a file's first line
        ("learnedOrder", 1),
        ("speculative", "yes"),
        ("completionFallback", 0),
        ("recordOutcomes", "yes"),
        ("recordOutcomes", 1),
        ("engineIdleS", 0),
        ("maxMemoryMb", -1),
        ("maxMemoryMb", 1.5),
    ],
)
def test_a_value_that_cannot_be_used_is_reported_and_the_rest_kept(key, value):
    found = of_client({key: value, "stop": "single"})
    assert found.settings == Settings(stop="single")
    assert len(found.complaints) == 1 and repr(key) in found.complaints[0] and "is kept" in found.complaints[0]


def test_an_unknown_key_is_reported_with_the_known_ones():
    found = of_client({"maxToken": 9})
    assert found.settings == Settings() and "'maxToken'" in found.complaints[0] and "maxTokens" in found.complaints[0]


# issue 15: each is a message that the user sees
def test_of_many_complaints_about_a_layer_a_few_are_told():
    found = resolve([Layer(**OF_WORKSPACE, values={f"key{n}": n for n in range(20_000)} | {"maxTokens": 9})])
    assert (found.settings.max_tokens, len(found.complaints)) == (9, 6)
    assert found.complaints[-1] == "w.toml: and 19995 more settings cannot be used"


# issue 15
def test_long_keys_and_values_are_told_in_part():
    found = of_client({"k" * 10_000: 1, "ignore": ["i" * 200] * 1000, "stop": "s" * 10_000})
    again = resolve(
        [Layer(source="client", values={"ignore": ["i" * 200] * 1000}), Layer(**OF_USER, values={"ignore": 1})]
    )
    assert all(len(complaint) < 1000 for complaint in (*found.complaints, *again.complaints))
    assert (len(found.complaints), len(again.complaints)) == (2, 1)


@pytest.mark.parametrize("options", [[], "x", 3])
def test_options_of_another_kind_are_reported(options):
    found = of_client(options)
    assert found.settings == Settings() and len(found.complaints) == 1


def test_there_are_few_settings():
    assert len({field.name for field in fields(Settings)} - OWN_FILE_KEYS) <= 20 and len(OWN_FILE_KEYS) <= 4


def test_a_later_layer_wins_and_the_source_is_told():
    layers = [Layer(**OF_USER, values={"max_tokens": 9, "stop": "single"}), Layer(**OF_CLIENT, values={"maxTokens": 8})]
    found = resolve(layers)
    assert (found.settings.max_tokens, found.settings.stop) == (8, "single")
    assert (found.sources["max_tokens"], found.sources["stop"], found.sources["base"]) == (
        "client",
        "user.toml",
        "default",
    )


def test_a_bad_value_keeps_that_of_the_layer_below():
    found = resolve([Layer(**OF_USER, values={"max_tokens": 9}), Layer(**OF_CLIENT, values={"maxTokens": 0})])
    assert found.settings.max_tokens == 9 and found.complaints[0].endswith("; 9 of user.toml is kept")


@pytest.mark.parametrize(
    "name", sorted(set(names()) - WORKSPACE_KEYS - OWN_FILE_KEYS)
)  # those: tests/remote/test_front.py
def test_a_workspace_cannot_set_what_is_not_its_own(name):
    value = {"base": "x", "quantization": "nf4", "engine_idle_s": 5.0, "first_items_ms": 1, "max_memory_mb": 1}
    found = resolve([Layer(**OF_WORKSPACE, values={name: value.get(name, not getattr(Settings, name))})])
    assert found.settings == Settings() and "cannot be set by a workspace" in found.complaints[0]


def test_no_setting_of_a_workspace_names_a_program_or_a_path():
    assert not {name for name in WORKSPACE_KEYS if any(word in name for word in ("path", "command", "folder", "base"))}


@pytest.mark.parametrize("values", [{"record_outcomes": "text"}, {"record_outcomes": True}, {"ignore": ["!.env"]}])
def test_a_workspace_cannot_widen_privacy(values):
    below = Layer(**OF_USER, values={"record_outcomes": False})
    found = resolve([below, Layer(**OF_WORKSPACE, values=values)])
    assert found.settings == Settings(record_outcomes=False) and "in a workspace" in found.complaints[0]


@pytest.mark.parametrize(("value", "room"), [(500, (500, 0)), ({"files": 7, "diff": 9}, (7, 9)), ({"diff": 9}, (0, 9))])
def test_context_has_room_for_files_and_for_what_has_changed(value, room):
    found = resolve([Layer(source="client", values={"contextChars": value})]).settings
    assert (found.files_chars, found.diff_chars) == room


@pytest.mark.parametrize("value", [True, -1, {"diff": 20_001}, {"diff": "all"}, {"novel": 1}, [1]])
def test_other_values_of_context_are_refused(value):
    found = resolve([Layer(source="client", values={"contextChars": value})])
    assert found.settings == Settings() and "or an object of such: files, diff" in found.complaints[0]


def test_a_workspace_cannot_have_git_run():
    found = resolve([Layer(**OF_WORKSPACE, values={"context_chars": {"files": 5, "diff": 5}})])
    assert found.settings == Settings() and "cannot ask for a diff in a workspace" in found.complaints[0]
    assert resolve([Layer(**OF_WORKSPACE, values={"context_chars": {"files": 5}})]).settings.files_chars == 5


def test_a_workspace_may_narrow_privacy():
    values = {"record_outcomes": False, "ignore": ["b/"], "disabled_languages": ["yaml"]}
    below = Layer(**OF_USER, values={"ignore": ["a/"], "disabled_languages": ["markdown"]})
    found = resolve([below, Layer(**OF_WORKSPACE, values=values), Layer(**OF_CLIENT, values={"ignore": ["c/"]})])
    assert found.settings == Settings(
        record_outcomes=False, ignore=("a/", "b/", "c/"), disabled_languages=("markdown", "yaml")
    )


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_files_are_layers(tmp_path):
    own = write(paths.config_dir() / "config.toml", 'base = "b"\nmax_tokens = 9\n')
    write(tmp_path / "pyproject.toml", '[tool.spa-lsp]\nmax_tokens = 10\nstop = "single"\n')
    found = read_settings(tmp_path)
    assert found.settings == Settings(base="b", max_tokens=10, stop="single")
    assert found.sources["base"] == str(own)


def test_the_workspaces_own_file_comes_before_its_pyproject(tmp_path):
    write(tmp_path / ".spa-lsp.toml", "max_tokens = 9\n")
    write(tmp_path / "pyproject.toml", '[tool.spa-lsp]\nmax_tokens = 10\nstop = "single"\n')
    assert read_settings(tmp_path).settings == Settings(max_tokens=9)


@pytest.mark.parametrize("text", ["max_tokens = ", "\x00", "x = " + "[" * 5000])
def test_a_file_that_cannot_be_read_is_reported(tmp_path, text):
    write(tmp_path / ".spa-lsp.toml", text)
    found = read_settings(tmp_path)
    assert found.settings == Settings() and ".spa-lsp.toml cannot be read" in found.complaints[0]


# issue 15: the server froze at its start, some of them for minutes
@pytest.mark.parametrize(
    "text",
    [
        "a." * 100_000 + "a = 1",
        f"[{'a.' * 3000}a]\n" + "".join(f"b{n} = 1\n" for n in range(20_000)),
        "x = [" + ", ".join("{" + "a." * 1000 + "a = 1}" for _ in range(100)) + "]",
        "".join(f"x{n}.{'a.' * 500}a = 1\n" for n in range(200)),
    ],
)
def test_keys_of_very_many_parts_are_refused(tmp_path, text):
    write(tmp_path / ".spa-lsp.toml", text)
    (complaint,) = read_settings(tmp_path).complaints
    assert "dots" in complaint and len(complaint) < 500


# issue 15: else a project's privacy settings were dropped in silence
@pytest.mark.parametrize("text", ["a." * 10_000 + "a = 1\n", "#\n" * 200_000])
def test_a_pyproject_of_ours_that_is_not_parsed_is_reported(tmp_path, text):
    write(tmp_path / "pyproject.toml", f"[tool.spa-lsp]\nrecord_outcomes = false\n[tool.other]\n{text}")
    (complaint,) = read_settings(tmp_path).complaints
    assert "pyproject.toml cannot be read" in complaint and "its settings are not used" in complaint


# issue 15
def test_a_long_string_full_of_dots_is_no_such_key(tmp_path):
    write(tmp_path / "pyproject.toml", f'[project]\ndescription = "{"." * 500}"\n[tool.spa-lsp]\nmax_tokens = 9\n')
    assert read_settings(tmp_path).settings.max_tokens == 9


# issue 15
def test_a_pyproject_that_does_not_name_us_is_not_parsed(tmp_path, monkeypatch):
    monkeypatch.setattr("tomllib.loads", lambda text: pytest.fail("parsed"))
    write(tmp_path / "pyproject.toml", "a." * 100_000 + "a = 1")
    assert read_settings(tmp_path).complaints == ()


@pytest.mark.parametrize("text", ["max_tokens = ", "tool = 3", "[tool.other]\nx = 1", ""])
def test_a_pyproject_without_us_is_none_of_our_business(tmp_path, text):
    write(tmp_path / "pyproject.toml", text)
    assert read_settings(tmp_path).complaints == ()


def test_a_complaint_about_a_file_names_it(tmp_path):
    path = write(tmp_path / ".spa-lsp.toml", 'max_tokens = 0\nbase = "x"\n')
    complaints = check_file(path, is_workspace=True)
    assert len(complaints) == 2 and all(complaint.startswith(f"{path}: setting ") for complaint in complaints)


def test_a_change_of_a_file_changes_the_signature(tmp_path):
    before = signature(tmp_path)
    write(tmp_path / ".spa-lsp.toml", "max_tokens = 9\n")
    assert signature(tmp_path) != before
