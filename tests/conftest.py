"""What several test files share: Hypothesis without chance, a cache folder of their own, and one small real corpus."""

from pathlib import Path

import pytest
from hypothesis import settings

from social_learning.config import parse_experiment
from social_learning.corpus import Corpus, load_corpus

settings.register_profile("ci", derandomize=True, deadline=None)
settings.load_profile("ci")


@pytest.fixture(autouse=True)
def cache_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing a test does touches the user's own cache folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def phone_messages() -> Corpus:
    """The data set that comes with the package: 300 messages to teach from, 120 to test on."""
    return load_corpus(parse_experiment({"name": "bundled", "task": "phone_messages"}))


@pytest.fixture
def embedded_cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """One cache folder for all tests with the embedded model, so that its weights are unpacked once per session."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "embedded-cache"))
