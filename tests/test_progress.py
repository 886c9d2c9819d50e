import pytest

from spa_lsp import progress as module
from spa_lsp.progress import format_amount, format_seconds, progress


def test_without_a_terminal_the_start_and_the_end_are_lines_on_stderr(capfd):
    with progress("read", 3, "files") as shown:
        shown.advance(3)
    out, err = capfd.readouterr()
    assert (out, err.splitlines()) == ("", ["read: 3 files", "read: done after 0 s, 3 files"])


def test_lines_between_tell_rate_and_time_left(capfd, monkeypatch):
    monkeypatch.setattr(module.time, "monotonic", iter([0.0, 10.0, 10.0]).__next__)
    with progress("fetch", 3_000_000, "B") as shown:
        shown.advance(1_000_000)
    assert "fetch: 1.0 MB of 3.0 MB (33%), 100.0 kB/s, 20 s left" in capfd.readouterr().err


def test_work_that_breaks_says_so_and_raises(capfd):
    with pytest.raises(ValueError), progress("read", 3, "files"):
        raise ValueError
    assert "read: stopped after 0 s" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("n", "unit", "text"),
    [(491_400_064, "B", "491.4 MB"), (12, "B", "12 B"), (12, "samples", "12 samples"), (12, "", "12")],
)
def test_amounts_are_short(n, unit, text):
    assert format_amount(n, unit) == text


@pytest.mark.parametrize(("seconds", "text"), [(45.2, "45 s"), (200, "3 min 20 s"), (3900, "1 h 5 min")])
def test_times_are_short(seconds, text):
    assert format_seconds(seconds) == text
