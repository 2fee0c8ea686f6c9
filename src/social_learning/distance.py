"""Distance: how far a text is from the closest passage of another, with insertions and deletions only.

Follows appendix D of Mohtashami et al., "Social Learning" (arXiv 2312.11441).
"""

import numpy as np


def indel_to_substring(text: str, prompt: str) -> int:
    """Return the least number of insertions and deletions that turn `text` into some substring of `prompt`.

    0 where `text` occurs in `prompt`; at most `len(text)`, the distance to the empty substring. Dynamic programming
    over the characters of `text`, one NumPy row of `len(prompt) + 1` each (Sellers 1980, without substitutions).
    """
    if not text or text in prompt:
        return 0
    letters = np.frombuffer(prompt.encode("utf-32-le"), dtype=np.uint32)
    places = np.arange(len(letters) + 1, dtype=np.int32)
    row = np.zeros(len(letters) + 1, dtype=np.int32)
    far = np.int32(len(text) + len(prompt) + 1)
    for number, letter in enumerate(text, start=1):
        best = row + 1
        np.minimum(best[1:], np.where(letters == ord(letter), row[:-1], far), out=best[1:])
        best[0] = number
        # Insertions run along the row: the least of best[k] + (j - k) over k <= j, by a running minimum.
        row = np.minimum.accumulate(best - places) + places
    return int(row.min())


def normalized_distance(text: str, prompt: str) -> float:
    """Return the normalised distance of `text` from `prompt`, in [0, 1]; 0 for a verbatim copy, and for an empty text.

    The minimum over all substrings of `prompt` of the insertions and deletions needed, divided by the length of `text`
    (arXiv 2312.11441, appendix D).
    """
    return indel_to_substring(text, prompt) / len(text) if text else 0.0
