"""Texts to tokens: what several texts share is tokenised once, and comes out as if each were tokenised alone."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers
from tokenizers import Tokenizer as Fast
from transformers import PreTrainedTokenizerFast

from social_learning.models.local.tokens import MIN_SHARED, Tokenizer

LESSON = "\n\n".join(f"Text: message number {i} from Ida\nClass: {'spam' if i % 2 else 'not spam'}" for i in range(40))


def byte_level() -> Fast:
    """Words with the blank before them; line breaks at the very end are one piece: the seam trap of real tokenizers."""
    vocabulary = {character: i for i, character in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    merges = [("Ċ", "Ċ"), ("Ġ", "s"), ("Ġs", "p"), ("a", "m"), ("Ġsp", "am"), (":", "Ġ"), ("e", "x")]
    tokenizer = Fast(models.BPE(vocabulary | {a + b: 256 + i for i, (a, b) in enumerate(merges)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r" ?\w+|\s+(?!\S)|\s+|[^\w\s]+ ?"), "isolated"),
            pre_tokenizers.ByteLevel(False, False, False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def prepending() -> Fast:
    """A tokenizer that puts something before every text, so that no part of a text can be tokenised on its own."""
    tokenizer = byte_level()
    tokenizer.normalizer = normalizers.Prepend("x")
    return tokenizer


class Counted:
    """A tokenizer that counts the characters it is given."""

    is_fast, eos_token_id, bos_token_id, chat_template = True, 0, None, None

    def __init__(self, make: Callable[[], Fast]) -> None:
        self._fast: Any = PreTrainedTokenizerFast(tokenizer_object=make())
        self.characters = 0

    def __call__(self, texts: list[str], **options: Any) -> Any:
        self.characters += sum(map(len, texts))
        return self._fast(texts, **options)


def pairs(count: int, lesson: str = LESSON) -> list[tuple[str, str]]:
    rng = np.random.default_rng(3)
    words = ["win", "spam", "\n", "\n\n", "a", " ", ":", "é", "4821", "Text: "]
    tails = ["".join(rng.choice(words, size=rng.integers(0, 6))) for _ in range(count)]
    return [(lesson + tail, str(rng.choice([" spam", "\nnot", "4", "\n\n"]))) for tail in tails] + [
        ("", "x"),
        ("a", "b"),
    ]


@pytest.mark.parametrize("make", [byte_level, prepending])
def test_texts_are_tokenised_together_as_one_by_one(make: Callable[[], Fast]) -> None:
    counted = Counted(make)
    tokenizer = Tokenizer(counted)
    asked = pairs(60)
    alone = [tokenizer.for_scoring([pair])[0] for pair in asked]
    one_by_one, counted.characters = counted.characters, 0
    assert tokenizer.for_scoring(asked) == alone
    if make is byte_level:
        assert counted.characters < one_by_one / 4
    else:  # nothing can be shared: it was tried on two texts, and each was read as a whole
        assert counted.characters > one_by_one
    prompts = [prompt for prompt, _ in asked]
    assert tokenizer.for_generation(prompts) == [tokenizer.for_generation([prompt])[0] for prompt in prompts]


def test_what_is_shared_ends_with_a_line_and_never_inside_a_word() -> None:
    """Made so that the place from which an end is looked for lies inside a word that is one token."""
    inside = LESSON.index(" spam", len(LESSON) - MIN_SHARED) + 2
    lesson = LESSON + "." * (inside + MIN_SHARED - len(LESSON))
    counted = Counted(byte_level)
    tokenizer = Tokenizer(counted)
    asked = pairs(60, lesson)
    alone = [tokenizer.for_scoring([pair])[0] for pair in asked]
    one_by_one, counted.characters = counted.characters, 0
    assert tokenizer.for_scoring(asked) == alone
    assert counted.characters < one_by_one / 3


@pytest.mark.model
def test_the_embedded_tokenizer_too(embedded_cache: None) -> None:
    from social_learning.models.local.loading import load_tokenizer

    tokenizer = Tokenizer(load_tokenizer("smollm2-135m-instruct"))
    asked = pairs(40)
    assert tokenizer.for_scoring(asked) == [tokenizer.for_scoring([pair])[0] for pair in asked]
