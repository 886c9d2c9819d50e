"""The extension in a real VS Code workbench: what a person does, and what stands on the screen then."""

import pytest

from tests.e2e.vscode_program import BASE, LABELS, TEXTS
from tests.e2e.vscode_steps import CARDS, FRONT, HEAD, K, accepted, ask, front_of, open_and_ask, shows
from tests.e2e.vscode_workbench import eventually, within, write_program

pytestmark = pytest.mark.editors


def test_the_first_alternative_is_shown_with_its_number_and_its_label(editor):
    shows(editor, ghost=TEXTS[0], status=f"1/{K} · {LABELS[0]}", toolbar=f"1/{K}")


def test_typing_asks_by_itself_and_leaves_those_that_agree(workbench):
    workbench.open("typing.py", HEAD)
    ask(workbench)  # the engine is there
    workbench.type("r")
    shows(workbench, ghost=TEXTS[0][1:], status=f"1/3 · {LABELS[0]}", toolbar="1/3")
    workbench.type("eturn st")
    shows(workbench, ghost="atistics.mean(prices)", status=f"1/1 · {LABELS[2]}")


def test_next_and_previous_go_through_all_and_around(editor):
    shows(editor, toolbar=f"1/{K}")
    seen = []
    for number in [*range(2, K + 1), 1]:
        editor.press("Alt+BracketRight")
        shows(editor, status=f"{number}/{K} · {LABELS[number - 1]}", toolbar=f"{number}/{K}")
        seen.append(editor.ghost.split("\n")[0])
    assert seen == [text.split("\n")[0] for text in (*TEXTS[1:], TEXTS[0])]
    editor.press("Alt+BracketLeft")
    shows(editor, status=f"{K}/{K} · {LABELS[-1]}", toolbar=f"{K}/{K}")


def test_number_and_label_are_right_after_typing_on(editor):
    shows(editor, toolbar=f"1/{K}")
    editor.press("Alt+BracketRight")
    editor.press("Alt+BracketRight")
    shows(editor, toolbar=f"3/{K}", status=f"3/{K} · {LABELS[2]}")
    editor.type("return s")
    # the editor goes back to the first of the newest answer: the server puts the one on screen there
    shows(editor, ghost=TEXTS[2].removeprefix("return s"), toolbar="1/2", status=f"1/2 · {LABELS[2]}")
    editor.press("Alt+BracketRight")
    shows(editor, ghost=TEXTS[0].removeprefix("return s"), toolbar="2/2", status=f"2/2 · {LABELS[0]}")


def test_tab_inserts_the_alternative_on_screen_and_records_its_adapter(editor):
    before = accepted()
    editor.press("Alt+BracketRight")
    shows(editor, status=f"2/{K} · {LABELS[1]}")
    editor.press("Tab")
    path = editor.workspace / "prices.py"
    eventually(lambda: path.read_text() == HEAD + TEXTS[1].format(indent="    "), path.read_text)
    shows(editor, status="SPA")
    eventually(lambda: accepted() == [*before, "a2"], lambda: f"recorded {accepted()}, before {before}")


def test_a_word_and_a_line_are_taken_and_the_rest_stays(editor):
    path = editor.workspace / "prices.py"
    editor.press("Alt+BracketRight")
    shows(editor, status=f"2/{K} · {LABELS[1]}")
    editor.press("Control+ArrowRight")
    eventually(lambda: path.read_text() == HEAD + "total", path.read_text)
    shows(editor, status=f"1/1 · {LABELS[1]}")
    editor.press("Control+Alt+ArrowRight")
    eventually(lambda: path.read_text().rstrip(" ") == HEAD + "total = 0\n", lambda: repr(path.read_text()))


def test_escape_hides_them(editor):
    shows(editor, toolbar=f"1/{K}")
    editor.press("Escape")
    shows(editor, ghost="", status="SPA")


