"""The call cache: nothing is asked twice, nothing is half written, and no prompt is kept. And the pool that hands it out."""

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from social_learning.errors import RunFolderError
from social_learning.models.base import ChatTurn, Completion, LanguageModel, Prompt, Sampling, Score, Usage
from social_learning.models.cache import CachedModel, CallCache
from social_learning.models.pool import ModelPool
from social_learning.seeds import child_seed
from tests.processes import at_once

GREEDY = Sampling(max_tokens=4, stop=("\n",))
SAMPLED = Sampling(temperature=0.7, top_p=0.9, max_tokens=4, stop=("\n",), seed=1)


class Counting:
    """A model that answers by its request alone, and keeps what reached it."""

    context_length = 100

    def __init__(self, identity: str = "counting") -> None:
        self.name = self.identity = identity
        self.asked: list[tuple[Prompt, int]] = []
        self.scored: list[tuple[Prompt, str]] = []

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling, samples: int = 1) -> list[list[Completion]]:
        self.asked += [(prompt, samples) for prompt in prompts]
        return [[self._complete(prompt, sampling, sample) for sample in range(samples)] for prompt in prompts]

    def score(self, pairs: Sequence[tuple[Prompt, str]]) -> list[Score]:
        self.scored += pairs
        return [Score(-1.5 * len(continuation), 2, len(continuation) % 2 == 0, 7) for _, continuation in pairs]

    def _complete(self, prompt: Prompt, sampling: Sampling, sample: int) -> Completion:
        chance = child_seed(sampling.seed, sample) % 1000 if sampling.temperature else 0
        return Completion(f"said {chance} é", (-0.5, -1.0 / 3.0, float("-inf")), "length", len(str(prompt)))


class Cached(Protocol):
    """Puts a cache before a model, the same file each time; closed when the test ends."""

    def __call__(self, model: LanguageModel) -> CachedModel: ...


@pytest.fixture
def cached(tmp_path: Path) -> Iterator[Cached]:
    with ExitStack() as stack:
        yield lambda model: CachedModel(model, stack.enter_context(opened(tmp_path / "silo" / "calls.sqlite")))


def opened(file: Path) -> closing[CallCache]:
    return closing(CallCache(file))


# Completions


@pytest.mark.parametrize("prompt", ["text", ChatTurn("text"), "", "é\x00\ud800"])
@pytest.mark.parametrize("sampling", [GREEDY, SAMPLED])
def test_the_same_request_is_asked_once(cached: Cached, prompt: Prompt, sampling: Sampling) -> None:
    model = Counting()
    first = cached(model).generate([prompt], sampling, 2)
    assert first == Counting().generate([prompt], sampling, 2)
    again = cached(model)
    assert again.generate([prompt], sampling, 2) == first
    assert again.generate([prompt], sampling, 1) == [first[0][:1]]
    assert model.asked == [(prompt, 2)]


@pytest.mark.parametrize(
    "other",
    [
        SAMPLED.with_seed(2),
        Sampling(temperature=0.8, top_p=0.9, max_tokens=4, stop=("\n",), seed=1),
        Sampling(temperature=0.7, top_p=0.8, max_tokens=4, stop=("\n",), seed=1),
        Sampling(temperature=0.7, top_p=0.9, max_tokens=5, stop=("\n",), seed=1),
        Sampling(temperature=0.7, top_p=0.9, max_tokens=4, stop=("\n\n",), seed=1),
        Sampling(temperature=0.7, top_p=0.9, max_tokens=4, seed=1),
        GREEDY,
    ],
)
def test_another_sampling_is_another_request(cached: Cached, other: Sampling) -> None:
    model = Counting()
    both = cached(model)
    both.generate(["text"], SAMPLED)
    both.generate(["text"], other)
    assert len(model.asked) == 2


def test_a_greedy_answer_does_not_depend_on_the_seed_or_the_nucleus(cached: Cached) -> None:
    model = Counting()
    for sampling in (GREEDY, GREEDY.with_seed(9), Sampling(top_p=0.5, max_tokens=4, stop=("\n",))):
        cached(model).generate(["text"], sampling)
    assert len(model.asked) == 1


