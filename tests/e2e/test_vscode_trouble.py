"""What goes wrong around the extension, in a real VS Code workbench: one message with a button, no second one."""

import json
import os
import signal
import time

import psutil
import pytest

from spa_lsp.bases.catalog import DEFAULT_BASE
from spa_lsp.engine.client import stop_engine
from spa_lsp.engine.supervisor import socket_path
from tests.e2e.vscode_program import BASE, TEXTS
from tests.e2e.vscode_steps import CARDS, FRONT, HEAD, READY, K, accepted, ask, front_of, open_and_ask, shows
from tests.e2e.vscode_workbench import eventually, within, write_program

pytestmark = pytest.mark.editors

WRONG_SERVER = "from tests.e2e.wrong_server import main; main({})"


def is_told_once(workbench, text, button):
    """Wait for a message with a button, type on, wait: it is the only one."""
    eventually(lambda: workbench.notifications, "no message")
    for key in "xyz":
        workbench.press(key)
        assert not within(lambda: len(workbench.notifications) > 1, 1), workbench.notifications
    assert text in workbench.notifications[0]
    assert workbench.texts(".notifications-toasts .monaco-button") == [button]


def test_a_read_only_file_is_not_changed_which_is_said(workbench):
    path = open_and_ask(workbench, "locked.py", HEAD)
    workbench.command("File: Set Active Editor Read-only in Session")
    workbench.command("SPA: Show All Alternatives Side by Side")
    eventually(lambda: len(workbench.panel(CARDS) or []) == K, "no cards")
    before = accepted()
    workbench.panel("document.querySelectorAll('.card')[2].click()")
    eventually(lambda: "cannot be changed" in " ".join(workbench.notifications), lambda: workbench.notifications)
    assert path.read_text() == HEAD
    assert not within(lambda: accepted() != before, 3)
    workbench.command("Notifications: Clear All Notifications")


def test_a_server_that_dies_is_started_again_without_a_word(editor):
    before = front_of(editor)
    before.kill()
    before.wait(20)
    ask(editor)
    assert front_of(editor).pid != before.pid
    assert editor.notifications == []


def test_an_engine_that_dies_is_started_again_without_a_word(editor):
    stop_engine(socket_path(BASE, "auto"))
    editor.press("Escape")
    ask(editor)
    assert editor.notifications == []


def test_asking_once_is_enough_while_the_engine_starts(workbench):
    workbench.open("once.py", "def once(prices):\n    ")
    stop_engine(socket_path(BASE, "auto"))
    workbench.press("Alt+Backslash")
    shows(workbench, ghost=TEXTS[0])


def test_asking_once_is_enough_while_an_engine_that_died_twice_may_not_start_yet(editor):
    for name in ("first", "second"):
        editor.open(f"{name}.py", f"def {name}(prices):\n    ")  # nothing is kept for this place
        os.kill(engines()[0].pid, signal.SIGKILL)
        editor.press("Alt+Backslash")
        shows(editor, ghost=TEXTS[0])
    assert editor.notifications == []


def test_asking_in_the_panel_once_is_enough_while_the_engine_starts(editor):
    os.kill(engines()[0].pid, signal.SIGKILL)
    editor.press("Escape")
    editor.press("Control+Alt+Enter")
    eventually(lambda: len(editor.panel(CARDS) or []) == K, lambda: editor.panel("document.body.innerText"))


def engines():
    """The engine processes behind the workbench; other tests that run now have engines of their own."""
    return running("canned_engine.py", str(socket_path(BASE, "auto")))


