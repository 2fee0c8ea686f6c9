"""The model pool: each model of a run loaded once, when first needed, and wrapped in the call cache of whoever uses it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol as Interface
from typing import runtime_checkable

from social_learning.models.base import BatchingModel, LanguageModel, OneByOneModel, Usage
from social_learning.models.cache import CachedModel, CallCache
from social_learning.models.lockstep import LockstepModel, Result, Together

Load = Callable[..., LanguageModel]
"""Loads a model by name; takes the options of `load_model`."""

Options = Mapping[str, int | str]


@runtime_checkable
class Closable(Interface):
    """A model that holds something open, such as connections."""

    def close(self) -> None:
        """Let go of it."""


@runtime_checkable
class TellsProgress(Interface):
    """A model that can tell how far it is with a call."""

    def report_to(self, progress: Callable[[str, int, int], None]) -> None:
        """Have `progress` told what is going on, how much of it is done, and of how much."""


_Spec = tuple[str, tuple[tuple[str, int | str], ...]]


class ModelPool:
    """Models by name and options, and by user.

    Every user has a private folder below `private`, with its own call cache: a teacher's prompts and raw outputs are
    private to its silo, and the student's answers may repeat what an `original` lesson told it. `progress` is told
    what models are doing: loading, and what they tell of themselves; `computed` how many tokens they computed.
    """

    def __init__(
        self,
        load: Load,
        private: Path,
        progress: Callable[[str, int, int], None],
        computed: Callable[[int], None] | None = None,
    ) -> None:
        self._load = load
        self._private = private
        self._progress = progress
        self._computed = computed
        self._loaded: dict[_Spec, LanguageModel] = {}
        self._owner = True
        self._wrapped: dict[tuple[_Spec, str], CachedModel] = {}

    def sharing(self, private: Path) -> "ModelPool":
        """Return a pool with the same models in memory, and caches and a count of its own below `private`."""
        pool = ModelPool(self._load, private, self._progress, self._computed)
        pool._loaded, pool._owner = self._loaded, False
        return pool

    def load(self, name: str, options: Options) -> LanguageModel:
        """Load a model, where it is not loaded already; its calls go through no cache."""
        spec: _Spec = (name, tuple(options.items()))
        if spec not in self._loaded:
            self._progress(f"loading {name}", 0, 1)
            model = self._load(name, **options)
            if isinstance(model, TellsProgress):
                model.report_to(self._progress)
            self._loaded[spec] = LockstepModel(model) if isinstance(model, BatchingModel) else model
            self._progress(f"loading {name}", 1, 1)
        return self._loaded[spec]

    def get(self, name: str, user: str, options: Options) -> CachedModel:
        """Return a model for one user."""
        spec: _Spec = (name, tuple(options.items()))
        if (spec, user) not in self._wrapped:
            model = self.load(name, options)
            self._private.mkdir(parents=True, exist_ok=True, mode=0o700)
            cache = CallCache(self._private / user / "calls.sqlite")
            self._wrapped[spec, user] = CachedModel(model, cache, self._computed)
        return self._wrapped[spec, user]

    def usage(self) -> Usage:
        """Return what all models together were asked so far."""
        return sum((model.usage for model in self._wrapped.values()), Usage())

    def together(self, jobs: Sequence[Callable[[], Result]]) -> list[Result]:
        """Run jobs and return their results in order: side by side where a model gains from it, see Together.

        Those are models that gain from larger batches, and those that answer several calls at a time. Else one after the
        other, so that each finished call is in its cache before the next one starts.
        """
        batching = [model for model in self._loaded.values() if isinstance(model, LockstepModel)]
        others = [model for model in self._loaded.values() if isinstance(model, OneByOneModel)]

        def give_up() -> None:
            for model in others:
                model.interrupt()

        return (
            Together[Result](batching, give_up if others else None)(jobs)
            if batching or others
            else [job() for job in jobs]
        )

    def close(self) -> None:
        """Close the caches' files, and what models hold open. Models go first: a call in flight may still be kept.

        A pool that shares another one's models leaves them to it.
        """
        for model in [model for model in self._loaded.values() if self._owner and isinstance(model, Closable)]:
            model.close()
        for wrapped in self._wrapped.values():
            wrapped.close()
