"""The model pool: each model of a run loaded once, when first needed, and wrapped in the call cache of whoever uses it."""

from collections.abc import Callable
from pathlib import Path

from social_learning.models.base import LanguageModel, Usage
from social_learning.models.cache import CachedModel, CallCache

Load = Callable[..., LanguageModel]
"""Loads a model by name; takes the options `dtype` and `device`."""


class ModelPool:
    """Models by name, number format and device, and by user.

    Every user has a private folder below `private`, with its own call cache: a teacher's prompts and raw outputs are private to its
    silo, and the student's answers may repeat what an `original` lesson told it. `loading` is told (done, total) around a load.
    """

    def __init__(self, load: Load, private: Path, loading: Callable[[str, int, int], None]) -> None:
        self._load = load
        self._private = private
        self._loading = loading
        self._loaded: dict[tuple[str, str, str], LanguageModel] = {}
        self._wrapped: dict[tuple[str, str, str, str], CachedModel] = {}

    def get(self, name: str, dtype: str, device: str, user: str) -> CachedModel:
        """Return a model for one user."""
        spec = (name, dtype, device)
        if (*spec, user) not in self._wrapped:
            if spec not in self._loaded:
                self._loading(f"loading {name}", 0, 1)
                self._loaded[spec] = self._load(name, dtype=dtype, device=device)
                self._loading(f"loading {name}", 1, 1)
            cache = CallCache(self._private / user / "calls.sqlite")
            self._wrapped[*spec, user] = CachedModel(self._loaded[spec], cache)
        return self._wrapped[*spec, user]

    def usage(self) -> Usage:
        """Return what all models together were asked so far."""
        return sum((model.usage for model in self._wrapped.values()), Usage())

    def identities(self) -> list[str]:
        """Return the identities of the models loaded so far."""
        return sorted({model.identity for model in self._loaded.values()})
