"""Masks: which keys the queries of a forward pass do not see."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from social_learning.models.local.plan import Row


def hide(hidden: Tensor, dtype: torch.dtype) -> Tensor:
    """Return what is added to scores so that the hidden ones do not count."""
    return torch.zeros(hidden.shape, dtype=dtype, device=hidden.device).masked_fill_(hidden, float("-inf"))


def ancestors(rows: Sequence[Row], width: int) -> Tensor:
    """Return which tokens see which (rows, 1, width, width): themselves, and what their parent sees."""
    visible = np.zeros((len(rows), width, width), dtype=bool)
    # Padding sees itself alone, and nobody sees it.
    visible[:, np.arange(width), np.arange(width)] = True
    for number, row in enumerate(rows):
        for place, parent in enumerate(row.parents):
            if parent >= 0:
                visible[number, place] |= visible[number, parent]
    return torch.from_numpy(visible[:, None])


def before_window(queries: Tensor, keys: Tensor, window: int) -> Tensor:
    """Return which keys (..., keys) are before the window of which queries (..., queries), by their positions in the text:
    (..., queries, keys). A query sees itself and the `window` - 1 tokens before it.
    """
    return keys[..., None, :] <= queries[..., :, None] - window


def without_blind(hidden: Tensor) -> tuple[Tensor, Tensor]:
    """Let queries that would see nothing see everything, as attention to nothing is not a number.

    Returns the new `hidden` (..., queries, keys), and which queries these are (..., queries): their attention is not to count.
    """
    blind = hidden.all(dim=-1)
    return hidden & ~blind[..., None], blind