def test_the_panel_shows_all_side_by_side_and_a_number_key_inserts(editor):
    editor.press("Control+b")  # without the side bar there is room for two columns
    editor.press("Control+Alt+Enter")
    eventually(lambda: len(editor.panel(CARDS) or []) == K, lambda: str(editor.panel(CARDS)))
    for card, text, label in zip(editor.panel(CARDS), TEXTS, LABELS, strict=True):
        assert label in card and text.format(indent="    ") in card
    marks = "[...document.querySelectorAll('.card')].map((card) => card.querySelectorAll('mark').length)"
    assert editor.panel(marks)[0] == 0 and all(editor.panel(marks)[1:])
    columns = "new Set([...document.querySelectorAll('.card')].map((card) => card.offsetLeft)).size"
    eventually(lambda: editor.panel(columns) > 1, lambda: f"{editor.panel(columns)} column")
    editor.press("4")
    path = editor.workspace / "prices.py"
    eventually(lambda: path.read_text() == HEAD + TEXTS[3].format(indent="    "), path.read_text)
    eventually(lambda: accepted()[-1:] == ["a4"], lambda: f"recorded {accepted()}")
    eventually(lambda: editor.panel(CARDS) is None, "the panel stays")
    editor.press("Control+b")
    editor.type("\nx")  # the cursor is in the editor again
    eventually(lambda: path.read_text().endswith("\n    x"), path.read_text)


def test_a_click_in_the_panel_inserts(editor):
    editor.press("Control+Alt+Enter")
    eventually(lambda: len(editor.panel(CARDS) or []) == K, "no cards")
    editor.panel("document.querySelectorAll('.card')[2].click()")
    path = editor.workspace / "prices.py"
    eventually(lambda: path.read_text() == HEAD + TEXTS[2], path.read_text)


def test_the_panel_inserts_nothing_into_a_text_that_has_changed(editor):
    editor.press("Control+Alt+Enter")
    eventually(lambda: len(editor.panel(CARDS) or []) == K, "no cards")
    editor.do("click", selector=".monaco-editor .view-lines", n_clicks=1)
    editor.type("#")
    editor.panel("document.querySelectorAll('.card')[2].click()")
    eventually(lambda: "has changed" in editor.panel("document.getElementById('notice').textContent"), "no notice")
    assert TEXTS[2] not in (editor.workspace / "prices.py").read_text()


def test_the_page_of_the_panel_may_load_nothing_else(editor):
    editor.press("Control+Alt+Enter")
    eventually(lambda: len(editor.panel(CARDS) or []) == K, "no cards")
    policy = editor.panel("document.querySelector('meta[http-equiv]').content")
    assert policy.startswith("default-src 'none'")
    fetched = "fetch('http://127.0.0.1:9/').then(() => 'fetched', (error) => String(error))"
    refused = (
        "new Promise((tell) => document.addEventListener('securitypolicyviolation', (e) => tell(e.effectiveDirective)))"
    )
    assert editor.panel(f"(() => {{ const told = {refused}; {fetched}; return told; }})()") == "connect-src"


def test_settings_take_effect_while_the_editor_runs(editor):
    editor.set(spaLsp__alternatives=2)
    eventually(lambda: asks_and_sees(editor, f"1/2 · {LABELS[0]}"), lambda: editor.status)
    editor.set(spaLsp__alternatives=None)
    eventually(lambda: asks_and_sees(editor, f"1/{K} · {LABELS[0]}"), lambda: editor.status)


def asks_and_sees(workbench, status):
    workbench.press("Escape")
    workbench.press("Alt+Backslash")
    return within(lambda: workbench.status == status, 3)


def test_it_can_be_turned_off_and_on_again(editor):
    editor.command("SPA: Turn On or Off")
    off = '[id*="spaLsp.status"] .codicon-circle-slash'
    eventually(lambda: editor.texts(off), lambda: editor.status)
    editor.press("Alt+Backslash")
    assert not within(lambda: editor.ghost, 3)
    editor.command("SPA: Turn On or Off")
    ask(editor)


def test_a_language_can_be_turned_off_and_on_again(editor):
    path = editor.folder / "user" / "User" / "settings.json"
    editor.command("SPA: Turn On or Off in This Language")
    eventually(lambda: '"python"' in path.read_text(), path.read_text)
    eventually(lambda: not asks_and_sees(editor, f"1/{K} · {LABELS[0]}"), "still offered")
    editor.command("SPA: Turn On or Off in This Language")
    eventually(lambda: '"python"' not in path.read_text(), path.read_text)
    ask(editor)


