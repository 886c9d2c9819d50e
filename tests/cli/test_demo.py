import json
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from dataclasses import replace

import pytest
from click.testing import CliRunner
from command_engine import BASE, serving

from spa_lsp.cli import main
from spa_lsp.cli._demo_view import DemoState, accepted, draw, plain, read_keys, summary, turn, with_result
from spa_lsp.completion import Timing
from spa_lsp.errors import BadInput, NotFound
from spa_lsp.text.marked_text import BUNDLED, MARK, bundled_texts, cut_at_mark, find_text
from spa_lsp.text.shown import shown_infills
from tests.fakes import FakeCompleter, make_alternative

TEXT = cut_at_mark("add.py", "def add(a, b):\n    ‸\n\n\nprint(add(1, 2))\n")
TIMING = Timing(prefill_ms=38, prompt_tokens=12, decode_ms=900, total_ms=938)


def state_of(*texts, text=TEXT):
    alternatives = [make_alternative(each, index) for index, each in enumerate(texts)]
    shown = shown_infills(alternatives, text)
    return with_result(DemoState(text=text), shown, TIMING, "fake-base")


# --- marked texts ---


def test_every_bundled_file_is_python_around_its_mark():
    for text in bundled_texts():
        compile(text.prefix + "pass" + text.suffix, text.name, "exec")
        assert text.language == "python" and text.prefix.count("\n") > 3 and text.suffix.strip()


def test_a_bundled_file_is_found_with_and_without_its_ending():
    assert find_text("cart") == find_text("cart.py")


def test_a_file_of_ones_own_is_cut_at_its_mark(tmp_path):
    (tmp_path / "mine.rb").write_text("def a\n  ‸\nend\n")
    found = find_text(str(tmp_path / "mine.rb"))
    assert (found.name, found.prefix, found.suffix, found.language) == ("mine.rb", "def a\n  ", "\nend\n", "ruby")


@pytest.mark.parametrize(("text", "message"), [("x = 1", "has no ‸"), ("‸ ‸", "has 2 times")])
def test_a_file_must_have_one_mark(text, message):
    with pytest.raises(BadInput, match=message):
        cut_at_mark("f", text)


def test_an_unknown_name_lists_the_bundled_files():
    with pytest.raises(NotFound, match="cart.py, settings.py"):
        find_text("none-such.py")


# --- state and keys ---


def test_only_programs_that_differ_are_cycled_through_and_each_names_all_who_wrote_it():
    state = state_of("return a + b", "return sum([a, b])", "return a + b  # both")
    assert [choice.alternative.adapter for choice in state.choices] == ["a1", "a2"]
    assert [[each.adapter for each in choice.same] for choice in state.choices] == [["a3"], []]
    assert summary(state).startswith("2 of 3 differ · prefill 38 ms (12 tokens, 0 cached)")


def test_cycling_goes_round_in_both_directions():
    state = state_of("return a + b", "return sum([a, b])", "return b + a")
    assert [turn(replace(state, index=n), "next").index for n in range(3)] == [1, 2, 0]
    assert [turn(replace(state, index=n), "previous").index for n in range(3)] == [2, 0, 1]


def test_without_alternatives_no_key_breaks_anything():
    state = state_of("  ")
    assert turn(state, "next") == state
    assert accepted(state) is None


def test_accepting_gives_the_whole_file():
    state = turn(state_of("return a + b", "return sum([a, b])"), "next")
    assert accepted(state) == "def add(a, b):\n    return sum([a, b])\n\n\nprint(add(1, 2))\n"


@pytest.mark.parametrize(
    ("data", "keys"),
    [
        (b"][", ["next", "previous"]),
        (b"\x1b[C\x1b[D\x1bOC\x1bOD", ["next", "previous", "next", "previous"]),
        (b"\x1b]", ["next"]),
        (b"\x1b[", ["previous"]),
        (b"\t", ["accept"]),
        (b"nq", ["file", "leave"]),
        (b"\x1b", ["leave"]),
        (b"\x03", ["leave"]),
        (b"\x1b[A\x1b[15~x\xc3\xa9]", ["next"]),
        (b"", []),
    ],
)
def test_bytes_of_a_terminal_are_keys(data, keys):
    assert read_keys(data) == keys


# --- drawing ---


def screen(state, width=80, height=20):
    return draw(state, width=width, height=height).plain.split("\n")


def test_the_screen_shows_the_alternative_in_its_place_and_who_wrote_it():
    lines = screen(turn(state_of("return a + b", "return sum([a, b])"), "next"))
    assert lines[0] == "add.py   2/2 · label of a2 (a2)"
    assert lines[2:4] == ["def add(a, b):", "    return sum([a, b])"]
    assert lines[-1].startswith("] next")


@pytest.mark.parametrize("height", [4, 5, 8, 24])
def test_the_screen_never_has_more_lines_than_the_terminal(height):
    long = cut_at_mark("long.py", "x = 1\n" * 50 + "‸\n" + "y = 2\n" * 50)
    lines = screen(state_of("a = 0\n" * 30, text=long), width=30, height=height)
    assert len(lines) <= height and max(map(len, lines)) <= 30


def test_the_cursor_is_on_the_screen_of_a_long_file():
    long = cut_at_mark("long.py", "x = 1\n" * 50 + "‸\n" + "y = 2\n" * 50)
    assert "here = 1" in screen(state_of("here = 1", text=long))


def test_what_the_first_one_lacks_stands_out():
    drawn = draw(turn(state_of("return a + b", "return sum(b)"), "next"), width=80, height=20)
    standing_out = [drawn.plain[span.start : span.end] for span in drawn.spans if "yellow" in str(span.style)]
    assert standing_out == ["sum(", ")"]


