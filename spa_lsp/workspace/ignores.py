"""Which files are none of our business: ignored by the project's own files, or by their name likely to hold secrets.

Such a file gets no completion, is no context and is nothing to train on. Nothing of it is ever read to decide that.
Unlike Git, a file that is tracked although a rule names it counts as ignored: the index is not read.
"""

import os
import re
import stat
import threading
import time
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from urllib.parse import SplitResult, unquote_to_bytes, urlsplit

from spa_lsp.text.languages import is_source
from spa_lsp.workspace.git import excludes_files
from spa_lsp.workspace.rules import IgnoreRule, Rules, parse_rules

# each kind speaks for itself: a `!` in one of them takes back nothing of another
IGNORE_FILES = (".gitignore", ".spaignore", ".aiignore", ".copilotignore", ".cursorignore")
MAX_FILE_BYTES = 1 << 20  # of an ignore file; what is beyond is not read
FRESH_S = 2.0  # how long a verdict is taken for granted
MAX_VERDICTS = 4096
SCHEMES = ("file", "untitled", "vscode-notebook-cell", "vscode-remote")  # whose documents are context of others

SECRETS = """
.git/
.env
.env.*
*.env
.envrc
*.pem
*.key
*.p12
*.pfx
*.jks
*.keystore
*.kdbx
*.ppk
*.asc
*.gpg
id_rsa*
id_dsa*
id_ecdsa*
id_ed25519*
.ssh/
.gnupg/
.aws/
.azure/
.kube/
credentials
credentials.*
*.credentials
secrets
secrets.*
.npmrc
.pypirc
.netrc
_netrc
.pgpass
.my.cnf
.htpasswd
.git-credentials
.dockercfg
.docker/config.json
*.tfvars
*.tfvars.json
*.tfstate
*.tfstate.*
service-account*.json
*.agekey
"""
_SECRET_RULES = parse_rules(SECRETS.encode(), ignore_case=True).rules
_SECRET_FILES = Rules(rule for rule in _SECRET_RULES if not rule.is_for_folders)
_SECRET_FOLDERS = Rules(rule for rule in _SECRET_RULES if rule.is_for_folders)
_NO_RULES = Rules(())

_reading = threading.Lock()
_verdicts: dict[tuple[str, str, tuple[str, ...], bool, str], tuple[float, str]] = {}


def why_ignored(
    path: str | Path,
    workspace_root: str | Path | None,
    *,
    patterns: Sequence[str] = (),
    is_folder: bool = False,
    language: str = "",
) -> str:
    """The rule by which this file is left alone, with its origin; empty: by none. Microseconds again within `FRESH_S`.

    Args:
        path: absolute, or relative to the workspace's root; it need not exist.
        workspace_root: ignore files are looked for from here on, or from the repository's root if that is above it.
        patterns: lines as in a `.gitignore`, of the user, from the workspace's root; `!` takes back a built-in secret.
        is_folder: the path is a folder, so that whoever walks can leave out all of it.
        language: what the client says of the document: a name like `secrets.*` is no secret where it is source code.
    """
    root = os.path.abspath(workspace_root) if workspace_root is not None else ""
    name = os.path.normpath(os.path.join(root or os.getcwd(), path))
    key = (name, root, tuple(patterns), is_folder, language)
    known = _verdicts.get(key)
    now = time.monotonic()
    if known is not None and now < known[0]:
        return known[1]
    if len(_verdicts) >= MAX_VERDICTS:
        _verdicts.clear()
    verdict = _judge(os.fsencode(name), os.fsencode(root), key[2], is_folder, language)
    _verdicts[key] = (now + FRESH_S, verdict)
    return verdict


def why_uri_ignored(
    uri: str, workspace_root: str | Path | None, *, patterns: Sequence[str] = (), language: str = ""
) -> str:
    """As `why_ignored`; a document without a path is judged by its name alone."""
    path = path_of(uri)
    if path is not None:
        return why_ignored(path, workspace_root, patterns=patterns, language=language)
    name = unquote_to_bytes(re.split("[?#]", uri.partition(":")[2], maxsplit=1)[0]).strip(b"/")
    return _secret_rule(b"/" + name, b"/", tuple(patterns), is_folder=False, language=language)


def is_for_context(uri: str) -> bool:
    """Whether it may be shown to the model beside another document: what is of an unknown scheme may not."""
    return uri.partition(":")[0].lower() in SCHEMES


def uri_path(uri: str) -> str | None:
    """The path of a `file:` URI of this machine, with the bytes that are in it; None for any other."""
    parts = _split(uri)
    return path_of(uri) if parts and parts.scheme == "file" and is_local(uri) else None


def is_local(uri: str) -> bool:
    """Whether a URI, of any scheme, names no other machine."""
    parts = _split(uri)
    return parts is not None and parts.netloc in ("", "localhost")


def path_of(uri: str) -> str | None:
    """The path in a URI of any scheme: of a notebook's cell that of the notebook, of a share that on its host."""
    parts = _split(uri)
    path = os.fsdecode(unquote_to_bytes(parts.path)) if parts else ""
    return path if path.startswith("/") and "\0" not in path else None


def _split(uri: str) -> SplitResult | None:
    try:
        return urlsplit(uri)
    except ValueError:
        return None


