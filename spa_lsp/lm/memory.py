"""Memory that loading took and gave up again."""

import ctypes
import gc
import sys


def give_back_memory() -> None:
    """Return what is free to the system: glibc keeps it for the process, 90 MB after a load of the default base."""
    gc.collect()
    if sys.platform != "linux":
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc only
    if trim is not None:
        trim(0)
