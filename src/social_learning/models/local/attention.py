"""Attention over a shared prefix: many rows read one copy of the keys and values that their prompts have in common.

transformers calls `shared_prefix_attention` in every layer and passes it the `KeyValues` of the batch at hand. Queries of all
rows attend to the prefix as one long list of queries, each row attends to its own tokens, and the two softmaxes are merged
exactly through their log-sum-exps (Juravsky et al., "Hydragen", arXiv 2402.05099).
"""

from dataclasses import dataclass, field
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
    """What the rows of one batch may attend to: a shared prefix, and room for each row's own tokens.

    Rows are padded at the right. `slots` says where in its own room each new token of each row is put, shape (rows, new);
    `visible` which places of its room each new token may attend to, boolean, shape (rows, new, places).
    """

    def __init__(self, prefix: Prefix | None, room: int) -> None:
        self.prefix = prefix
        self.room = room
        self.keys: list[Tensor] = []
        self.values: list[Tensor] = []
        self.slots: Tensor
        self.mask: Tensor

    def expect(self, slots: Tensor, visible: Tensor, dtype: torch.dtype) -> None:
        """Prepare for a forward pass of new tokens."""
        self.slots = slots
        mask = torch.zeros(visible.shape, dtype=dtype, device=visible.device)
        self.mask = mask.masked_fill_(~visible, float("-inf"))

    def put(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Store new keys and values (rows, kv heads, new, head size); return the layer's whole room, up to what is read."""
        rows, heads, new, size = key.shape
        if layer == len(self.keys):
            shape = (rows, heads, self.room, size)
            self.keys.append(key.new_zeros(shape))
            self.values.append(value.new_zeros(shape))
        index = self.slots[:, None, :, None].expand(rows, heads, new, size)
        self.keys[layer].scatter_(2, index, key)
        self.values[layer].scatter_(2, index, value)
        places = self.mask.shape[2]
        return self.keys[layer][:, :, :places], self.values[layer][:, :, :places]

    def select(self, rows: Tensor) -> None:
        """Keep the given rows, in the given order; a row may come several times."""
        self.keys = [key.index_select(0, rows) for key in self.keys]
        self.values = [value.index_select(0, rows) for value in self.values]


class PrefixBuilder:
    """Stands in for KeyValues while a prefix is computed: plain causal attention, keys and values are kept."""

    def __init__(self, length: int) -> None:
        self.made = Prefix(length)


def shared_prefix_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    dropout: float = 0.0,
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
    if state.prefix is not None:
        shared, shared_weight = _attend_prefix(query, state.prefix.keys[layer], state.prefix.values[layer], scaling)
        ratio = torch.sigmoid(weight - shared_weight)[..., None]
        out = torch.lerp(shared.float(), out.float(), ratio).to(query.dtype)
    return out.transpose(1, 2), None


def _attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor, scaling: float) -> tuple[Tensor, Tensor]:
    """Masked attention of each row to its own tokens; grouped heads are folded into the queries, so keys are not copied."""
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
    """Return attention output (rows, heads, queries, size) and the float32 log-sum-exp of its scores (rows, heads, queries)."""
    if query.device.type == "cpu":
        flash = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
        out, weight = flash(query, key, value, attn_mask=mask, scale=scaling)
        return out, weight
    scores = (query @ key.transpose(-1, -2)).float() * scaling
    if mask is not None:
        scores = scores + mask
    weight = torch.logsumexp(scores, dim=-1)
    return torch.exp(scores - weight[..., None]).to(value.dtype) @ value, weight