def test_more_samples_are_asked_for_anew(cached: Cached) -> None:
    model = Counting()
    both = cached(model)
    (one,) = both.generate(["text"], SAMPLED, 1)
    (three,) = both.generate(["text"], SAMPLED, 3)
    assert three[:1] == one
    assert len({completion.text for completion in three}) == 3
    assert model.asked == [("text", 1), ("text", 3)]


def test_chat_and_text_are_two_requests(cached: Cached) -> None:
    model = Counting()
    both = cached(model)
    both.generate(["text"], GREEDY)
    both.generate([ChatTurn("text")], GREEDY)
    both.score([("text", " a")])
    both.score([(ChatTurn("text"), " a")])
    assert (len(model.asked), len(model.scored)) == (2, 2)


def test_another_identity_is_another_request(cached: Cached) -> None:
    one, other = Counting("weights a"), Counting("weights b")
    for model in (one, other):
        cached(model).generate(["text"], GREEDY)
        cached(model).score([("text", " a")])
    assert (len(one.asked), len(other.asked), len(other.scored)) == (1, 1, 1)


def test_only_what_is_new_reaches_the_model_and_answers_stay_in_order(cached: Cached) -> None:
    model = Counting()
    both = cached(model)
    both.generate(["bb", "dddd"], GREEDY)
    answers = both.generate(["a", "bb", "a", "ccc", "dddd"], GREEDY)
    assert [row[0].prompt_tokens for row in answers] == [1, 2, 1, 3, 4]
    assert model.asked == [("bb", 1), ("dddd", 1), ("a", 1), ("ccc", 1)]


def test_many_requests_in_one_batch(cached: Cached) -> None:
    model = Counting()
    prompts = [f"prompt {i}" for i in range(1200)]
    first = cached(model).generate(prompts, GREEDY)
    assert cached(model).generate(prompts, GREEDY) == first
    assert len(model.asked) == 1200


def test_nothing_asked_is_nothing_answered(cached: Cached) -> None:
    both = cached(Counting())
    assert both.generate([], GREEDY) == []
    assert both.score([]) == []
    assert both.usage == Usage()


# Scores


def test_scores_are_asked_once_and_come_back_as_they_were(cached: Cached) -> None:
    model = Counting()
    pairs: list[tuple[Prompt, str]] = [("a", " x"), ("a", " yy"), ("b", " x"), ("a", " x"), (ChatTurn("a"), " x")]
    first = cached(model).score(pairs)
    assert first == Counting().score(pairs)
    assert cached(model).score(pairs[::-1]) == first[::-1]
    assert model.scored == [pairs[0], pairs[1], pairs[2], pairs[4]]


def test_where_a_prompt_ends_matters(cached: Cached) -> None:
    model = Counting()
    cached(model).score([("a b", " c"), ("a", " b c")])
    assert len(model.scored) == 2


@settings(max_examples=25)
@given(
    text=st.text(max_size=20),
    logprobs=st.lists(st.floats(max_value=0, allow_nan=False), max_size=4),
    logprob=st.floats(max_value=0, allow_nan=False),
    greedy=st.booleans(),
)
def test_answers_come_back_to_the_last_bit(text: str, logprobs: list[float], logprob: float, greedy: bool) -> None:
    class Says(Counting):
        def _complete(self, prompt: Prompt, sampling: Sampling, sample: int) -> Completion:
            return Completion(text, tuple(logprobs), "stop", 3)

        def score(self, pairs: Sequence[tuple[Prompt, str]]) -> list[Score]:
            return [Score(logprob, 3, greedy, 4) for _ in pairs]

    with TemporaryDirectory() as folder, opened(Path(folder) / "calls.sqlite") as cache:
        for model in (CachedModel(Says(), cache), CachedModel(Counting(), cache)):
            assert model.generate(["p"], GREEDY) == [[Completion(text, tuple(logprobs), "stop", 3)]]
            assert model.score([("p", " c")]) == [Score(logprob, 3, greedy, 4)]


# What is counted


def test_usage_counts_what_was_asked_and_what_was_cached(cached: Cached) -> None:
    both = cached(Counting())
    both.generate(["aaaa", "bb", "aaaa"], GREEDY, 2)
    assert both.usage == Usage(calls=6, prompt_tokens=20, completion_tokens=18, cached=2)
    both.generate(["bb"], GREEDY, 2)
    assert both.usage - Usage(6, 20, 18, 2) == Usage(calls=2, prompt_tokens=4, completion_tokens=6, cached=2)
    before = both.usage
    both.score([("a", " x"), ("a", " x"), ("a", " y")])
    both.score([("a", " x")])
    assert both.usage - before == Usage(calls=4, prompt_tokens=36, completion_tokens=0, cached=2)


