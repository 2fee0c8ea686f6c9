"""What several test files share: Hypothesis without chance, a cache folder of their own, one small real corpus, and endpoints
on loopback.
"""

import asyncio
import os
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from benchmarks.endpoints.loopback import Handler, Loopback
from social_learning.config import parse_experiment
from social_learning.corpus import Corpus, load_corpus
from social_learning.models.endpoint.budget import Purse
from social_learning.models.endpoint.model import EndpointModel
from social_learning.models.endpoint.pace import Surroundings
from social_learning.models.endpoint.settings import Endpoint

settings.register_profile("ci", derandomize=True, deadline=None)
settings.load_profile("ci")


@pytest.fixture(autouse=True)
def cache_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing a test does touches the user's own cache folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def open_umask(tmp_path: Path) -> Iterator[None]:
    """Whatever the machine's umask is, files are for everybody here unless the code says otherwise."""
    before = os.umask(0)
    try:
        (tmp_path / "control").touch()
        assert (tmp_path / "control").stat().st_mode & 0o777 == 0o666
        yield
    finally:
        os.umask(before)


@pytest.fixture(scope="session")
def phone_messages() -> Corpus:
    """The data set that comes with the package: 300 messages to teach from, 120 to test on."""
    return load_corpus(parse_experiment({"name": "bundled", "task": "phone_messages"}))


@pytest.fixture
def embedded_cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """One cache folder for all tests with the embedded model, so that its weights are unpacked once per session."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "embedded-cache"))


class Hours:
    """A clock that only sleeping moves, so that retries and pauses take no time."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def around(self) -> Surroundings:
        """This clock, with jitter that is the same every time."""
        return Surroundings(lambda: self.now, self.sleep, random.Random(1))

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


@pytest.fixture
def hours() -> Hours:
    """Time for an endpoint's client."""
    return Hours()


Connect = Callable[..., EndpointModel]


@pytest.fixture
def serve() -> Iterator[Callable[[Handler], Loopback]]:
    """Opens servers on loopback, and closes them when the test ends."""
    with ExitStack() as stack:
        yield lambda handler: stack.enter_context(Loopback(handler))


@pytest.fixture
def connect(serve: Callable[[Handler], Loopback], hours: Hours) -> Iterator[Connect]:
    """Connects to a handler on loopback, in time of its own; closed when the test ends, and before its server."""
    with ExitStack() as stack:

        def open_one(handler: Handler | Loopback, purse: Purse | None = None, **table: Any) -> EndpointModel:
            server = handler if isinstance(handler, Loopback) else serve(handler)
            endpoint = Endpoint(name="served", model="pretender", base_url=server.url, **table)
            model = EndpointModel(endpoint, purse, hours.around())
            stack.callback(model.close)
            return model

        yield open_one
