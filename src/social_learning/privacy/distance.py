"""Distance: how far a text is from the closest passage of another, with insertions and deletions only.

Follows appendix D of Mohtashami et al., "Social Learning" (arXiv 2312.11441).
"""

from functools import lru_cache

import numpy as np


def indel_to_substring(text: str, prompt: str) -> int:
    """Return the least number of insertions and deletions that turn `text` into some substring of `prompt`.

    0 where `text` occurs in `prompt`; at most `len(text)`, the distance to the empty substring. The table of Sellers
    (1980), without substitutions, row by row; a whole row is a few operations on long integers. Time grows with
    `len(text) * len(prompt) / 30`.
    """
    if not text or text in prompt:
        return 0
    places = _places(prompt)
    every = (1 << len(prompt)) - 1
    # A row of the table as the differences between neighbours along the prompt, one bit each: +1 (up), -1 (down), or
    # neither. Row 0 is all zero: a passage may begin anywhere.
    up = down = 0
    for letter in text:
        up, down = _next_row(places.get(letter, 0), up, down, every)
    return len(text) + _lowest(up, down, len(prompt))


def normalized_distance(text: str, prompt: str) -> float:
    """Return the normalised distance of `text` from `prompt`, in [0, 1]; 0 for a verbatim copy, and for an empty text.

    The minimum over all substrings of `prompt` of the insertions and deletions needed, divided by the length of `text`
    (arXiv 2312.11441, appendix D).
    """
    return indel_to_substring(text, prompt) / len(text) if text else 0.0


def _next_row(match: int, up: int, down: int, every: int) -> tuple[int, int]:
    """Return the next row's differences; `match` has the places of the text's next letter.

    After Myers (1999) and Hyyro, Pinzon and Shinohara (2005), turned by 90 degrees, so that the long side is in the
    bits. A cell's difference to the cell above it is +1 before the first place. It becomes -1 at a match where the row
    above goes up, goes on unchanged through the places without a match where that row goes up, and is 0 where a -1
    meets a level place or a match does; everything else makes it +1 again. Going on through a run of places is what a
    carry does in an addition.
    """
    through = up & ~match
    fall = up & match
    below = ((up + fall) ^ through) & every  # the difference that comes into each place is -1
    level = every & ~(up | down)
    flat = level & (match | below)
    equal = (((through | flat) + flat) ^ through) & every  # ... or 0
    above = every & ~(below | equal)  # ... or +1
    return below | (~match & (up | (equal & level))), above & (match | down)


@lru_cache(maxsize=64)
def _places(prompt: str) -> dict[str, int]:
    """For each letter of a prompt, the places where it stands, as bits."""
    text = np.frombuffer(prompt.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    return {
        chr(letter): int.from_bytes(np.packbits(text == letter, bitorder="little").tobytes(), "little")
        for letter in np.unique(text).tolist()
    }


def _lowest(up: int, down: int, length: int) -> int:
    """The lowest point of a row, relative to its beginning (which counts, too)."""
    size = (length + 7) // 8
    rises, falls = (
        np.unpackbits(np.frombuffer(bits.to_bytes(size, "little"), dtype=np.uint8), bitorder="little")
        for bits in (up, down)
    )
    return min(0, int(np.cumsum(rises.astype(np.int8) - falls.astype(np.int8), dtype=np.int32).min(initial=0)))