def test_without_a_cache_calls_are_counted_all_the_same() -> None:
    model = Counting()
    counted = CachedModel(model, None)
    for _ in range(2):
        counted.generate(["aaaa"], GREEDY)
        counted.score([("a", " x")])
    assert counted.usage == Usage(calls=4, prompt_tokens=26, completion_tokens=6, cached=0)
    assert len(model.asked) == len(model.scored) == 2


def test_a_cached_model_is_the_model_it_wraps(cached: Cached) -> None:
    both = cached(Counting("weights a"))
    assert isinstance(both, LanguageModel)
    assert (both.name, both.identity, both.context_length, both.count_tokens("a b c")) == (
        "weights a",
        "weights a",
        100,
        3,
    )


# The file


def test_no_prompt_is_ever_written(tmp_path: Path, cached: Cached) -> None:
    secret = "my private message from the silo"
    both = cached(Counting())
    both.generate([secret, ChatTurn(secret)], SAMPLED)
    both.score([(secret, f" {secret}")])
    files = list((tmp_path / "silo").iterdir())
    assert files
    for file in files:
        for coded in (secret.encode(), secret.encode("utf-16-le"), secret.encode().hex().encode()):
            assert coded not in file.read_bytes()


@pytest.mark.usefixtures("open_umask")
def test_the_file_is_for_its_owner_alone(tmp_path: Path, cached: Cached) -> None:
    cached(Counting()).generate(["text"], GREEDY)
    assert (tmp_path / "silo").stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in (tmp_path / "silo").iterdir()} == {0o600}


def test_answers_are_on_disk_before_they_are_used(cached: Cached) -> None:
    model = Counting()
    answers = cached(model).generate(["text"], GREEDY)  # never closed, as after a kill
    assert cached(model).generate(["text"], GREEDY) == answers
    assert len(model.asked) == 1


def test_a_model_that_fails_leaves_nothing_behind(cached: Cached) -> None:
    class Failing(Counting):
        def generate(self, prompts: Sequence[Prompt], sampling: Sampling, samples: int = 1) -> list[list[Completion]]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached(Failing()).generate(["a", "b"], GREEDY)
    model = Counting()
    cached(model).generate(["a"], GREEDY)
    assert len(model.asked) == 1


def test_a_batch_is_kept_whole_or_not_at_all(tmp_path: Path) -> None:
    def stops_halfway() -> Iterator[tuple[str, str]]:
        yield "one", "1"
        raise KeyboardInterrupt

    with opened(tmp_path / "calls.sqlite") as cache:
        with pytest.raises(KeyboardInterrupt):
            cache.keep(stops_halfway())
        assert cache.find(["one"]) == {}
        cache.keep([("two", "2")])
        assert cache.find(["one", "two"]) == {"two": "2"}
    with opened(tmp_path / "calls.sqlite") as cache:
        assert cache.find(["one", "two"]) == {"two": "2"}


def test_a_kill_while_writing_leaves_only_whole_batches(tmp_path: Path) -> None:
    file = tmp_path / "calls.sqlite"
    with opened(file) as cache, opened(file) as other:
        cache.keep([("one", "1")])
        with closing(sqlite3.connect(file, isolation_level=None)) as killed:
            killed.execute("BEGIN IMMEDIATE")
            killed.execute("INSERT INTO calls VALUES ('two', '2')")
            assert other.find(["one", "two"]) == {"one": "1"}
        cache.keep([("three", "3")])
        assert other.find(["one", "two", "three"]) == {"one": "1", "three": "3"}


def test_two_users_of_one_file_see_each_others_answers(cached: Cached) -> None:
    model = Counting()
    one, other = cached(model), cached(model)
    assert one.generate(["text"], SAMPLED) == other.generate(["text"], SAMPLED)
    assert (len(model.asked), other.usage.cached) == (1, 1)


def test_a_file_that_is_no_cache_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "calls.sqlite"
    file.write_bytes(b"this is no data base, but it is long enough to look like one " * 20)
    with pytest.raises(RunFolderError, match=r"cannot use the call cache .*calls\.sqlite: .*move the file away"):
        CallCache(file)


