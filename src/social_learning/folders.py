"""Folders: where this package keeps a user's things outside any run."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return the user's cache folder for this package: `$XDG_CACHE_HOME/social-learning`, or below `~/.cache`."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "social-learning"