def test_tabs_crlf_and_emoji_are_kept_as_they_are(workbench):
    head = 'def mean(prices):\r\n\t"""😀 naïve"""\r\n\t'
    path = open_and_ask(workbench, "tabs.py", head)
    workbench.press("Alt+BracketLeft")
    workbench.press("Alt+BracketLeft")
    shows(workbench, status=f"4/{K} · {LABELS[3]}")
    workbench.press("Tab")
    body = TEXTS[3].format(indent="\t").replace("\n", "\r\n")
    eventually(lambda: path.read_bytes() == (head + body).encode(), lambda: repr(path.read_bytes()))


def test_the_walkthrough_leads_through_the_first_start(program, editor):
    go_on = write_slow_pull(program)
    editor.command("SPA: How to Install the Server")
    step = '.getting-started-step[data-step-id$="#{}"]'.format
    button = ".expanded .button-container .monaco-button"
    done = step("{}") + " .codicon-getting-started-step-checked"
    eventually(lambda: editor.texts(step("install") + button) == ["Try Again"], "no walkthrough")
    editor.do("click", selector=step("install") + button, n_clicks=1)
    eventually(lambda: editor.texts(done.format("install")), "the server runs, but its step is not done")
    assert not editor.texts(done.format("pull"))
    editor.do("click", selector=step("pull"), n_clicks=1)
    editor.do("click", selector=step("pull") + button, n_clicks=1)
    eventually(lambda: any(PULLED in text for text in editor.notifications), lambda: editor.notifications)
    go_on.touch()
    eventually(lambda: editor.texts(done.format("pull")), "it was pulled, but its step is not done")
    images = "[...document.querySelectorAll('.getting-started-media img')].filter((image) => image.naturalWidth)"
    shown = f"{images}.map((image) => image.srcset)"
    for name, picture in (("cycle", "ghost.png"), ("panel", "panel.png")):
        editor.do("click", selector=step(name), n_clicks=1)
        eventually(
            lambda picture=picture: any(picture in srcset for srcset in editor.do("evaluate", code=shown)),
            lambda: editor.do("evaluate", code=shown),
        )
    editor.command("View: Close All Editors")


def test_sets_and_bases_are_offered_for_choice(workbench):
    workbench.open("prices.py", HEAD)
    workbench.command("SPA: Choose the Base Model")
    rows = ".quick-input-list .monaco-list-row"
    eventually(lambda: any("qwen2.5-coder-0.5b-instruct" in text for text in workbench.texts(rows)), "no bases")
    workbench.press("Escape")
    workbench.command("SPA: Choose the Adapter Set")
    eventually(lambda: any("the base alone" in text for text in workbench.texts(rows)), "no sets")
    workbench.press("Escape")


PULLED = f"pull {BASE}: 196.6 MB of 491.4 MB, 2 min 20 s left"


def write_slow_pull(program):
    """A program that pulls a part of the base and ends when the file that is returned is there; else the right one."""
    go_on = program.with_name("go-on")
    go_on.unlink(missing_ok=True)
    pull = f"""
import os, time
if sys.argv[1:] == ["models", "pull", "{BASE}"]:
    print("pull {BASE}: 196.6 MB of 491.4 MB, 2.1 MB/s, 2 min 20 s left", file=sys.stderr, flush=True)
    while not os.path.exists({str(go_on)!r}):
        time.sleep(0.1)
    sys.exit()
"""
    write_program(program, pull + FRONT)
    return go_on


def test_the_model_is_pulled_with_progress_and_then_the_server_starts_anew(program, editor):
    go_on = write_slow_pull(program)
    before = front_of(editor)
    editor.command("SPA: Download the Model")
    eventually(lambda: any(PULLED in text for text in editor.notifications), lambda: editor.notifications)
    go_on.touch()
    eventually(lambda: not before.is_running(), "the server goes on with what it knows")
    ask(editor)


def test_figures_and_log_are_shown(editor):
    editor.command("SPA: Show Metrics")
    eventually(lambda: any("metrics" in text for text in editor.texts(".tab.active")), "no figures")
    eventually(lambda: any("{" in text for text in editor.texts(".editor-instance .view-line")), "no figures")
    editor.command("SPA: Show the Log")
    # the lines of a log are written by a native module, which this code-server has not
    chosen = "document.querySelector('.part.panel select')?.selectedOptions[0]?.text"
    eventually(lambda: editor.do("evaluate", code=chosen) == "spa-lsp", lambda: editor.do("evaluate", code=chosen))
    editor.press("Control+j")
