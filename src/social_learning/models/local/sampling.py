"""Choosing the next token: greedy, or one uniform number per row and step turned into a token of the top-p set."""

import numpy as np
import torch
from torch import Tensor

from social_learning.models.base import Sampling
from social_learning.seeds import generator

CANDIDATES = 512
"""Top-p sets are looked for among this many most likely tokens first."""

BLOCK = 16
"""How many rows of logits are reduced at once on a processor: about as many as fit its cache."""


def uniforms(seed: int, sample: int, tokens: int) -> np.ndarray:
    """Return the uniform numbers in [0, 1) of one sample, one per token; they depend on seed and sample number alone."""
    return generator(seed, "sample", sample).random(tokens)


def totals(logits: Tensor, temperature: float = 1) -> tuple[Tensor, Tensor]:
    """Return each row's largest logit, and the log-sum-exp of its logits divided by `temperature`; both (rows,), float32.

    On a processor a few rows at a time: what is written between two steps stays in its cache.
    """
    step = BLOCK if logits.device.type == "cpu" else max(len(logits), 1)
    most = torch.empty(len(logits), device=logits.device)
    total = torch.empty_like(most)
    room = torch.empty(min(step, len(logits)), logits.shape[1], device=logits.device)
    for first in range(0, len(logits), step):
        here = slice(first, first + step)
        block = room[: len(logits[here])].copy_(logits[here])
        most[here] = block.amax(dim=-1)
        block.sub_(most[here, None]).div_(temperature).exp_()
        total[here] = block.sum(dim=-1).log_().add_(most[here], alpha=1 / temperature)
    return most, total


def choose(logits: Tensor, sampling: Sampling, uniform: Tensor) -> tuple[Tensor, Tensor]:
    """Choose one token per row.

    `logits` (rows, vocabulary), `uniform` (rows,) in [0, 1). Returns token ids (rows,) and their natural
    log-probabilities (rows,) under the model itself: temperature 1, whole vocabulary, float32.
    """
    if sampling.temperature == 0:
        tokens = logits.argmax(dim=-1)
    elif sampling.top_p == 1:
        tokens = _pick(_probabilities(logits, sampling.temperature), uniform)
    else:
        tokens = _top_p(logits, sampling.temperature, sampling.top_p, uniform)
    return tokens, logits.gather(1, tokens[:, None]).squeeze(1).float() - totals(logits)[1]


def _probabilities(logits: Tensor, temperature: float) -> Tensor:
    return torch.softmax(logits.float() / temperature, dim=-1)


def _top_p(logits: Tensor, temperature: float, top_p: float, uniform: Tensor) -> Tensor:
    """Draw from the smallest set of most likely tokens whose probabilities sum to at least `top_p`."""
    best, ids = logits.topk(min(CANDIDATES, logits.shape[1]), dim=-1)
    total = totals(logits, temperature)[1]
    likeliest = torch.exp(best.float() / temperature - total[:, None])
    reached = likeliest.cumsum(dim=-1)
    # A token is in the set where the tokens before it do not reach `top_p`.
    tokens = ids.gather(1, _pick(likeliest * (reached - likeliest < top_p), uniform)[:, None]).squeeze(1)
    short = reached[:, -1] < top_p
    if ids.shape[1] < logits.shape[1] and bool(short.any()):
        rows = _probabilities(logits[short], temperature)
        tokens[short] = _pick(rows * (rows >= _threshold(rows, top_p)), uniform[short])
    return tokens


def _pick(weights: Tensor, uniform: Tensor) -> Tensor:
    """Invert the cumulative distribution of each row; weights need not sum to 1."""
    cumulative = weights.cumsum(dim=-1, dtype=torch.float64)
    total = cumulative[:, -1:].contiguous()
    # Rounding must not reach the end, behind the last token that has a weight.
    reach = torch.minimum(uniform[:, None].to(total) * total, torch.nextafter(total, torch.zeros_like(total)))
    return torch.searchsorted(cumulative, reach, right=True).squeeze(1)


def _threshold(probabilities: Tensor, top_p: float) -> Tensor:
    """Return the least probability in the set, shape (rows, 1), without sorting: tokens equally likely to it are all in.

    Radix selection: positive float32 numbers are ordered as their bits are. Sums of probability by the first 11 bits
    tell within which of these the sum from the top reaches `top_p`; then the next ten bits, and the last ten.
    """
    bits = probabilities.contiguous().view(torch.int32).long()
    weights = probabilities.double()
    goal = torch.full_like(weights[:, :1], top_p)
    found = torch.zeros_like(bits[:, :1])
    for shift, size in ((20, 1 << 11), (10, 1 << 10), (0, 1 << 10)):
        keys = bits >> shift & size - 1
        sums = torch.zeros(len(bits), size, dtype=torch.float64, device=bits.device).scatter_add_(1, keys, weights)
        from_top = sums.flip(1).cumsum(dim=1)
        place = (from_top < goal).sum(dim=1, keepdim=True).clamp(max=size - 1)
        key = size - 1 - place
        goal = goal - (from_top.gather(1, place) - sums.gather(1, key))
        found = found | key << shift
        weights = weights * (keys == key)
    return found.int().view(torch.float32)
