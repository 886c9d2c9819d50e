"""The errors a person can do something about, one class per way out. Not for bugs: those are `assert` and `ValueError`.

SpaError                  shown as one sentence, exit status 1
├── NotFound              no such file, base, set or adapter: choose another
├── BadInput              the input cannot be used as it is: correct it
├── TooLong               what must stay whole does not fit into the base's context: give less of it
├── Damaged               a file or row is not what its sha256 says: fetch it again
├── AdapterMismatch       the set was made for another base: choose another set or retrain
├── Unavailable           a source, the engine or a device does not answer: start it or try later
├── Hung                  the engine gets nowhere: choose a smaller base or quantization, or see its log
├── NoSpace               the disk is full: make room
├── NoMemory              the memory does not do: choose a smaller base or quantization, or close other programs
├── Busy                  another process is writing: wait for it
└── TooNew                written by a newer version: upgrade
"""


class SpaError(Exception):
    """Base of all errors whose message says what went wrong, with the value, and behind the last "; " the way out."""

    @property
    def what(self) -> str:
        """What went wrong."""
        return split_way_out(str(self))[0]

    @property
    def way_out(self) -> str:
        """What to do; empty where the message does not say."""
        return split_way_out(str(self))[1]


class NotFound(SpaError):
    """No such file, base, adapter set or adapter."""


class BadInput(SpaError):
    """The input cannot be used as it is."""


class TooLong(SpaError):
    """What must stay whole does not fit into what the base can read."""


class Damaged(SpaError):
    """A file or row does not have the content that its record promises."""


class AdapterMismatch(SpaError):
    """An adapter set was made for another base or tokenizer."""


class Unavailable(SpaError):
    """A source, the engine or a device does not answer."""


class Hung(SpaError):
    """The engine got nowhere for long and was ended."""


class NoSpace(SpaError):
    """There is not enough room on the disk."""


class NoMemory(SpaError):
    """There is not enough memory for the base, or for this request."""


class Busy(SpaError):
    """Another process holds the writer's lock."""


class TooNew(SpaError):
    """The store or the set was written by a newer version."""


def split_way_out(message: str) -> tuple[str, str]:
    """What went wrong, and the way out or an empty text, of a message that may come from another process."""
    what, _, way_out = message.rpartition("; ")
    return (what, way_out) if what else (message, "")
