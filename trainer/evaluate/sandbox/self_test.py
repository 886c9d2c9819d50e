"""A program that tries to get out, run once before any other: at a back end that lets it, nothing is run."""

import os
import socket
import tempfile

from trainer.evaluate.sandbox.limits import Limits
from trainer.evaluate.sandbox.outcome import Outcome
from trainer.evaluate.sandbox.process import ENVIRONMENT, Backend
from trainer.evaluate.sandbox.run import run

LIMITS = Limits(wall_s=30.0, output_bytes=4096)

# six ways out: files, environment, network, descriptors, other processes, and more than the limits
ESCAPES = r"""
import ctypes, os, resource, socket, sys

def succeeds(attempt, *arguments):
    try:
        attempt(*arguments)
    except OSError:
        return False
    return True

def read(path):
    if os.path.isdir(path):
        os.listdir(path)
    else:
        open(path, "rb").close()

def write(folder):
    open(os.path.join(folder, "canary"), "w").close()

def processes():
    return list(filter(str.isdigit, os.listdir("/proc"))) if succeeds(os.listdir, "/proc") else []

def variables():
    for process in processes():
        try:
            text = open(f"/proc/{process}/environ", "rb").read().decode()
        except OSError:
            continue
        yield from (line.partition("=")[0] for line in text.split("\0") if line)

def connect(kind):
    with socket.socket(socket.AF_INET, kind) as client:
        client.settimeout(1)
        client.connect(("127.0.0.1", PORT))
        client.send(b"canary")

def open_descriptors():
    return [fd for fd in range(64) if succeeds(os.fstat, fd)]

def fork_often():
    for _ in range(20):
        if os.fork() == 0:
            while True:
                ctypes.CDLL(None).pause()

escapes = {
    "files of the host are readable": any(succeeds(read, path) for path in HIDDEN),
    "the root folder is writable": succeeds(write, "/"),
    "/usr is writable": succeeds(write, "/usr"),
    "/dev is writable": succeeds(write, "/dev"),
    "a folder of the host is writable": succeeds(write, os.path.dirname(HIDDEN[0])) and not HAS_TMP,
    "the environment is visible": not set(variables()) | set(os.environ) <= VARIABLES,
    "the network is reachable": succeeds(connect, socket.SOCK_STREAM) or succeeds(connect, socket.SOCK_DGRAM),
    "descriptors are inherited": len(open_descriptors()) > 5,
    "other processes are visible": len(processes()) > 2,
    "other processes take signals": succeeds(os.kill, PID, 0),
    "user namespaces can be nested": ctypes.CDLL(None).unshare(0x10000000) == 0,
    "memory is not limited": resource.getrlimit(resource.RLIMIT_AS)[1] == resource.RLIM_INFINITY,
    "the number of processes is not limited": IS_COUNTED and succeeds(fork_often),
}
found = [name for name, is_open in escapes.items() if is_open]
assert not found, "; ".join(found)
print("CPython %d.%d.%d" % sys.version_info[:3])
"""


def try_escapes(backend: Backend) -> Outcome:
    """Run it against a canary file and a listening port; `completed` says that every attempt failed."""
    with tempfile.NamedTemporaryFile() as canary, socket.create_server(("127.0.0.1", 0)) as listener:
        os.chmod(canary.name, 0o644)
        facts = {
            "HIDDEN": [canary.name, "/etc/passwd", os.path.expanduser("~/.ssh"), os.path.expanduser("~/.cache")],
            "VARIABLES": {*ENVIRONMENT, "PWD", "LC_CTYPE"},
            "PORT": listener.getsockname()[1],
            "PID": os.getpid(),
            "HAS_TMP": backend.is_alone,
            "IS_COUNTED": not backend.interpreter.keeps_root,
        }
        head = "".join(f"{name} = {value!r}\n" for name, value in facts.items())
        return run(head + ESCAPES, backend, LIMITS)
