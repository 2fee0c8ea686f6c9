"""Decoding: the keys and values of rows that grow by one token a step, and of the prefixes that they continue."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Self

import numpy as np
import torch
from torch import Tensor

from social_learning.models.local.attention import Layer, Prefix, Shared, attend, weighted
from social_learning.models.local.masks import before_window, hide, without_blind
from social_learning.models.local.plan import by_length

DROP_BELOW = 0.8
"""What has ended is dropped when no more than this share of it still goes on: dropping copies what remains."""


class Cache:
    """Keys and values of rows that are being decoded, in room that is set aside once; one new token a row and step.

    `prefixes` are those that the rows continue, `lengths` (rows,) says how many tokens of its own each row has so far.
    Takes over the prefixes' keys and values: afterwards they are views of the cache's own.
    """

    def __init__(self, prefixes: Sequence[Prefix | None], lengths: Tensor, room: int) -> None:
        self.lengths = lengths
        self._room = room
        self._masks: dict[int | None, Tensor] = {}
        self.keys: list[Tensor] = []
        self.values: list[Tensor] = []
        before = [prefix.length if prefix else 0 for prefix in prefixes]
        self._before = torch.tensor(before, device=lengths.device)
        rows: dict[int, list[int]] = {}
        distinct: dict[int, Prefix] = {}
        for row, prefix in enumerate(prefixes):
            if prefix:
                rows.setdefault(id(prefix), []).append(row)
                distinct[id(prefix)] = prefix
        several = list(distinct.values())
        self._stacks = []
        for alike in by_length([prefix.length for prefix in several]):
            members = [several[number] for number in sorted(alike)]
            self._stacks.append(_Stack(members, [rows[id(member)] for member in members]))

    def fill(self, rows: Tensor, places: Tensor, keys: Sequence[Tensor], values: Sequence[Tensor]) -> None:
        """Copy keys and values, per layer (kv heads, tokens, size), into the beginnings of `rows`.

        `places` (rows, width) says which token stands where; what is beyond a row's length is not read.
        """
        for layer, (key, value) in enumerate(zip(keys, values, strict=True)):
            if layer == len(self.keys):
                shape = (len(self.lengths), key.shape[0], self._room, key.shape[2])
                self.keys.append(key.new_zeros(shape))
                self.values.append(value.new_zeros(shape))
            self.keys[layer][rows, :, : places.shape[1]] = key[:, places].transpose(0, 1)
            self.values[layer][rows, :, : places.shape[1]] = value[:, places].transpose(0, 1)

    def expect(self, dtype: torch.dtype) -> Tensor:
        """Prepare for the next token of each row. Returns their positions in the whole text, shape (rows,)."""
        self._slots, self._width = self.lengths[:, None, None, None], int(self.lengths.max()) + 1
        self._dtype, self._masks = dtype, {}
        self._positions = self.lengths + self._before
        self._last = int(self._positions.max())
        self.lengths = self.lengths + 1
        return self._positions

    def shared(self, layer: Layer, query: Tensor) -> Iterator[Shared]:
        """See Attended; one item for all prefixes of similar length."""
        if layer.window is not None and self._last < layer.window:
            layer = replace(layer, window=None)
        return (stack.attended(layer, query, self._positions) for stack in self._stacks)

    def own(self, layer: Layer, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """See Attended; the tokens are the next ones of the rows."""
        heads, rows, size = query.shape
        index = self._slots.expand(rows, key.shape[0], 1, size)
        keys, values = self.keys[layer.number], self.values[layer.number]
        keys.scatter_(2, index, key.transpose(0, 1)[:, :, None])
        values.scatter_(2, index, value.transpose(0, 1)[:, :, None])
        keys, values, mask = keys[:, :, : self._width], values[:, :, : self._width], self._seen(layer.window)
        out, weight = attend(query.transpose(0, 1)[:, :, None], keys, values, mask, layer.scaling)
        return out.view(rows, heads, size), weight.view(rows, heads)

    def _seen(self, window: int | None) -> Tensor:
        """Return the mask of a layer with such a window, for the next token of each row (rows, 1, 1, width)."""
        if window not in self._masks:
            places = torch.arange(self._width, device=self._slots.device)
            hidden = places > self._slots
            if window is not None:
                hidden |= before_window(self._slots[..., 0], places, window)
            self._masks[window] = hide(hidden, self._dtype)
        return self._masks[window]

    def select(self, rows: Sequence[int]) -> None:
        """Keep the given rows, in the given order."""
        index = torch.tensor(rows, device=self.lengths.device)
        self.lengths, self._before = self.lengths[index], self._before[index]
        for layer in range(len(self.keys)):
            self.keys[layer] = self.keys[layer][index]
            self.values[layer] = self.values[layer][index]
        places = {row: place for place, row in enumerate(rows)}
        self._stacks = [stack for stack in self._stacks if stack.select(places)]


class _Stack:
    """Prefixes of similar length, padded to one length, which all their rows attend to in one go.

    `rows` are the numbers of each prefix's rows. Keys and values, per layer: (prefixes, kv heads, length, size).
    """

    def __init__(self, prefixes: Sequence[Prefix], rows: Sequence[Sequence[int]]) -> None:
        self._rows = rows
        lengths = torch.tensor([prefix.length for prefix in prefixes], device=prefixes[0].keys[0].device)
        width = int(lengths.max())
        self._keys = _stack([prefix.keys for prefix in prefixes], width)
        self._values = _stack([prefix.values for prefix in prefixes], width)
        beyond = torch.arange(width, device=lengths.device) >= lengths[:, None]
        self._mask = hide(beyond, self._keys[0].dtype)[:, None, None] if bool(beyond.any()) else None
        self._find()

    def _find(self) -> None:
        """Find the rows' places among the queries: each prefix has as many as the one with most rows."""
        self._most = max(len(rows) for rows in self._rows)
        lengths = np.array([len(rows) for rows in self._rows])
        real = np.arange(self._most) < lengths[:, None]
        index = np.zeros(real.shape, dtype=np.int64)
        index[real] = np.concatenate([np.asarray(rows, dtype=np.int64) for rows in self._rows])
        device = self._keys[0].device
        self._index = torch.from_numpy(index.reshape(-1)).to(device)
        self._real = None if real.all() else torch.from_numpy(np.flatnonzero(real)).to(device)
        self._tokens = self._index if self._real is None else self._index[self._real]

    def attended(self, layer: Layer, query: Tensor, positions: Tensor) -> Shared:
        """Return the attention of all rows' queries (heads, rows, size), at `positions` (rows,), to their prefixes."""
        heads, _, size = query.shape
        key, value = self._keys[layer.number], self._values[layer.number]
        prefixes, kv_heads = key.shape[:2]
        # Heads that share keys stand in one list of queries, so that keys are not copied.
        shape = (kv_heads, heads // kv_heads, prefixes, self._most)
        folded = query[:, self._index].view(*shape, size).permute(2, 0, 1, 3, 4).reshape(prefixes, kv_heads, -1, size)
        if layer.window is None:
            mask, blind = None if self._mask is None else self._mask.expand(-1, -1, folded.shape[2], -1), None
        else:
            mask, blind = self._seen(positions, layer.window)
            mask = mask.repeat(1, 1, heads // kv_heads, 1)
        out, weight = weighted(folded, key, value, mask, layer.scaling)
        shape = (prefixes, kv_heads, heads // kv_heads, self._most)
        out = out.reshape(*shape, size).permute(0, 3, 1, 2, 4).reshape(-1, heads, size)
        weight = weight.reshape(shape).permute(0, 3, 1, 2).reshape(-1, heads)
        if blind is not None:
            weight = weight.masked_fill(blind, float("-inf"))
        if self._real is not None:
            out, weight = out[self._real], weight[self._real]
        return self._tokens, out, weight

    def _seen(self, positions: Tensor, window: int) -> tuple[Tensor, Tensor]:
        """Return the mask of a layer with such a window (prefixes, 1, rows of each, length), and the rows whose window begins
        after their prefix (prefixes x rows of each, 1): their attention is not to count.
        """
        places = torch.arange(self._keys[0].shape[2], device=positions.device)
        hidden = before_window(positions[self._index].view(-1, self._most), places, window)
        if self._mask is not None:
            hidden |= self._mask[:, 0] != 0
        hidden, blind = without_blind(hidden)
        return hide(hidden, self._keys[0].dtype)[:, None], blind.reshape(-1, 1)

    def select(self, places: dict[int, int]) -> Self | None:
        """Go on with the rows that have a new number in `places`; None where none of them is left."""
        self._rows = [[places[row] for row in rows if row in places] for rows in self._rows]
        going = [number for number, rows in enumerate(self._rows) if rows]
        if not going:
            return None
        if len(going) <= DROP_BELOW * len(self._rows):
            index = torch.tensor(going, device=self._keys[0].device)
            for kept in (self._keys, self._values):
                for layer, tensor in enumerate(kept):
                    kept[layer] = tensor[index]
            self._mask = None if self._mask is None else self._mask[index]
            self._rows = [self._rows[number] for number in going]
        self._find()
        return self


def _stack(several: Sequence[list[Tensor]], width: int) -> list[Tensor]:
    """Stack prefixes' tensors (kv heads, length, size), layer by layer, padded to `width`.

    Each becomes a view of its stack, which frees its own memory before the next layer: there are never two copies of all.
    """
    if len(several) == 1:
        return [tensor[None] for tensor in several[0]]
    stacks = []
    for layer, first in enumerate(several[0]):
        stack = first.new_zeros(len(several), first.shape[0], width, first.shape[2])
        for place, layers in zip(stack, several, strict=True):
            view = place[:, : layers[layer].shape[1]]
            layers[layer] = view.copy_(layers[layer])
        stacks.append(stack)
    return stacks
