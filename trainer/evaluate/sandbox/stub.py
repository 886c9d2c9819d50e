"""What runs inside, before and around the program; its text is handed to the interpreter, nothing imports it.

Reads the program from its stdin, gives it /dev/null as stdin and one stream as stdout and stderr, and keeps two
descriptors: `inbox` and `protocol` (the real stderr, where bubblewrap reports too). They lie within the reach of the
program; whoever reads them outside believes nothing but their form. See `process.inside` for how its imports get in.
"""

from __future__ import annotations

import os
import resource
import sys
from typing import Any

from trainer.evaluate.sandbox.landlock_inside import confine
from trainer.evaluate.sandbox.literals import decode, encode

# a literal, and ours; ast and json take as long to import as the interpreter takes to start
SETTINGS: dict[str, Any] = eval(sys.argv[1])


def _main() -> None:
    protocol, inbox = os.dup(2), os.dup(0)
    try:
        source = _read(inbox, SETTINGS["n_source_bytes"])
        _set_up()
        _send(protocol, b"ready\n")
        if SETTINGS["entry_point"]:
            _serve(source, inbox, protocol)
        else:
            exec(compile(source, "<program>", "exec", dont_inherit=True), {"__name__": "__main__"})
            sys.stdout.flush()
    except BaseException as error:
        _send(protocol, _describe(error))
        os._exit(1)
    _send(protocol, os.read(inbox, 64))  # shows that the program came to its end; an exit status does not
    os._exit(0)


def _set_up() -> None:
    nothing = os.open("/dev/null", os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(1, 2)
    for name, limit in SETTINGS["rlimits"].items():
        _limit(name, limit)
    if SETTINGS["landlock"]:
        confine(**SETTINGS["landlock"])
    if SETTINGS["packages"]:
        _offer(SETTINGS["packages"])


def _offer(modules: dict[str, str]) -> None:
    """Let these be imported, by name and file; the folder that they lie in cannot be listed, as a search would."""
    from importlib.util import spec_from_file_location

    class Finder:
        @staticmethod
        def find_spec(name: str, path: Any = None, target: Any = None) -> Any:
            return spec_from_file_location(name, modules[name]) if name in modules else None

    sys.meta_path.append(Finder)


def _limit(name: str, limit: tuple[int, int]) -> None:
    kind = getattr(resource, name)
    try:
        resource.setrlimit(kind, limit)
    except ValueError as error:  # less would be a verdict of its own
        have = resource.getrlimit(kind)[1]
        raise ValueError(f"{name} is {have} here and must be {limit[1]}; raise it with ulimit") from error


def _serve(source: bytes, inbox: int, protocol: int) -> None:
    """Answer each call of a line with a line: the result, and the arguments if the call has changed them."""
    quote = _make_quote()
    table: dict[str, Any] = {"null": None, "true": True, "false": False, "NaN": float("nan"), "Infinity": float("inf")}
    scope: dict[str, Any] = {"__name__": "candidate"}
    exec(compile(source, "<candidate>", "exec", dont_inherit=True), scope)
    candidate = scope[SETTINGS["entry_point"]]
    _send(protocol, b"loaded\n")
    with open(inbox, "rb") as calls:
        for line in calls:
            call_id, _, text = line.decode("ascii").partition(" ")
            arguments, named = decode(eval(text, dict(table)))
            before = encode([arguments, named], quote)
            try:
                result = encode(candidate(*arguments, **named), quote)
                after = encode([arguments, named], quote)
                reply = f'{{"result": {result}, "after": {"null" if after == before else after}}}'
            except BaseException as error:
                name, _, message = _describe(error).decode("utf-8", "replace").partition(": ")
                reply = f'{{"error": [{quote(name)}, {quote(message)}]}}'
            _send(protocol, f"{call_id} {reply}\n".encode("ascii"))
    os._exit(0)


def _make_quote() -> Any:
    try:
        from _json import encode_basestring_ascii
    except ImportError:  # another Python than CPython
        from json.encoder import py_encode_basestring_ascii as encode_basestring_ascii
    return encode_basestring_ascii


def _read(descriptor: int, n_bytes: int) -> bytes:
    content = b""
    while len(content) < n_bytes:
        content += os.read(descriptor, n_bytes - len(content))
    return content


def _send(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]


def _describe(error: BaseException) -> bytes:
    name = "MemoryError" if isinstance(error, MemoryError) else type(error).__name__
    try:
        return f"{name}: {error}".encode("utf-8", "replace")[:500]
    except BaseException:
        return f"{name}: without a text".encode("utf-8", "replace")[:500]


if __name__ == "__main__":
    _main()
