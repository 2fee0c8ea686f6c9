"""Attention over a shared prefix: many rows read one copy of the keys and values that their prompts have in common.

transformers calls `shared_prefix_attention` in every layer and passes it the `KeyValues` of the batch at hand. Queries
of all rows attend to the prefix as one long list of queries, each row attends to its own tokens, and the two softmaxes
are merged exactly through their log-sum-exps (Juravsky et al., "Hydragen", arXiv 2402.05099).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

IMPLEMENTATION = "social_learning_shared_prefix"


@dataclass(slots=True)
class Prefix:
    """Keys and values of a common prompt start: per layer two tensors (1, kv heads, length, head size)."""

    length: int
    keys: list[Tensor] = field(default_factory=list)
    values: list[Tensor] = field(default_factory=list)


class KeyValues:
    """What the rows of one batch may attend to: shared prefixes, and room for each row's own tokens.

    `owners` names, for each row, its place in `prefixes`; rows of one prefix stand together. Rows are padded at the
    right.
    """

    def __init__(self, prefixes: Sequence[Prefix | None], owners: Sequence[int], room: int) -> None:
        self._prefixes = prefixes
        self._owners = list(owners)
        self._room = room
        self._keys: list[Tensor] = []
        self._values: list[Tensor] = []
        self._slots: Tensor
        self.mask: Tensor

    def offsets(self) -> list[int]:
        """Return how many tokens stand before each row's own first one."""
        lengths = [prefix.length if prefix else 0 for prefix in self._prefixes]
        return [lengths[owner] for owner in self._owners]

    def runs(self) -> Iterator[tuple[Prefix | None, slice]]:
        """Yield each prefix with the rows that continue it."""
        first = 0
        for owner, rows in groupby(self._owners):
            last = first + sum(1 for _ in rows)
            yield self._prefixes[owner], slice(first, last)
            first = last

    def expect(self, slots: Tensor, visible: Tensor, dtype: torch.dtype) -> None:
        """Prepare for a forward pass of new tokens.

        `slots` says where in its own room each new token of each row is put, shape (rows, new); `visible` which places
        of its room each new token may attend to, boolean, shape (rows, new, places).
        """
        self._slots = slots
        mask = torch.zeros(visible.shape, dtype=dtype, device=visible.device)
        self.mask = mask.masked_fill_(~visible, float("-inf"))

    def put(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Store new keys and values (rows, kv heads, new, head size); return the layer's whole room, up to what is
        read.
        """
        rows, heads, new, size = key.shape
        if layer == len(self._keys):
            shape = (rows, heads, self._room, size)
            self._keys.append(key.new_zeros(shape))
            self._values.append(value.new_zeros(shape))
        index = self._slots[:, None, :, None].expand(rows, heads, new, size)
        self._keys[layer].scatter_(2, index, key)
        self._values[layer].scatter_(2, index, value)
        places = self.mask.shape[2]
        return self._keys[layer][:, :, :places], self._values[layer][:, :, :places]

    def select(self, rows: Sequence[int]) -> None:
        """Keep the given rows, in the given order, which keeps rows of one prefix together; a row may come several
        times.
        """
        self._owners = [self._owners[row] for row in rows]
        index = torch.tensor(rows, device=self._slots.device)
        self._keys = [key.index_select(0, index) for key in self._keys]
        self._values = [value.index_select(0, index) for value in self._values]


class PrefixBuilder:
    """Stands in for KeyValues while a prefix is computed: plain causal attention, keys and values are kept."""

    def __init__(self, length: int) -> None:
        self.made = Prefix(length)


def shared_prefix_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,  # noqa: ARG001  # transformers passes it; visibility comes with the KeyValues
    scaling: float,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """The attention function that transformers calls. Query (rows, heads, new, size); key and value with kv heads."""
    state = kwargs["key_values"]
    if isinstance(state, PrefixBuilder):
        state.made.keys.append(key)
        state.made.values.append(value)
        grouped = query.shape[1] != key.shape[1]
        out = functional.scaled_dot_product_attention(
            query, key, value, is_causal=True, scale=scaling, enable_gqa=grouped
        )
        return out.transpose(1, 2), None
    layer: int = module.layer_idx  # type: ignore[assignment]  # nn.Module types every attribute as Tensor or Module
    own_keys, own_values = state.put(layer, key, value)
    out, weight = _attend(query, own_keys, own_values, state.mask, scaling)
    for prefix, rows in state.runs():
        if prefix is not None:
            shared, shared_weight = _attend_prefix(query[rows], prefix.keys[layer], prefix.values[layer], scaling)
            own_share = torch.sigmoid(weight[rows] - shared_weight)[..., None]
            out[rows] = torch.lerp(shared.float(), out[rows].float(), own_share).to(query.dtype)
    return out.transpose(1, 2), None


def _attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor, scaling: float) -> tuple[Tensor, Tensor]:
    """Masked attention of each row to its own tokens; grouped heads are folded into the queries, so keys are not
    copied.
    """
    rows, heads, new, size = query.shape
    groups = heads // key.shape[1]
    folded = query.reshape(rows, key.shape[1], groups * new, size)
    if groups > 1:
        mask = mask.repeat(1, groups, 1)
    out, weight = attention_with_weight(folded, key, value, mask[:, None], scaling)
    return out.reshape(rows, heads, new, size), weight.reshape(rows, heads, new)


def _attend_prefix(query: Tensor, key: Tensor, value: Tensor, scaling: float) -> tuple[Tensor, Tensor]:
    """Attention of every query of every row to one shared prefix, as a single row of many queries."""
    rows, heads, new, size = query.shape
    kv_heads = key.shape[1]
    folded = query.transpose(0, 1).reshape(1, kv_heads, -1, size)
    out, weight = attention_with_weight(folded, key, value, None, scaling)
    out = out.reshape(heads, rows, new, size).transpose(0, 1)
    return out, weight.reshape(heads, rows, new).transpose(0, 1)


def attention_with_weight(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scaling: float
) -> tuple[Tensor, Tensor]:
    """Return attention output (rows, heads, queries, size) and the float32 log-sum-exp of its scores (rows, heads,
    queries).
    """
    if query.device.type == "cpu":
        flash = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
        out, weight = flash(query, key, value, attn_mask=mask, scale=scaling)
        return out, weight
    scores = (query @ key.transpose(-1, -2)).float() * scaling
    if mask is not None:
        scores = scores + mask
    weight = torch.logsumexp(scores, dim=-1)
    return torch.exp(scores - weight[..., None]).to(value.dtype) @ value, weight
