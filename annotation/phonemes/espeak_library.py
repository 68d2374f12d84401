"""The espeak-ng library through ctypes, loaded afresh and unloaded (an extra: espeak-ng is GPL)."""

import _ctypes
import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class EspeakError(ValueError):
    """espeak-ng refused a voice or a word."""


@contextmanager
def espeak_library(output: int, options: int = 0) -> Iterator[tuple[Any, int]]:
    """The library and its sample rate; whoever loads it next finds it as new.

    Raises `ModuleNotFoundError` where it is missing, with what to install.
    """
    try:
        import espeakng_loader
    except ImportError as error:
        raise ModuleNotFoundError(
            "espeakng-loader is not installed; the singing voice and some languages' phonemes are made with it: "
            "pip install 'levo[demo]'"
        ) from error
    library: Any = ctypes.CDLL(espeakng_loader.get_library_path())
    data = str(espeakng_loader.get_data_path()).encode()
    sample_rate_hz = int(library.espeak_Initialize(output, 0, data, options))
    if sample_rate_hz <= 0:
        raise EspeakError(f"espeak_Initialize gave {sample_rate_hz} with data at {data.decode()!r}")
    try:
        yield library, sample_rate_hz
    finally:
        library.espeak_Terminate()
        # ctypes has no public name for it.
        _ctypes.dlclose(library._handle)
