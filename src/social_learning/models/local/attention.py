"""Attention over shared prefixes: many rows read one copy of the keys and values that their prompts have in common.

All tokens of a forward pass stand in one line, without padding. transformers calls `shared_prefix_attention` in every
layer and passes it what the tokens attend to: `Packing` when rows are computed, `Cache` (decoding.py) when they are decoded. Either
computes each token's attention to its own row; all queries of a prefix attend to it as one long list, and the two
softmaxes are merged exactly through their log-sum-exps (Juravsky et al., "Hydragen", arXiv 2402.05099).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from social_learning.models.local.masks import ancestors, before_window, hide, without_blind
from social_learning.models.local.plan import Row, by_length

IMPLEMENTATION = "social_learning_shared_prefix"

CAUSAL_FROM = 512
"""From this length on, rows without branches skip what they do not see. Below, a mask is faster: heads that share keys then
stand in one list of queries.
"""

BLOCK = 2**26
"""How many attention scores (float32) are held at once where they are written out."""


@dataclass(slots=True)
class Prefix:
    """Keys and values of a common beginning: per layer two tensors (kv heads, length, head size)."""

    length: int
    keys: list[Tensor] = field(default_factory=list)
    values: list[Tensor] = field(default_factory=list)


Shared = tuple[slice | Tensor, Tensor, Tensor]
"""Attention to prefixes: which tokens of the line it is for, their outputs (tokens, heads, size), and the log-sum-exps of their
scores (tokens, heads), float32.
"""


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer that attends: its number, what scores are multiplied with, and how many tokens its window has, if it has
    one: a token sees itself and those before it.
    """

    number: int
    scaling: float
    window: int | None