def test_a_folder_that_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunFolderError, match="cannot use the call cache"):
        CallCache(tmp_path / "file" / "calls.sqlite")


# The pool


OPTIONS = {"dtype": "auto", "device": "cpu"}


class Loader:
    """Loads counting models, and keeps what was loaded."""

    def __init__(self) -> None:
        self.loaded: list[tuple[str, str, str]] = []

    def __call__(self, name: str, dtype: str, device: str) -> LanguageModel:
        self.loaded.append((name, dtype, device))
        return Counting(f"{name} {dtype}")


def test_a_model_is_loaded_once_and_cached_for_each_user(tmp_path: Path) -> None:
    load, told = Loader(), list[tuple[str, int, int]]()
    pool = ModelPool(load, tmp_path, lambda what, done, total: told.append((what, done, total)))
    ann, student = (pool.get("small", user, OPTIONS) for user in ("ann", "student"))
    assert pool.get("small", "ann", OPTIONS) is ann
    assert pool.get("small", "ann", {**OPTIONS, "dtype": "float32"}) is not ann
    assert load.loaded == [("small", "auto", "cpu"), ("small", "float32", "cpu")]
    assert told == [("loading small", 0, 1), ("loading small", 1, 1)] * 2
    ann.generate(["text"], GREEDY)
    student.generate(["text"], GREEDY)
    assert pool.usage() == ann.usage + student.usage == Usage(2, 8, 6, 0)
    assert sorted(path.parent.name for path in tmp_path.glob("*/calls.sqlite")) == ["ann", "student"]


def test_a_later_pool_finds_what_an_earlier_one_asked(tmp_path: Path) -> None:
    for cached_calls in (0, 1):
        pool = ModelPool(Loader(), tmp_path, lambda *_: None)
        pool.get("small", "ann", OPTIONS).generate(["text"], SAMPLED)
        assert pool.usage().cached == cached_calls


def test_jobs_side_by_side_answer_as_one_by_one(tmp_path: Path) -> None:
    pool = ModelPool(Loader(), tmp_path, lambda *_: None)
    users = [pool.get("small", f"user-{i}", OPTIONS) for i in range(4)]

    def job(number: int) -> list[Completion]:
        said = users[number].generate([f"prompt {number}"], SAMPLED.with_seed(number))[0]
        users[number].score([(said[0].text, " a")] * (number % 2))
        return said + users[number].generate([said[0].text], GREEDY)[0]

    together = pool.together([partial(job, number) for number in range(4)])
    assert together == [job(number) for number in range(4)]


# Several processes


def test_the_first_answer_to_a_call_counts_for_all_who_share_the_file(cached: Cached) -> None:
    class Faster(Counting):
        """Another process answers the same call while this one is at it."""

        def generate(self, prompts: Sequence[Prompt], sampling: Sampling, samples: int = 1) -> list[list[Completion]]:
            cached(Counting()).generate(prompts, sampling, samples)
            return [[Completion("late", (-1.0,), "stop", 1)] for _ in prompts]

        def score(self, pairs: Sequence[tuple[Prompt, str]]) -> list[Score]:
            cached(Counting()).score(pairs)
            return [Score(0.0, 1, True, 1) for _ in pairs]

    second = cached(Faster())
    assert second.generate(["text"], SAMPLED) == Counting().generate(["text"], SAMPLED)
    assert second.score([("text", " a")]) == Counting().score([("text", " a")])


def test_processes_that_open_and_fill_the_same_cache_do_not_fail(tmp_path: Path) -> None:
    program = """
        import sys, time
        from contextlib import closing
        from pathlib import Path
        from social_learning.models.cache import CallCache
        for turn in range(100):
            while time.time() < float(sys.argv[3]) + turn / 50:  # new files, all at the same moment
                pass
            with closing(CallCache(Path(sys.argv[1]) / str(turn) / "calls.sqlite")) as cache:
                cache.keep([(sys.argv[2], "answer"), ("shared", sys.argv[2])])
    """
    at_once(program, [(tmp_path, letter, time.time() + 2) for letter in "abcd"])
    for turn in range(100):
        with opened(tmp_path / str(turn) / "calls.sqlite") as cache:
            assert len(cache.find([*"abcd", "shared"])) == 5