def running(*words):
    """The processes whose command line has all of these words in it, zombies aside."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        line = " ".join(process.info["cmdline"] or [])
        if all(word in line for word in words) and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


def test_a_server_that_is_not_there_is_said_once_with_a_button(program, editor):
    program.unlink()
    editor.command("SPA: Restart the Server")
    is_told_once(editor, f"names no program that may be run: {program}", "How to Install")


def test_a_server_that_may_not_be_run_is_said_once_with_a_button(program, editor):
    program.chmod(0o644)
    editor.command("SPA: Restart the Server")
    is_told_once(editor, f"names no program that may be run: {program}", "How to Install")


def test_a_program_that_is_no_server_is_said_once_with_a_button(program, editor):
    write_program(program, "print('hello'); sys.exit(3)")
    editor.command("SPA: Restart the Server")
    is_told_once(editor, "could not be started", "Show Log")


def test_another_server_is_said_once_and_left(program, editor):
    write_program(program, WRONG_SERVER.format("'other-lsp', '1.0'"))
    editor.command("SPA: Restart the Server")
    is_told_once(editor, "is not spa-lsp but other-lsp.", "How to Install")
    eventually(lambda: not running(str(program)), "it still runs")


def test_an_older_server_is_said_once_with_a_button(program, editor):
    write_program(program, WRONG_SERVER.format("'spa-lsp', '0.0.9'"))
    editor.command("SPA: Restart the Server")
    is_told_once(editor, "spa-lsp 0.0.9 is too old for this extension, which needs 0.1.0.", "How to Upgrade")


def test_a_newer_server_is_used_without_a_word(program, editor):
    write_program(program, WRONG_SERVER.format("'spa-lsp', '9.1.0.dev3'"))
    editor.command("SPA: Restart the Server")
    eventually(lambda: editor.status == "SPA" and editor.texts(READY), lambda: editor.status)
    assert editor.notifications == []


def test_a_server_that_ends_again_and_again_is_left_off_and_said_once(program, editor):
    write_program(program, WRONG_SERVER.format("'spa-lsp', '0.1.0', 'ends'"))
    editor.command("SPA: Restart the Server")
    is_told_once(editor, "ended five times in three minutes and stays off", "Restart")


def test_a_model_that_was_not_pulled_is_said_once_with_a_button(program, editor, tmp_path):
    write_program(program, elsewhere(tmp_path) + "from spa_lsp.cli import main; main()")
    editor.set(spaLsp__base=DEFAULT_BASE)
    editor.command("SPA: Restart the Server")
    type_until_told(editor)
    is_told_once(editor, f"the base {DEFAULT_BASE} is not on this machine", "Download")


def elsewhere(folder):
    """Code of a program that uses other folders than the workbench does."""
    homes = {"SPA_CACHE": folder / "cache", "XDG_RUNTIME_DIR": folder / "run"}
    return f"import os; os.environ.update({ {name: str(path) for name, path in homes.items()} })\n"


def type_until_told(workbench):
    """Type in the file until there is a message."""
    workbench.do("click", selector=".monaco-editor .view-lines", n_clicks=1)

    def is_told():
        workbench.press("x")
        return within(lambda: workbench.notifications, 2)

    eventually(is_told, "no message")


def test_a_cache_folder_that_cannot_be_used_is_said_once_with_a_button(program, editor, tmp_path):
    (tmp_path / "cache").touch()  # permissions do not stop every user
    write_program(program, elsewhere(tmp_path) + FRONT)
    editor.command("SPA: Restart the Server")
    type_until_told(editor)
    is_told_once(editor, f"{tmp_path}/cache/logs cannot be used (Not a directory)", "Show Log")


@pytest.mark.parametrize("who", ["server", "engine"])
def test_one_that_slept_for_long_goes_on(editor, who):
    process = front_of(editor) if who == "server" else engines()[0]
    editor.press("Escape")
    process.suspend()
    editor.type("return ")
    time.sleep(5)
    process.resume()
    ask(editor)
    assert editor.notifications == []
    assert process.is_running()


def test_two_windows_share_one_engine(editor, tmp_path):
    editor.open_window(tmp_path)
    try:
        open_and_ask(editor, "other.py", HEAD)
        shows(editor, ghost=TEXTS[0], toolbar=f"1/{K}")
        assert len(running(str(editor.program), "--stdio")) == 2
        # one that was started meanwhile finds its place taken, and ends
        eventually(lambda: len(engines()) == 1, lambda: str(engines()))
        assert editor.notifications == []
    finally:
        editor.close_window()
    ask(editor)
    assert editor.notifications == []


def test_a_folder_that_is_not_trusted_does_not_choose_the_program(editor, tmp_path):
    theirs = write_program(tmp_path / "bin" / "spa-lsp", "open(__file__ + '.was-run', 'w').close()")
    settings = tmp_path / ".vscode" / "settings.json"
    settings.parent.mkdir()
    settings.write_text(json.dumps({"spaLsp.server.path": str(theirs)}))
    editor.open_window(tmp_path, is_trusted=False)
    try:
        open_and_ask(editor, "theirs.py", HEAD)
        shows(editor, ghost=TEXTS[0])
        assert not theirs.with_name("spa-lsp.was-run").exists()
        assert editor.notifications == []
        editor.command("Workspaces: Manage Workspace Trust")
        editor.do("click", selector=".workspace-trust-editor .monaco-button:has-text('Trust')", n_clicks=1)
        eventually(theirs.with_name("spa-lsp.was-run").exists, "the trusted folder's program was not taken")
    finally:
        editor.close_window()
