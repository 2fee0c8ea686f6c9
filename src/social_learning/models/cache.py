"""The call cache: every finished call of a model, by content, in one SQLite file.

A key is the SHA-256 of the model's identity and the whole request: prompt, sampling with its seed, number of the
sample, template version. Values are answers; prompts are never stored. The file belongs to whoever may see the
answers: a teacher's lies in its silo's private folder.
"""

import hashlib
import json
import sqlite3
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from social_learning.errors import RunFolderError
from social_learning.files import PATIENCE, locked
from social_learning.models.base import (
    ChatTurn,
    Completion,
    LanguageModel,
    OneByOneModel,
    PricedModel,
    Prompt,
    SampleCall,
    Sampling,
    Score,
    ScoreCall,
    SingleCall,
    Usage,
)

TEMPLATE_VERSION = 1
"""Raise when the way prompts are put together by a backend changes, so that old answers are not taken for new ones."""

_LOOKUP_CHUNK = 500


class CallCache:
    """A file of finished calls. Each batch of answers is written whole or not at all, before it is used.

    What was written survives the death of this process; a power cut may take the last answers with it. May be used from
    any thread, and by several processes at once: one waits for another. The first answer to a call counts, so that all
    who share the file go on from the same one.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._turn = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            path.touch(mode=0o600)
            self._connection = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None, check_same_thread=False)
            # SQLite does not wait for another process that changes the journal's mode, as it does for one that writes.
            with locked(path.with_name(f".{path.name}.lock")):
                self._connection.execute("PRAGMA journal_mode=WAL")
                # Calls over a network are kept one by one, and must not wait for the disk each time.
                self._connection.execute("PRAGMA synchronous=NORMAL")
                self._connection.execute(
                    "CREATE TABLE IF NOT EXISTS calls (key TEXT PRIMARY KEY, answer TEXT NOT NULL) WITHOUT ROWID"
                )
        except (sqlite3.Error, OSError) as error:
            raise self._broken(error) from None

    def find(self, keys: Sequence[str]) -> dict[str, str]:
        """Return the answers that are known, by key."""
        with self._turn:
            return self._find(keys)

    def _find(self, keys: Sequence[str]) -> dict[str, str]:
        known: dict[str, str] = {}
        for first in range(0, len(keys), _LOOKUP_CHUNK):
            part = keys[first : first + _LOOKUP_CHUNK]
            marks = ",".join("?" * len(part))
            try:
                known.update(self._connection.execute(f"SELECT key, answer FROM calls WHERE key IN ({marks})", part))
            except sqlite3.Error as error:
                raise self._broken(error) from None
        return known

    def keep(self, answers: Iterable[tuple[str, str]]) -> None:
        """Write a batch of answers, all or none. Where another process was faster, its own stay."""
        with self._turn:
            self._keep(answers)

    def _keep(self, answers: Iterable[tuple[str, str]]) -> None:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany("INSERT OR IGNORE INTO calls VALUES (?, ?)", answers)
            self._connection.execute("COMMIT")
        except BaseException as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                raise self._broken(error) from None
            raise

    def _broken(self, error: Exception) -> RunFolderError:
        return RunFolderError(f"cannot use the call cache {self._path}: {error}; move the file away to start afresh")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


class CachedModel:
    """A LanguageModel that asks another one only what is not in its cache, and counts what it was asked.

    Without a cache it only counts. What a OneByOneModel answers is in the cache as soon as it is there; a missing completion is
    not kept, so it is asked for again by whoever needs it again. `computed` is told
    how many tokens the model read and wrote for each batch of calls that was not in the cache.
    """

    def __init__(
        self, model: LanguageModel, cache: CallCache | None, computed: Callable[[int], None] | None = None
    ) -> None:
        self._model = model
        self._cache = cache
        self._computed = computed
        self._counting = threading.Lock()
        self.usage = Usage()

    @property
    def name(self) -> str:
        """The wrapped model's name."""
        return self._model.name

    @property
    def identity(self) -> str:
        """The wrapped model's identity."""
        return self._model.identity

    @property
    def context_length(self) -> int:
        """The wrapped model's context length."""
        return self._model.context_length

    def count_tokens(self, text: str) -> int:
        """Return how many tokens `text` has."""
        return self._model.count_tokens(text)

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling, samples: int = 1) -> list[list[Completion]]:
        """Return `samples` completions for each prompt; only prompts with a sample that is not cached reach the model."""
        keys = {prompt: [self._generate_key(prompt, sampling, s) for s in range(samples)] for prompt in prompts}
        known = self._find([key for row in keys.values() for key in row])
        new = [prompt for prompt, row in keys.items() if any(key not in known for key in row)]
        cached = (len(prompts) - len(new)) * samples
        if new and isinstance(self._model, OneByOneModel):
            cached = sum(key in known for prompt in prompts for key in keys[prompt])
            wanted = {
                key: SampleCall(prompt, sampling, number)
                for prompt in new
                for number, key in enumerate(keys[prompt])
                if key not in known
            }
            known.update(self._ask_each(self._model, wanted))
        elif new:
            made = self._model.generate(new, sampling, samples)
            self._tell(sum(row[0].prompt_tokens + sum(c.tokens for c in row) for row in made if row))
            fresh = {k: c for p, row in zip(new, made, strict=True) for k, c in zip(keys[p], row, strict=True)}
            known.update(self._keep(fresh))
        results = [[_unpack_completion(known[key]) for key in keys[prompt]] for prompt in prompts]
        flat = [completion for row in results for completion in row]
        self._count(len(flat), cached, [(c.prompt_tokens, c.tokens) for c in flat])
        return results

    def score(self, pairs: Sequence[tuple[Prompt, str]]) -> list[Score]:
        """Return the log-likelihood of each continuation; only pairs that are not cached reach the model."""
        keys = {pair: self._score_key(*pair) for pair in pairs}
        known = self._find(list(keys.values()))
        new = [pair for pair, key in keys.items() if key not in known]
        if new and isinstance(self._model, OneByOneModel):
            known.update(self._ask_each(self._model, {keys[pair]: ScoreCall(*pair) for pair in new}))
        elif new:
            scores = self._model.score(new)
            self._tell(sum(score.prompt_tokens + score.tokens for score in scores))
            known.update(self._keep({keys[pair]: score for pair, score in zip(new, scores, strict=True)}))
        results = [_unpack_score(known[keys[pair]]) for pair in pairs]
        self._count(len(pairs), len(pairs) - len(new), [(s.prompt_tokens + s.tokens, 0) for s in results])
        return results

    def _ask_each(self, model: OneByOneModel, wanted: Mapping[str, SingleCall]) -> dict[str, str]:
        """Have calls answered, by key; each answer is kept before the next call starts."""
        names, fresh = list(wanted), dict[str, str]()

        def finished(place: int, answer: Completion | Score) -> None:
            fresh.update(self._keep({names[place]: answer}))
            self._tell(answer.prompt_tokens + answer.tokens)

        model.answer_each(list(wanted.values()), finished)
        return fresh

    def close(self) -> None:
        """Close the cache's file."""
        if self._cache:
            self._cache.close()

    def _find(self, keys: list[str]) -> dict[str, str]:
        return self._cache.find(keys) if self._cache else {}

    def _keep(self, answers: Mapping[str, Completion | Score]) -> dict[str, str]:
        """Keep answers that last, and return those that count: of two answers to one call the one that was kept first."""
        packed = {key: _pack(answer) for key, answer in answers.items()}
        if not self._cache:
            return packed
        self._cache.keep((key, text) for key, text in packed.items() if _lasts(answers[key]))
        return {**packed, **self._cache.find(list(packed))}

    def _tell(self, tokens: int) -> None:
        if self._computed:
            self._computed(tokens)

    def _count(self, calls: int, cached: int, tokens: list[tuple[int, int]]) -> None:
        read, written = sum(t[0] for t in tokens), sum(t[1] for t in tokens)
        cost = self._model.cost(read, written) if isinstance(self._model, PricedModel) else 0.0
        with self._counting:
            self.usage += Usage(calls, read, written, cached, cost)

    def _generate_key(self, prompt: Prompt, sampling: Sampling, sample: int) -> str:
        chance = [sampling.temperature, sampling.top_p, sampling.seed, sample] if sampling.temperature else None
        return self._key("generate", _prompt(prompt), sampling.max_tokens, sampling.stop, chance)

    def _score_key(self, prompt: Prompt, continuation: str) -> str:
        return self._key("score", _prompt(prompt), continuation)

    def _key(self, *request: object) -> str:
        text = json.dumps([TEMPLATE_VERSION, self._model.identity, *request])
        return hashlib.sha256(text.encode()).hexdigest()


def _prompt(prompt: Prompt) -> list[str]:
    return ["chat", prompt.content] if isinstance(prompt, ChatTurn) else ["text", prompt]


def _lasts(answer: Completion | Score) -> bool:
    """Whether an answer is worth keeping: one that is missing may be there when it is asked for again."""
    return not (isinstance(answer, Completion) and answer.finish == "missing")


def _pack(answer: Completion | Score) -> str:
    if isinstance(answer, Completion):
        written = [] if answer.written is None else [answer.written]
        return json.dumps([answer.text, answer.logprobs, answer.finish, answer.prompt_tokens, *written])
    return json.dumps([answer.logprob, answer.tokens, answer.greedy, answer.prompt_tokens])


def _unpack_completion(packed: str) -> Completion:
    text, logprobs, *rest = json.loads(packed)
    return Completion(text, tuple(logprobs), *rest)


def _unpack_score(packed: str) -> Score:
    return Score(*json.loads(packed))
