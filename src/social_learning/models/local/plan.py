"""Planning a batch before it is computed: which sequences share a beginning, and which go through the model together.

Pure code on token ids; no torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

MIN_SHARED = 16
"""A common beginning shorter than this many tokens is not worth a pass of its own."""

Tokens = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Sequences that share their first `shared` tokens, by their numbers; each has at least one token after them."""

    shared: int
    members: tuple[int, ...]


def group_by_prefix(sequences: Sequence[Tokens], limits: Sequence[int], min_shared: int = MIN_SHARED) -> list[Group]:
    """Split sequences into groups with a common beginning.

    Sequence i may share at most its first `limits[i]` tokens: what is read of it must be left to compute. Sequences
    that agree on their first `min_shared` tokens form a group, which shares everything that its members have in common
    within their limits. Every sequence is in exactly one group; those that share nothing are together in the last.
    """
    buckets: dict[Tokens, list[int]] = {}
    for number, sequence in enumerate(sequences):
        shareable = min(limits[number], len(sequence)) >= min_shared
        buckets.setdefault(sequence[:min_shared] if shareable else (), []).append(number)
    alone = buckets.pop((), [])
    groups = []
    for members in buckets.values():
        if len(members) == 1:
            alone.extend(members)
            continue
        limit = min(limits[m] for m in members)
        groups.append(Group(common_length([sequences[m] for m in members], limit), tuple(members)))
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
class Packed:
    """Sequences laid out as token tries, several in a row, so that no common beginning is computed twice within a row.

    `rows` holds each row's tokens; `parents` the place in the row of the token before each token, -1 where it starts a
    sequence. `where` tells for each sequence its row (-1 for an empty one) and the places of its tokens in that row.
    """

    rows: list[list[int]]
    parents: list[list[int]]
    where: list[tuple[int, tuple[int, ...]]]


def pack(sequences: Sequence[Tokens], row_tokens: int) -> Packed:
    """Lay sequences out in rows of at most `row_tokens` tokens; one that is longer has a row of its own.

    In dictionary order a sequence shares its longest beginning with the one before it, so one pass finds all sharing.
    """
    packed = Packed([], [], [(-1, ())] * len(sequences))
    previous: Tokens = ()
    path: tuple[int, ...] = ()
    for number in sorted(range(len(sequences)), key=lambda n: sequences[n]):
        tokens = sequences[number]
        if not tokens:
            continue
        shared = common_length([tokens, previous], len(tokens))
        if not packed.rows or len(packed.rows[-1]) + len(tokens) - shared > row_tokens:
            packed.rows.append([])
            packed.parents.append([])
            shared, path = 0, ()
        path = path[:shared]
        for token in tokens[shared:]:
            packed.parents[-1].append(path[-1] if path else -1)
            path = (*path, len(packed.rows[-1]))
            packed.rows[-1].append(token)
        packed.where[number] = (len(packed.rows) - 1, path)
        previous = tokens
    return packed


def batches(lengths: Sequence[int], max_tokens: int) -> list[list[int]]:
    """Split rows into batches of similar length that hold at most `max_tokens` tokens, padding included.

    Longest rows come first, so that what does not fit in memory shows at once. A row longer than the limit goes alone.
    """
    order = sorted(range(len(lengths)), key=lambda row: (-lengths[row], row))
    result: list[list[int]] = []
    width = 0
    for row in order:
        if not result or width * (len(result[-1]) + 1) > max_tokens:
            result.append([])
            width = max(lengths[row], 1)
        result[-1].append(row)
    return result
