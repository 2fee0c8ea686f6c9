"""Serving one silo: from its file to a teacher that listens."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from social_learning.models.base import LanguageModel
from social_learning.models.cache import CachedModel, CallCache
from social_learning.models.pool import Closable
from social_learning.models.registry import load_model
from social_learning.serving.desk import Desk
from social_learning.serving.outbox import Outbox
from social_learning.serving.server import Server
from social_learning.serving.silo_file import load_policy, load_silo, load_silo_file, teachers_of


@contextmanager
def served(
    path: Path,
    *,
    load: Callable[..., LanguageModel] = load_model,
    clock: Callable[[], float] = time.time,
    note: Callable[[str], None] = lambda _: None,
) -> Iterator[Server]:
    """Open the silo of a silo file and listen; `serve` of the server answers.

    Everything is read and loaded before the socket is there, so that what listens can answer. Raises a UserError, in
    words that hold nothing private, where the file, the policy, the rows, the outbox or the socket is wrong.
    """
    file = load_silo_file(path)
    policy = load_policy(file)
    silo = load_silo(file)
    with ExitStack() as stack:
        outbox = stack.enter_context(Outbox(file.outbox))
        loaded = load(file.model.model, **file.model.options())
        # The outbox has made the folder, for its owner only.
        model = CachedModel(loaded, CallCache(file.folder / file.state / "calls.sqlite"))
        stack.enter_context(closing(model))
        if isinstance(loaded, Closable):  # before the cache: a call in flight may still be kept
            stack.enter_context(closing(loaded))
        desk = Desk(teachers_of(file, silo, policy, model), policy, outbox, clock, note)
        yield stack.enter_context(Server(desk, file.folder / file.socket, file.courier_group))
