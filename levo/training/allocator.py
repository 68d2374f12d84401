"""How the C library's allocator keeps what training frees, where it is glibc's."""

import ctypes
import sys

_MMAP_THRESHOLD = -3  # M_MMAP_THRESHOLD of malloc.h
_LARGE_BYTES = 8 * 2**20


def return_freed_memory() -> bool:
    """Have this process give tensors of 8 MiB and more back to the system when they are freed; whether it could.

    By default glibc learns from the first large tensor that is freed to keep such ones in its heap, where activations,
    gradients and logits of different sizes leave gaps: a step's peak is then a third above what it holds (`levo bench
    training`). What is smaller stays in the heap, which is faster for it.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and mallopt(_MMAP_THRESHOLD, _LARGE_BYTES) == 1