def test_while_computing_the_screen_says_so():
    lines = screen(DemoState(text=TEXT, n_all=3))
    assert lines[0] == "add.py" and "computing … 3" in lines


def test_printed_lines_that_the_first_one_lacks_have_a_mark():
    state = state_of("total = a\n    total += b\n    return total", "total = a\n    total *= b\n    return total")
    printed = plain(state)
    assert printed[:3] == ["━━ add.py ".ljust(80, "━"), "def add(a, b):", "    ‸"]
    assert [line for line in printed if line.startswith("~")] == ["~     total *= b"]


# --- the command ---


@pytest.fixture
def engine():
    with serving() as completer:
        yield completer


def demo(*arguments, status=0):
    result = CliRunner().invoke(main, ["demo", *BASE, *map(str, arguments)])
    assert result.exit_code == status, result.output
    assert "Traceback" not in result.output
    return result


def test_without_a_terminal_every_file_is_printed_once(engine):
    printed = demo().stdout
    assert [line.split()[1] for line in printed.splitlines() if line.startswith("━━")] == list(BUNDLED)
    assert printed.count("2 of 3 differ · prefill ") == 4
    assert printed.count("1/2 · label of a1 (a1, also a3)") == 4


# #15
def test_what_a_larger_base_would_bring_is_said_but_never_in_json(engine, monkeypatch):
    monkeypatch.setattr("spa_lsp.bases.choice.what_larger_brings", lambda: "a larger base is right more often")
    assert demo("--file", "cart").stderr.endswith("a larger base is right more often\n")
    assert "larger" not in demo("--file", "cart", "--json").output


def test_json_is_a_list_of_results(engine):
    (found,) = json.loads(demo("--file", "cart", "--json").stdout)
    assert (found["file"], found["n_distinct"], len(found["alternatives"])) == ("cart.py", 2, 3)
    assert found["timing"]["prompt_tokens"] == 0


def test_the_engine_gets_the_text_around_the_mark(engine):
    demo("--file", "cart", "-k", 2, "--max-tokens", 9)
    (request,) = engine.asked
    assert request.prefix + MARK + request.suffix == find_text("cart").prefix + MARK + find_text("cart").suffix
    assert (request.k, request.max_tokens) == (2, 9)


# #15
def test_a_file_that_a_rule_names_is_refused_before_anything_is_asked(engine, tmp_path):
    (tmp_path / ".gitignore").write_text("hidden.py\n")
    (tmp_path / "hidden.py").write_text("x = ‸\n")
    result = demo("--file", tmp_path / "hidden.py", status=1)
    assert "is left alone (.gitignore: hidden.py)" in result.output and engine.asked == []


def test_without_a_base_the_demo_says_how_to_get_one():
    result = CliRunner().invoke(main, ["demo"])
    assert result.exit_code == 1
    assert "run: spa-lsp models pull" in result.output


class Terminal:
    """`spa-lsp demo` on a terminal of its own."""

    def __init__(self, *arguments):
        self.master, self.slave = pty.openpty()
        termios.tcsetwinsize(self.slave, (24, 80))
        self.before = termios.tcgetattr(self.slave)
        self.shown = ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "spa_lsp", "demo", *BASE, *arguments],
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            env={**os.environ, "TERM": "xterm-256color"},
            preexec_fn=lambda: (os.setsid(), __import__("fcntl").ioctl(0, termios.TIOCSCTTY, 0)),
        )

    def type(self, keys):
        self.shown = ""
        os.write(self.master, keys)

    def wait_for(self, text, timeout_s=90):
        end = time.monotonic() + timeout_s
        while text not in self.shown:
            assert time.monotonic() < end, self.shown
            if select.select([self.master], [], [], 0.2)[0]:
                self.shown += os.read(self.master, 65536).decode(errors="replace")

    def end(self):
        """The exit status; the screen has been left and the terminal is as it was."""
        self.wait_for("\x1b[?1049l")
        status = self.process.wait(30)
        assert termios.tcgetattr(self.slave) == self.before
        return status


@pytest.fixture
def terminal(engine):
    opened = []

    def start(*arguments):
        opened.append(Terminal(*arguments))
        return opened[-1]

    yield start
    for each in opened:
        each.process.kill()
        each.process.wait()
        os.close(each.master)
        os.close(each.slave)


def test_on_a_terminal_keys_cycle_and_tab_accepts(terminal):
    shown = terminal("--file", "cart")
    shown.wait_for("1/2 · label of a1")
    shown.type(b"]")
    shown.wait_for("2/2 · label of a2")
    shown.type(b"\t")
    assert shown.end() == 0
    shown.wait_for("return sum([a, b])\r\n\r\n\r\ndef format_price")


def test_n_shows_the_next_file_and_q_leaves(terminal):
    shown = terminal()
    shown.wait_for("cart.py")
    shown.wait_for("1/2")
    shown.type(b"n")
    shown.wait_for("settings.py")
    shown.type(b"q")
    assert shown.end() == 0


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_leave_the_terminal_as_it_was(terminal, number, status):
    shown = terminal("--file", "cart")
    shown.wait_for("1/2")
    shown.process.send_signal(number)
    assert shown.end() == status


def test_leaving_while_alternatives_are_computed_cancels_them():
    with serving(FakeCompleter(n_steps=10_000, step_s=0.01)):
        shown = Terminal("--file", "cart")
        shown.wait_for("computing")
        shown.type(b"q")
        assert shown.end() == 0
        os.close(shown.master)
        os.close(shown.slave)
