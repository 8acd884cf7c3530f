"""How the C library keeps memory that a serving process frees and soon needs again."""

import ctypes
import sys
from typing import Final

# Source: mallopt(3), glibc; the numbers are of malloc.h and never change.
_M_TRIM_THRESHOLD: Final = -1
_M_TOP_PAD: Final = -2
_M_MMAP_THRESHOLD: Final = -3

KEPT_BYTES: Final = 16_777_216
"""So much freed memory a process keeps at the most at its heap's end."""

LARGEST_BYTES: Final = 4_194_304
"""Blocks up to this come from the heap; larger ones go back to the system at once."""

STEP_BYTES: Final = 1_048_576
"""The heap grows by as much more than is needed."""


def keep_freed_memory() -> bool:
    """Have bodies use the same memory again; False where the C library knows no such thing.

    Left alone glibc gives a body's memory back and takes new, which the kernel clears page by
    page: 0.25 of 1.7 ms of CPU a request of 1 MB.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None:  # musl, or another system
        return False
    wanted = (
        (_M_TRIM_THRESHOLD, KEPT_BYTES),
        (_M_MMAP_THRESHOLD, LARGEST_BYTES),
        (_M_TOP_PAD, STEP_BYTES),
    )
    return all(mallopt(which, size) for which, size in wanted)