class Attended(Protocol):
    """What the tokens of one forward pass attend to."""

    def shared(self, layer: Layer, query: Tensor) -> Iterator[Shared]:
        """Yield the attention of all tokens that continue prefixes. `query` is (heads, tokens, size)."""

    def own(self, layer: Layer, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Return attention of each token to its own row (tokens, heads, size), and the log-sum-exp of its scores
        (tokens, heads), float32. `query` is (heads, tokens, size), `key` and `value` are (kv heads, tokens, size).
        """


@dataclass(frozen=True, slots=True)
class _Set:
    """Rows of similar length that attend together, padded at the right.

    `index` (rows x width) holds the tokens' places in the line, any place for padding; `real` tells which of them are
    tokens; `mask` (rows, 1, width, width) is 0 where a token sees another and -inf elsewhere, None for long rows without branches.
    `longest` is the number of tokens on the longest path, `windowed` holds masks of layers with shorter windows, by these.
    """

    rows: int
    index: Tensor
    real: Tensor
    mask: Tensor | None
    longest: int
    dtype: torch.dtype
    windowed: dict[int, Tensor] = field(default_factory=dict)

    def seen(self, window: int | None, positions: Tensor) -> Tensor | None:
        """Return the mask of a layer with such a window."""
        if window is None or window >= self.longest:
            return self.mask
        if window not in self.windowed:
            here = positions[self.index].view(self.rows, 1, -1)
            hidden = before_window(here, here, window)
            later = torch.ones_like(hidden).triu(1) if self.mask is None else self.mask != 0
            self.windowed[window] = hide(hidden | later, self.dtype)
        return self.windowed[window]


class Packing:
    """Rows laid out one after the other: each token attends to its prefix and, in its row, to itself and its ancestors.

    `positions` (tokens,) are the tokens' positions in the whole text.
    """

    def __init__(
        self,
        rows: Sequence[Row],
        prefixes: Sequence[Prefix | None],
        keep: bool,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        lengths = [len(row.tokens) for row in rows]
        depths = [row.depths for row in rows]
        before = [prefix.length if prefix else 0 for prefix in prefixes]
        positions = [start + depth for start, row in zip(before, depths, strict=True) for depth in row]
        self.positions = torch.tensor(positions, device=device)
        self._spans = _spans(prefixes, lengths)
        self.keys: list[Tensor] = []
        self.values: list[Tensor] = []
        self._keep = keep
        starts = np.concatenate([[0], np.cumsum(lengths)])
        chains = [row.is_chain for row in rows]
        self._sets: list[_Set] = []
        for chain in (True, False):
            alike = [number for number in range(len(rows)) if chains[number] == chain]
            for members in by_length([lengths[number] for number in alike]):
                numbers = [alike[member] for member in members]
                width = lengths[numbers[0]]
                real = np.arange(width) < np.array([[lengths[number]] for number in numbers])
                index = np.where(real, starts[numbers][:, None] + np.arange(width), 0)
                causal = chain and width >= CAUSAL_FROM
                mask = None if causal else hide(~ancestors([rows[n] for n in numbers], width).to(device), dtype)
                flat = [torch.from_numpy(array.reshape(-1)).to(device) for array in (index, real)]
                longest = 1 + max(max(depths[number]) for number in numbers)
                self._sets.append(_Set(len(numbers), flat[0], flat[1], mask, longest, dtype))

    def shared(self, layer: Layer, query: Tensor) -> Iterator[Shared]:
        """See Attended; one item for each prefix."""
        for prefix, span in self._spans:
            key, value = prefix.keys[layer.number], prefix.values[layer.number]
            out, weight = _attend_prefix(
                query[:, span], key, value, self._before_window(layer, prefix, span), layer.scaling
            )
            yield span, out, weight

    def _before_window(self, layer: Layer, prefix: Prefix, span: slice) -> Tensor | None:
        """Return which of a prefix's tokens the window of which of its continuations' tokens leaves out, if any."""
        positions = self.positions[span]
        if layer.window is None or int(positions.max()) < layer.window:
            return None
        return before_window(positions, torch.arange(prefix.length, device=positions.device), layer.window)

    def own(self, layer: Layer, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """See Attended. Where asked to, keeps keys and values of all tokens, per layer, in `keys` and `values`."""
        if self._keep:
            self.keys.append(key)
            self.values.append(value)
        heads, tokens, size = query.shape
        out = query.new_empty(tokens, heads, size)
        weight = torch.empty(tokens, heads, device=query.device)
        for alike in self._sets:
            mask = alike.seen(layer.window, self.positions)
            q, k, v = (_rows(tensor, alike) for tensor in (query, key, value))
            some, log_sum = attend(q, k, v, mask, layer.scaling, causal=mask is None)
            places = alike.index[alike.real]
            out[places] = some.transpose(1, 2).reshape(-1, heads, size)[alike.real]
            weight[places] = log_sum.transpose(1, 2).reshape(-1, heads)[alike.real]
        return out, weight


def _spans(prefixes: Sequence[Prefix | None], lengths: Sequence[int]) -> list[tuple[Prefix, slice]]:
    """Return which tokens continue which prefix, for rows of the given lengths, one prefix a row; neighbours with one
    prefix are one span.
    """
    spans: list[tuple[Prefix, slice]] = []
    end = 0
    for _, rows in groupby(range(len(lengths)), key=lambda row: id(prefixes[row])):
        numbers = list(rows)
        first, end = end, end + sum(lengths[row] for row in numbers)
        if prefix := prefixes[numbers[0]]:
            spans.append((prefix, slice(first, end)))
    return spans


def _rows(tensor: Tensor, alike: _Set) -> Tensor:
    """Gather (heads, tokens, size) into (rows, heads, width, size)."""
    heads, _, size = tensor.shape
    gathered = tensor.transpose(0, 1).index_select(0, alike.index)
    return gathered.view(alike.rows, -1, heads, size).transpose(1, 2)


def shared_prefix_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,  # noqa: ARG001  # transformers passes it; what is seen comes with `attended`
    scaling: float,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """The attention function that transformers calls. Query (1, heads, tokens, size); key and value with kv heads."""
    attended: Attended = kwargs["attended"]
    number: int = module.layer_idx  # type: ignore[assignment]  # nn.Module types every attribute as Tensor or Module
    layer = Layer(number, scaling, kwargs.get("sliding_window"))
    out, weight = attended.own(layer, query[0], key[0], value[0])
    for tokens, shared, log_sum in attended.shared(layer, query[0]):
        share = torch.sigmoid(weight[tokens] - log_sum)[..., None]
        out[tokens] = torch.lerp(shared.float(), out[tokens].float(), share).to(out.dtype)
    return out[None], None


def _attend_prefix(
    query: Tensor, key: Tensor, value: Tensor, hidden: Tensor | None, scaling: float
) -> tuple[Tensor, Tensor]:
    """Attention of queries (heads, tokens, size) to one prefix, of which they do not see what is `hidden` (tokens, length).
    Returns (tokens, heads, size) and (tokens, heads).
    """
    heads, tokens, size = query.shape
    # Heads that share keys stand in one list of queries, so that keys are not copied.
    folded = query.reshape(1, key.shape[0], -1, size)
    mask, blind = None, None
    if hidden is not None:
        hidden, blind = without_blind(hidden)
        mask = hide(hidden, query.dtype).repeat(heads // key.shape[0], 1)[None, None]
    out, weight = weighted(folded, key[None], value[None], mask, scaling)
    out, weight = out.reshape(heads, tokens, size).transpose(0, 1), weight.reshape(heads, tokens).transpose(0, 1)
    return out, weight if blind is None else weight.masked_fill(blind[:, None], float("-inf"))


def attend(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scaling: float, causal: bool = False
) -> tuple[Tensor, Tensor]:
    """Attention of rows to themselves. Query (rows, heads, new, size), key and value (rows, kv heads, places, size),
    mask (rows, 1, new, places). Returns (rows, heads, new, size) and (rows, heads, new).
    """
    rows, heads, new, size = query.shape
    groups = heads // key.shape[1]
    if causal:
        key, value = key.repeat_interleave(groups, dim=1), value.repeat_interleave(groups, dim=1)
        return weighted(query, key, value, None, scaling, causal=True)
    folded = query.reshape(rows, key.shape[1], groups * new, size)
    mask = mask.repeat(1, 1, groups, 1) if mask is not None and groups > 1 else mask
    out, weight = weighted(folded, key, value, mask, scaling)
    return out.reshape(rows, heads, new, size), weight.reshape(rows, heads, new)


def weighted(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scaling: float, causal: bool = False
) -> tuple[Tensor, Tensor]:
    """Return attention output (rows, heads, queries, size) and the float32 log-sum-exp of its scores (rows, heads,
    queries).
    """
    if query.device.type == "cpu":
        flash = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
        out, weight = flash(query, key, value, is_causal=causal, attn_mask=mask, scale=scaling)
        return out, weight
    return explicit_attention(query, key, value, mask, scaling, causal)


def explicit_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    scaling: float,
    causal: bool = False,
    block: int = BLOCK,
) -> tuple[Tensor, Tensor]:
    """Attention with a float32 softmax written out, for devices without a kernel that also returns log-sum-exps.

    As `weighted`; at most `block` scores are held at once, or those of one query per row and head.
    """
    rows, heads, queries, _ = query.shape
    step = max(block // (rows * heads * key.shape[2]), 1)
    outs, weights = [], []
    for first in range(0, queries, step):
        here = slice(first, first + step)
        scores = (query[:, :, here] @ key.transpose(-1, -2)).float() * scaling
        if causal:
            scores = scores + scores.new_full(scores.shape[-2:], float("-inf")).triu(1 + first)
        if mask is not None:
            scores = scores + mask[:, :, here]
        weights.append(torch.logsumexp(scores, dim=-1))
        outs.append(torch.exp(scores - weights[-1][..., None]).to(value.dtype) @ value)
    return torch.cat(outs, dim=2), torch.cat(weights, dim=2)