def forget() -> None:
    """Judge anew: an ignore file was saved."""
    _verdicts.clear()


def _judge(path: bytes, root: bytes, patterns: tuple[str, ...], is_folder: bool, language: str) -> str:
    rule = _named_rule(path, root, patterns, is_folder, language)
    if rule:
        return rule
    real = os.path.realpath(path)  # a link must not lead to what its own name hides
    if real == path:
        return ""
    return _named_rule(real, os.path.realpath(root) if root else b"", patterns, is_folder, language)


def _named_rule(path: bytes, root: bytes, patterns: tuple[str, ...], is_folder: bool, language: str) -> str:
    top = _top(path, root)
    if path == top:
        return ""
    # the user's rules hold for all that is open, also outside the workspace
    from_here = root if root and _is_below(path, root) else b"/"
    if rule := _secret_rule(path, from_here, patterns, is_folder=is_folder, language=language):
        return rule
    found = ((kind, _ruling_out(path, top, kind, is_folder=is_folder)) for kind in IGNORE_FILES)
    return next((f"{kind}: {rule.line}" for kind, rule in found if rule is not None), "")


def _top(path: bytes, root: bytes) -> bytes:
    """The highest folder whose ignore files speak about this path."""
    start = root if root and _is_below(path, root) else os.path.dirname(path)
    folder = start
    while not os.path.lexists(os.path.join(folder, b".git")):
        parent = os.path.dirname(folder)
        if parent == folder:
            return start
        folder = parent
    return folder


def _secret_rule(path: bytes, root: bytes, patterns: tuple[str, ...], *, is_folder: bool, language: str) -> str:
    for step, is_step_folder in _steps(path, b"/", is_folder=is_folder):
        rules = _SECRET_FOLDERS if is_step_folder else _SECRET_FILES
        secret = rules.last(step, is_folder=is_step_folder)
        if secret is not None and not is_step_folder and is_source(os.fsdecode(step), language):
            secret = None
        wish = None
        if patterns and _is_below(b"/" + step, root):
            inner = os.path.relpath(b"/" + step, root)
            wish = _parse_patterns(patterns).last(inner, is_folder=is_step_folder)
        if wish is not None and not wish.is_negated:
            return f"setting ignore: {wish.line}"
        if wish is None and secret is not None:
            return f"built-in: {secret.line}"
    return ""


def _ruling_out(path: bytes, top: bytes, kind: str, *, is_folder: bool) -> IgnoreRule | None:
    """The rule by which ignore files of one kind, from the top down, ignore the path or a folder that it is in."""
    folders = [top, *(os.path.join(top, step) for step, _ in _steps(path, top, is_folder=is_folder))][:-1]
    rules = [(folder, found) for folder in folders if (found := _rules_of(os.path.join(folder, kind.encode())))]
    if kind == ".gitignore":
        rules = [*((top, found) for found in _personal_rules(top)), *rules]
    for step, is_step_folder in _steps(path, top, is_folder=is_folder):
        last = _last_word(rules, os.path.join(top, step), is_folder=is_step_folder) if rules else None
        if last is not None and not last.is_negated:
            return last
    return None


def _last_word(rules: list[tuple[bytes, Rules]], path: bytes, *, is_folder: bool) -> IgnoreRule | None:
    """The rule nearest to the path that is about it."""
    for folder, found in reversed(rules):
        if _is_below(path, folder):
            rule = found.last(os.path.relpath(path, folder), is_folder=is_folder)
            if rule is not None:
                return rule
    return None


def _personal_rules(top: bytes) -> list[Rules]:
    """Those that Git knows beside `.gitignore`, the weakest first."""
    return [found for file in excludes_files(top) if (found := _rules_of(file, follow_symlinks=True))]


def _rules_of(file: bytes, *, follow_symlinks: bool = False) -> Rules:
    """The rules of a file; as for Git, one that lies in the workspace must not be a link."""
    try:
        about = os.stat(file, follow_symlinks=follow_symlinks)
    except OSError:
        return _NO_RULES
    if not stat.S_ISREG(about.st_mode):  # a pipe would hang us
        return _NO_RULES
    with _reading:  # a long file is parsed once, however many threads wait for it
        return _read_rules(file, about.st_mtime_ns, about.st_size)


@lru_cache(maxsize=512)
def _read_rules(file: bytes, mtime_ns: int, n_bytes: int) -> Rules:
    try:
        with open(file, "rb") as opened:
            return parse_rules(opened.read(MAX_FILE_BYTES))
    except OSError:
        return _NO_RULES


@lru_cache(maxsize=64)
def _parse_patterns(patterns: tuple[str, ...]) -> Rules:
    return parse_rules("\n".join(patterns).encode("utf-8", "surrogateescape"))


def _steps(path: bytes, top: bytes, *, is_folder: bool) -> Iterator[tuple[bytes, bool]]:
    """The path from the top, one folder longer each time, and whether that is a folder."""
    parts = os.path.relpath(path, top).split(b"/")
    for n in range(1, len(parts) + 1):
        yield b"/".join(parts[:n]), is_folder or n < len(parts)


def _is_below(path: bytes, folder: bytes) -> bool:
    return path.startswith(folder.rstrip(b"/") + b"/")
