"""Counting: how many floating-point operations a model must do for given texts, and how many of their tokens differ.

A multiplication and an addition are two operations. Only matrix products are counted: norms, rotations, softmax and
sampling are not, although they take time. So a percentage of peak that is made of these numbers is on the low side.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of a model of the Llama family."""

    layers: int
    hidden: int
    heads: int
    key_value_heads: int
    head_size: int
    inner: int
    vocabulary: int

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Self:
        """Read the sizes from a model's config.json."""
        heads = config["num_attention_heads"]
        return cls(
            layers=config["num_hidden_layers"],
            hidden=config["hidden_size"],
            heads=heads,
            key_value_heads=config.get("num_key_value_heads") or heads,
            head_size=config.get("head_dim") or config["hidden_size"] // heads,
            inner=config["intermediate_size"],
            vocabulary=config["vocab_size"],
        )

    @property
    def matrix_parameters(self) -> int:
        """Parameters of all layers' matrices: queries, keys, values, output; gate, up, down. No embeddings, no norms."""
        attention = (
            2 * self.hidden * self.heads * self.head_size + 2 * self.hidden * self.key_value_heads * self.head_size
        )
        return self.layers * (attention + 3 * self.hidden * self.inner)

    def products(self, tokens: int) -> int:
        """Operations of the layers' matrix products for `tokens` tokens: 2 for each parameter and token."""
        return 2 * self.matrix_parameters * tokens

    def attention(self, attended: int) -> int:
        """Operations of attention: 2 for the scores and 2 for the weighted sum, per head, head size, and position attended.

        `attended` is the sum, over all tokens, of the positions that the token attends to, itself included.
        """
        return 4 * self.layers * self.heads * self.head_size * attended

    def head(self, read: int) -> int:
        """Operations of the logits over the whole vocabulary, at `read` positions."""
        return 2 * self.hidden * self.vocabulary * read


@dataclass(frozen=True, slots=True)
class Distinct:
    """The distinct tokens of some sequences, and the positions that they attend to, added up."""

    tokens: int
    attended: int


def distinct(sequences: Sequence[tuple[int, ...]]) -> Distinct:
    """Count the nodes of the sequences' token trie: what must be computed if nothing is computed twice.

    In dictionary order, a sequence shares its longest beginning with the one before it.
    """
    tokens = attended = 0
    previous: tuple[int, ...] = ()
    for sequence in sorted(sequences):
        shared = next(
            (i for i, (a, b) in enumerate(zip(sequence, previous, strict=False)) if a != b),
            min(len(sequence), len(previous)),
        )
        tokens += len(sequence) - shared
        attended += sum(range(shared + 1, len(sequence) + 1))
        previous = sequence
    return Distinct(tokens, attended)
