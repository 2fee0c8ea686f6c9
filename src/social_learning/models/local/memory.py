"""Memory: what to do when a batch does not fit."""

import gc
import logging
from collections.abc import Callable, Sequence

import torch

from social_learning.errors import ModelError

log = logging.getLogger(__name__)


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
