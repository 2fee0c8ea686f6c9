"""Choosing the next token: greedy, or one uniform number per row and step turned into a token of the top-p set."""

import numpy as np
import torch
from torch import Tensor

from social_learning.models.base import Sampling
from social_learning.seeds import generator

CANDIDATES = 512
"""Top-p sets are looked for among this many most likely tokens first; only rows that need more are sorted whole."""


def uniforms(seed: int, sample: int, tokens: int) -> np.ndarray:
    """Return the uniform numbers in [0, 1) of one sample, one per token; they depend on seed and sample number alone."""
    return generator(seed, "sample", sample).random(tokens)


def choose(logits: Tensor, sampling: Sampling, uniform: Tensor) -> tuple[Tensor, Tensor]:
    """Choose one token per row.

    `logits` (rows, vocabulary), `uniform` (rows,) in [0, 1). Returns token ids (rows,) and their natural
    log-probabilities (rows,) under the model itself: temperature 1, whole vocabulary, float32.
    """
    logits = logits.float()
    normaliser = torch.logsumexp(logits, dim=-1)
    if sampling.temperature == 0:
        tokens = logits.argmax(dim=-1)
    else:
        tokens = _inverse_cdf(logits / sampling.temperature, sampling.top_p, uniform)
    chosen = logits.gather(1, tokens[:, None]).squeeze(1)
    return tokens, chosen - normaliser


def _inverse_cdf(scaled: Tensor, top_p: float, uniform: Tensor) -> Tensor:
    """Draw from the smallest set of most likely tokens whose probabilities sum to at least `top_p`."""
    normaliser = torch.logsumexp(scaled, dim=-1, keepdim=True)
    best, ids = scaled.topk(min(CANDIDATES, scaled.shape[1]), dim=-1)
    cumulative = torch.exp(best - normaliser).cumsum(dim=-1)
    tokens = _pick(cumulative, ids, top_p, uniform)
    short = cumulative[:, -1] < top_p
    if scaled.shape[1] > CANDIDATES and bool(short.any()):
        rows = short.nonzero().squeeze(1)
        best, ids = scaled[rows].sort(dim=-1, descending=True, stable=True)
        cumulative = torch.exp(best - normaliser[rows]).cumsum(dim=-1)
        tokens[rows] = _pick(cumulative, ids, top_p, uniform[rows])
    return tokens


def _pick(cumulative: Tensor, ids: Tensor, top_p: float, uniform: Tensor) -> Tensor:
    """Invert the cumulative distribution, cut after the first place that reaches `top_p`."""
    last = (cumulative < top_p).sum(dim=-1, keepdim=True).clamp(max=cumulative.shape[1] - 1)
    mass = cumulative.gather(1, last)
    place = torch.searchsorted(cumulative, uniform[:, None].to(cumulative) * mass, right=True)
    return ids.gather(1, torch.minimum(place, last)).squeeze(1)
