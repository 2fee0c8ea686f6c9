"""Planning a batch before it is computed: which sequences share a beginning, and which tokens go through the model together.

Pure code on token ids; no torch. A sequence's tokens are in two places: in the beginning that its group shares, and
along a path in one row, where sequences that agree on further tokens share those too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

MIN_SHARED = 16
"""A common beginning shorter than this many tokens is not worth a pass of its own."""

MIN_GROUP = 512
"""A group with no more tokens than this needs no shared beginning: a single row holds it, and shares all by itself."""

TOKEN_COST = 1000
"""Computing one more token takes about as long as letting a token attend to this many more places."""

MAX_ROW = 1024
"""No row grows longer than this: what its tokens may attend to is a square of this side."""

PADDING = 1.25
"""Rows attend together as long as padding them to one length makes at most this many times their tokens."""

Tokens = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Sequences that share their first `shared` tokens, by their numbers."""

    shared: int
    members: tuple[int, ...]


def group_by_prefix(
    sequences: Sequence[Tokens], limits: Sequence[int], min_shared: int = MIN_SHARED, min_group: int = MIN_GROUP
) -> list[Group]:
    """Split sequences into groups with a common beginning.

    Sequence i may share at most its first `limits[i]` tokens: what is read of it must be left to compute. Sequences
    that agree on their first `min_shared` tokens form a group, which shares everything that its members have in common
    within their limits. Every sequence is in exactly one group; those that share nothing, and those of groups with at
    most `min_group` tokens, are together in the last.
    """
    buckets: dict[Tokens, list[int]] = {}
    for number, sequence in enumerate(sequences):
        shareable = min(limits[number], len(sequence)) >= min_shared
        buckets.setdefault(sequence[:min_shared] if shareable else (), []).append(number)
    alone = buckets.pop((), [])
    groups = []
    for members in buckets.values():
        limit = min(limits[m] for m in members)
        shared = common_length([sequences[m] for m in members], limit)
        if len(members) == 1 or shared + sum(len(sequences[m]) - shared for m in members) <= min_group:
            alone.extend(members)
        else:
            groups.append(Group(shared, tuple(members)))
    if alone:
        groups.append(Group(0, tuple(sorted(alone))))
    return groups


def common_length(sequences: Sequence[Tokens], limit: int) -> int:
    """Return how many first tokens all sequences share, at most `limit`."""
    # The smallest and the largest in dictionary order differ first where any two differ first.
    low, high = min(sequences), max(sequences)
    limit = min(limit, len(low), len(high))
    return next((i for i in range(limit) if low[i] != high[i]), limit)


@dataclass(frozen=True, slots=True)
class Row:
    """Tokens laid out as a trie: one or several sequences, what they share at their beginning laid out once.

    `parents` holds the place in the row of the token before each token, -1 for none. `paths` tells, by the sequences'
    numbers, the places of their tokens.
    """

    tokens: list[int] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    paths: dict[int, Tokens] = field(default_factory=dict)

    @property
    def depths(self) -> list[int]:
        """How many tokens of the row are before each token in its sequence."""
        depths: list[int] = []
        for parent in self.parents:
            depths.append(depths[parent] + 1 if parent >= 0 else 0)
        return depths

    @property
    def is_chain(self) -> bool:
        """Whether each token follows the one before it."""
        return all(parent == place - 1 for place, parent in enumerate(self.parents))

    def add(self, number: int, tokens: Tokens, shared: Tokens) -> Tokens:
        """Add a sequence whose first tokens are at the places `shared` already. Returns its path."""
        path = list(shared)
        for token in tokens[len(shared) :]:
            self.parents.append(path[-1] if path else -1)
            path.append(len(self.tokens))
            self.tokens.append(token)
        self.paths[number] = tuple(path)
        return self.paths[number]


def pack(sequences: Mapping[int, Tokens], max_row: int = MAX_ROW) -> list[Row]:
    """Lay sequences, none of them empty, out in rows of at most `max_row` tokens; one that is longer has its own row.

    A row goes on while that costs less than a new one: every token attends to its whole row (the other branches are
    masked), but a new row computes the tokens again that it shares with the last one. Sequences that share nothing are
    in different rows. In dictionary order a sequence shares its longest beginning with the one before it, so one pass
    finds all sharing.
    """
    rows: list[Row] = []
    previous: Tokens = ()
    path: Tokens = ()
    for number in sorted(sequences, key=lambda number: sequences[number]):
        tokens = sequences[number]
        shared = common_length([tokens, previous], len(tokens))
        if not rows or not _goes_on(len(rows[-1].tokens), shared, len(tokens) - shared, max_row):
            rows.append(Row())
            shared = 0
        path, previous = rows[-1].add(number, tokens, path[:shared]), tokens
    return rows


def _goes_on(width: int, shared: int, new: int, max_row: int) -> bool:
    """Whether a sequence that shares `shared` tokens with a row of `width` goes into it and adds `new`, or starts anew."""
    if shared == 0 or width + new > max_row:
        return False
    return (width + new) ** 2 - width**2 <= (shared + new) ** 2 + TOKEN_COST * shared


def batches(costs: Sequence[int], limit: int) -> list[list[int]]:
    """Split items, in their order, into batches that cost at most `limit` together. One that costs more goes alone."""
    result: list[list[int]] = []
    taken = 0
    for item, cost in enumerate(costs):
        if not result or taken + cost > limit:
            result.append([])
            taken = 0
        result[-1].append(item)
        taken += cost
    return result


def by_length(lengths: Sequence[int], padding: float = PADDING) -> list[list[int]]:
    """Split rows into sets of similar length, longest first: padded to one length, a set has at most `padding` times
    its tokens.
    """
    result: list[list[int]] = []
    width, tokens = 0, 0
    for row in sorted(range(len(lengths)), key=lambda row: (-lengths[row], row)):
        if not result or width * (len(result[-1]) + 1) > padding * (tokens + lengths[row]):
            result.append([])
            width, tokens = lengths[row], 0
        result[-1].append(row)
        tokens += lengths[row]
    return result
