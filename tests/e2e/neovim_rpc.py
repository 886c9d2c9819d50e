"""A Neovim process, driven over its message-pack pipes as a terminal would: keys in, calls in, screen events out."""

import subprocess
import threading
import time
from collections.abc import Callable

import msgpack

from tests.fakes import PATIENCE_S

REQUEST, RESPONSE, NOTIFICATION = range(3)


class NeovimError(Exception):
    """Neovim refused a call."""


class Neovim:
    """One process; `notifications` are what it said unasked."""

    def __init__(self, command, *, env=None):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self.process = subprocess.Popen([command[0], "--embed", "--headless", *command[1:]], env=env, **pipes)
        self.notifications = []
        self._answers = {}
        self._last_id = 0
        self._arrived = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def call(self, method, *arguments):
        """The result of an API function."""
        with self._arrived:
            self._last_id += 1
            call_id = self._last_id
        self.process.stdin.write(msgpack.packb([REQUEST, call_id, method, arguments]))
        self.process.stdin.flush()
        with self._arrived:
            arrived = self._arrived.wait_for(lambda: call_id in self._answers, PATIENCE_S)
            assert arrived, f"Neovim does not answer to {method}"
            error, result = self._answers.pop(call_id)
        if error:
            raise NeovimError(error[1] if isinstance(error, list) else error)
        return result

    def lua(self, code, *arguments):
        """The result of Lua code, whose `...` are the arguments."""
        return self.call("nvim_exec_lua", code, arguments)

    def keys(self, keys):
        """Press these keys."""
        self.call("nvim_input", keys)

    def text(self):
        """The lines of the buffer."""
        return self.call("nvim_buf_get_lines", 0, 0, -1, True)

    def messages(self):
        """What `:messages` shows."""
        return self.call("nvim_exec2", "messages", {"output": True})["output"]

    def wait_for(self, code, expected, timeout_s=PATIENCE_S):
        """Wait until Lua code gives this value, or one of which this function is true."""
        is_right = expected if isinstance(expected, Callable) else lambda value: value == expected
        end = time.monotonic() + timeout_s
        while not is_right(value := self.lua(code)):
            assert time.monotonic() < end, f"{code!r} gives {value!r}; the messages: {self.messages()}"
            time.sleep(0.02)
        return value

    def quit(self):
        """End the process, and its children with it."""
        try:
            self.process.stdin.write(msgpack.packb([NOTIFICATION, "nvim_command", ["qall!"]]))
            self.process.stdin.flush()
            self.process.wait(10)
        except (subprocess.TimeoutExpired, BrokenPipeError):
            self.process.kill()
            self.process.wait()
        self._reader.join(PATIENCE_S)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            stream.close()

    def _read(self):
        unpacker = msgpack.Unpacker(ext_hook=lambda code, data: msgpack.unpackb(data), strict_map_key=False)
        while data := self.process.stdout.read1():
            unpacker.feed(data)
            for message in unpacker:
                self._take(message)

    def _take(self, message):
        with self._arrived:
            if message[0] == RESPONSE:
                self._answers[message[1]] = message[2:]
            elif message[0] == NOTIFICATION:
                self.notifications.append(message[1:])
            self._arrived.notify_all()
