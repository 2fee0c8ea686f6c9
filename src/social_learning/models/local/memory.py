"""Memory: how much goes through the model at once within a limit in bytes, what to do when that does not fit, and giving back
what is free.
"""

import ctypes
import gc
import logging
import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from social_learning.errors import ModelError

log = logging.getLogger(__name__)

GIB = 2**30

DEFAULT_LIMIT = 2 * GIB
CUDA_DEFAULT_LIMIT = 16 * GIB

MAX_TOKENS = 4096
CUDA_MAX_TOKENS = 32768
"""More tokens in one forward pass make nothing faster; fewer keep progress lively."""

UNITS = {"B": 1, "KIB": 2**10, "MIB": 2**20, "GIB": GIB, "KB": 10**3, "MB": 10**6, "GB": 10**9}


@dataclass(frozen=True, slots=True)
class Room:
    """What fits at once within a limit of memory, weights not counted.

    `tokens`: tokens of one forward pass. `kept`: tokens whose keys and values are held. `logits`: positions for which
    logits over the whole vocabulary are held. Each is at least 1, however small the limit.
    """

    tokens: int
    kept: int
    logits: int


def room(config: Any, dtype: torch.dtype, limit: int, device: str) -> Room:
    """Divide `limit` bytes: half for keys and values, a quarter for what a forward pass needs, a quarter for logits.

    `config` is the model's configuration in transformers.
    """
    size = dtype.itemsize
    heads = config.num_attention_heads
    head = getattr(config, "head_dim", None) or config.hidden_size // heads
    kv_heads = getattr(config, "num_key_value_heads", None) or heads
    inner = getattr(config, "intermediate_size", None) or 4 * config.hidden_size
    kept = 2 * kv_heads * head * config.num_hidden_layers * size
    # The widest moment is inside the MLP or inside attention, whose outputs are merged in float32.
    token = size * (4 * inner + 6 * config.hidden_size) + (3 * 4 + 6 * size) * heads * head
    logits = config.vocab_size * (size + 3 * 4)
    most = CUDA_MAX_TOKENS if device == "cuda" else MAX_TOKENS
    return Room(min(max(limit // 4 // token, 1), most), max(limit // 2 // kept, 1), max(limit // 4 // logits, 1))


def parse_limit(memory: int | str, device: str) -> int:
    """Return a limit in bytes from a number of bytes, a text such as `512 MiB` or `2 GB`, or `auto`.

    `auto` takes 2 GiB on CPU and 16 GiB on CUDA, but no more than half of what is free. Raises ModelError for anything
    else, and for limits below 1 MiB.
    """
    if memory == "auto":
        return min(CUDA_DEFAULT_LIMIT if device == "cuda" else DEFAULT_LIMIT, _free(device) // 2)
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", str(memory).strip(), re.IGNORECASE)
    unit = UNITS.get(found[2].upper() or "B") if found else None
    if not found or unit is None or float(found[1]) * unit < 2**20:
        raise ModelError(
            f"memory must be auto, or 1 MiB or more, as bytes or as in '512 MiB' or '2 GB': not {memory!r}"
        )
    return int(float(found[1]) * unit)


def _free(device: str) -> int:
    if device == "cuda":
        return int(torch.cuda.mem_get_info()[0])
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):  # not told on this system
        return 2 * GIB


def give_back() -> None:
    """Give free memory back to the system, where the C library is glibc.

    Of itself it keeps what is free below anything in use. Batches are of many sizes, so that a process that worked for an hour held
    10 GiB where 3 are enough (lessons of LAMBADA).
    """
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


def halving(work: Callable[[Sequence[int]], None], batch: Sequence[int]) -> None:
    """Do a batch of work; where memory does not suffice, do one half and then the other, and log that it was so.

    Raises ModelError where not even a single item fits.
    """
    try:
        work(batch)
        return
    except RuntimeError as error:  # torch.OutOfMemoryError on CUDA, a plain RuntimeError of the allocator on CPU
        if not _out_of_memory(error):
            raise
        if len(batch) == 1:
            raise ModelError(
                "out of memory: not even one prompt at a time fits; use fewer shots or a smaller model"
            ) from None
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    log.warning("out of memory with %d rows at once: going on with half as many", len(batch))
    middle = len(batch) // 2
    halving(work, batch[:middle])
    halving(work, batch[middle:])


def _out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
