"""How much text the model sees: what this machine reads in about a second, unless a setting says a number. Pure."""

from dataclasses import dataclass

from spa_lsp.settings.schema import AUTO, Settings

COLD_S = 1.0  # that a prompt of which nothing is known may take
READ_S = 6.0  # and one that is read while nothing else is to be done
MIN_CHARS = 800  # less says too little of the place, however slow the machine
MAX_CHARS = 8000  # prefix and suffix together; the prompt's limit in tokens is about there
MIN_PREFIX_CHARS = 1000  # that context leaves of a given number, whatever its setting
_CHARS_PER_TOKEN = 3.6  # 4.3 on 120 modules of Python's library; less where there are few comments
_SUFFIX_SHARE = 0.25
_CONTEXT_SHARE = 0.25  # at most, of a prefix that was chosen here


@dataclass(frozen=True, kw_only=True)
class WindowSize:
    """Characters of each kind of text in a prompt."""

    prefix: int
    suffix: int
    files: int  # of other files
    diff: int  # of what has changed


# What the rules about a completion's text look at, however little the model sees: a bracket may be open far back.
FOR_RULES = WindowSize(prefix=6000, suffix=2000, files=0, diff=0)


def window_size(settings: Settings, tokens_per_s: float | None, *, seconds: float = COLD_S) -> WindowSize:
    """The sizes of these settings.

    Args:
        settings: of the front.
        tokens_per_s: what this machine reads of a prompt; None: not known.
        seconds: that it may take to read all of it.
    """
    chars = MAX_CHARS
    if tokens_per_s is not None:
        chars = min(MAX_CHARS, max(MIN_CHARS, int(seconds * tokens_per_s * _CHARS_PER_TOKEN)))
    suffix = int(_SUFFIX_SHARE * chars) if settings.suffix_chars == AUTO else int(settings.suffix_chars)
    if settings.prefix_chars != AUTO:
        return _given(settings, int(settings.prefix_chars), suffix)
    prefix = chars - int(_SUFFIX_SHARE * chars)
    wanted = settings.files_chars + settings.diff_chars
    share = min(1.0, _CONTEXT_SHARE * prefix / wanted) if wanted else 0.0
    files, diff = int(share * settings.files_chars), int(share * settings.diff_chars)
    return WindowSize(prefix=prefix - files - diff, suffix=suffix, files=files, diff=diff)


def _given(settings: Settings, prefix: int, suffix: int) -> WindowSize:
    """A number is obeyed; the context's is taken off it, so that both fit the prompt."""
    files, diff = settings.files_chars, settings.diff_chars
    left = min(prefix, max(MIN_PREFIX_CHARS, prefix - files - diff))
    return WindowSize(prefix=left, suffix=suffix, files=files, diff=diff)
