"""Seeds: one root seed, and named child generators drawn from it.

Every random choice of a run names itself (`"split"`, `"repeat", 3`, `"teacher-2"`), so adding a choice never shifts
another one, and the same experiment file gives the same run.
"""

import hashlib

import numpy as np


def child_seed(root: int, *names: str | int) -> int:
    """Return the seed of the child of `root` called `names`, in `0 <= seed < 2**63`.

    The child is the first 63 bits of SHA-256 over the root and the names, so it does not depend on Python's hash seed,
    on the platform, or on which other children exist.
    """
    text = "\x1f".join([str(root), *(f"{type(name).__name__}:{name}" for name in names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(root: int, *names: str | int) -> np.random.Generator:
    """Return a fresh NumPy generator for the child of `root` called `names`."""
    return np.random.default_rng(child_seed(root, *names))
