"""Built-in tasks: their formats, their invented examples, and the data they come with or are published on."""

import json
import os
from collections import Counter
from pathlib import Path

import pytest

from social_learning.config import parse_experiment
from social_learning.corpus import Corpus, Sifted, load_corpus, load_test
from social_learning.errors import ConfigError, DataError
from social_learning.experiment import facts
from social_learning.task import Example
from social_learning.tasks import BUILT_IN, built_in
from social_learning.tasks.base import BuiltIn

PUBLISHED = os.environ.get("SOCIAL_LEARNING_DATA")

every_task = pytest.mark.parametrize("known", BUILT_IN.values(), ids=BUILT_IN.keys())
spam_tasks = pytest.mark.parametrize("name", ["sms_spam", "sms_spam_classes"])
needs_data = pytest.mark.skipif(
    not PUBLISHED, reason="SOCIAL_LEARNING_DATA does not say where the published data sets are"
)


def corpus_of(name: str, **data: object) -> Corpus:
    root = Path(PUBLISHED) if PUBLISHED else None
    return load_corpus(parse_experiment({"name": "x", "task": name, "data": data}), root)


def questions(corpus: Corpus, examples: tuple[Example, ...]) -> set[str]:
    return {" ".join(corpus.task.question(example.fields).casefold().split()) for example in examples}


# Formats


@every_task
def test_an_invented_example_is_one_of_its_task(known: BuiltIn) -> None:
    task, invented = known.task, known.invented
    assert BUILT_IN[task.name] is known
    assert task.example({**invented.fields, "answer": invented.answer}) == invented
    assert task.parse(task.render(invented)) == invented
    answer = task.parse_answer(invented.answer)
    assert answer is not None
    assert task.correct(answer, invented)
    assert task.instruction
    assert "\n\n" not in task.instruction
    assert known.source


@pytest.mark.parametrize(
    ("name", "fields", "answer", "text"),
    [
        ("sms_spam", {"text": "hi"}, "not spam", "Text: hi\nClass: not spam"),
        ("sms_spam_classes", {"text": "hi"}, "spam", 'Text: hi\nClass ("spam" or "not spam"): spam'),
        ("phone_messages", {"text": "hi"}, "spam", 'Text: hi\nClass ("spam" or "not spam"): spam'),
        ("lambada", {"passage": "he saw the"}, "sea", "Fill in blank:\n\nhe saw the ____ -> sea"),
        ("boolq", {"passage": "It is.", "question": "is it"}, "yes", "It is.\nQuestion: is it\nAnswer: yes"),
        ("gsm8k", {"question": "1 and 1?"}, "1+1=2\n#### 2", "Question: 1 and 1?\nAnswer: 1+1=2\n#### 2"),
        ("random_insertion", {"scrambled": "s.e!a"}, "sea", "s.e!a = sea"),
    ],
)
def test_formats_are_those_of_the_paper(name: str, fields: dict[str, str], answer: str, text: str) -> None:
    assert built_in(name).task.render(Example(fields=fields, answer=answer)) == text


@pytest.mark.parametrize(
    ("name", "published", "row"),
    [
        ("sms_spam", {"id": 3, "label": "ham", "text": "hi"}, {"text": "hi", "answer": "not spam"}),
        ("sms_spam", {"label": "spam", "text": "hi"}, {"text": "hi", "answer": "spam"}),
        ("phone_messages", {"label": "not spam", "text": "hi"}, {"text": "hi", "answer": "not spam"}),
        ("lambada", {"text": "he saw the  sea \n"}, {"passage": "he saw the", "answer": "sea"}),
        (
            "boolq",
            {"passage": "p", "question": "q", "answer": True},
            {"passage": "p", "question": "q", "answer": "yes"},
        ),
        (
            "boolq",
            {"passage": "p", "question": "q", "answer": "False"},
            {"passage": "p", "question": "q", "answer": "no"},
        ),
        ("boolq", {"passage": "p", "question": "q", "answer": "no"}, {"passage": "p", "question": "q", "answer": "no"}),
        ("gsm8k", {"question": "q", "answer": "s\n#### 1"}, {"question": "q", "answer": "s\n#### 1"}),
        ("random_insertion", {"context": "\ns.e!a =", "completion": " sea"}, {"scrambled": "s.e!a", "answer": "sea"}),
    ],
)
def test_published_rows_become_examples(name: str, published: dict[str, object], row: dict[str, object]) -> None:
    known = built_in(name)
    assert known.task.example(known.convert(published)) == known.task.example(row)


@every_task
def test_columns_that_are_not_there_stay_missing(known: BuiltIn) -> None:
    assert not set(known.convert({"other": 1})) & {*known.task.field_names}
    if known.task.name == "lambada":
        assert "answer" not in known.convert({"text": "one-word"})


def test_an_unknown_task_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"no built-in task 'sms': there are phone_messages, sms_spam, .*insertion"):
        built_in("sms")


# Bundled data


def test_bundled_messages_load_without_any_data_folder(phone_messages: Corpus) -> None:
    assert (len(phone_messages.train), len(phone_messages.test)) == (300, 120)
    everything = phone_messages.train + phone_messages.test
    assert Counter(example.answer for example in everything) == {"spam": 210, "not spam": 210}
    assert len(questions(phone_messages, everything)) == 420
    for example in everything:
        assert phone_messages.task.parse(phone_messages.task.render(example)) == example


def test_fewer_test_rows_are_a_part_of_all_of_them(phone_messages: Corpus) -> None:
    fewer = load_corpus(parse_experiment({"name": "x", "task": "phone_messages", "data": {"test_rows": 30}}))
    assert fewer.test == phone_messages.test[:30]
    assert fewer.train == phone_messages.train


def test_what_repeats_contradicts_and_leaks_is_counted(tmp_path: Path) -> None:
    texts = {
        "train": [("a", "spam"), ("A ", "spam"), ("b", "spam"), ("b", "not spam"), ("c", "spam"), ("d", "spam")],
        "test": [("c", "not spam"), ("C", "not spam"), ("e", "spam"), ("D", "spam")],
    }
    for name, pairs in texts.items():
        rows = [{"text": text, "answer": answer} for text, answer in pairs]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    own = {"train": str(tmp_path / "train.jsonl"), "test": str(tmp_path / "test.jsonl")}
    corpus = corpus_of("phone_messages", **own)
    assert corpus.sifted == Sifted(2, 1, 2, 2)
    assert [example.fields["text"] for example in corpus.train] == ["a", "b"]
    assert load_test(parse_experiment({"name": "x", "task": "phone_messages", "data": own})).sifted == Sifted(
        0, 1, 0, 0
    )
    one_file = corpus_of("phone_messages", train=own["train"], test_rows=1)
    assert one_file.sifted == Sifted(2, 0, 1, 0)
    assert len(one_file.train) + len(one_file.test) == 4
    told = {"train_duplicates": 2, "test_duplicates": 1, "conflicting_questions": 2, "train_in_test": 2}
    assert told.items() <= facts(corpus, tmp_path / "private").items()


def test_training_rows_that_are_test_rows_go_however_few_test_rows_are_asked_for(tmp_path: Path) -> None:
    for name, numbers in (("train", range(6)), ("test", range(3, 9))):
        rows = [{"text": f"message {n}", "answer": "spam"} for n in numbers]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    own = {"train": str(tmp_path / "train.jsonl"), "test": str(tmp_path / "test.jsonl")}
    whole, fewer = corpus_of("phone_messages", **own), corpus_of("phone_messages", **own, test_rows=1)
    assert [e.fields["text"] for e in fewer.train] == ["message 0", "message 1", "message 2"]
    assert fewer.train == whole.train
    assert fewer.test == whole.test[:1]


def test_development_rows_are_training_rows_that_no_silo_gets(phone_messages: Corpus) -> None:
    held = corpus_of("phone_messages", development=40)
    assert len(held.test) == 40
    assert sorted(held.train + held.test, key=str_of) == sorted(phone_messages.train, key=str_of)
    assert held == corpus_of("phone_messages", development=40)

    with pytest.raises(DataError, match=r"data\.development: 300 rows leave nothing of 300 training examples"):
        corpus_of("phone_messages", development=300)


def str_of(example: Example) -> str:
    return f"{example.fields} {example.answer}"


# Published data


@pytest.mark.data
@needs_data
@pytest.mark.parametrize(
    ("name", "train", "test"),
    [
        ("sms_spam", 784, 500),
        ("sms_spam_classes", 784, 500),
        ("lambada", 4865, 500),
        ("boolq", 2045, 500),
        ("gsm8k", 7473, 500),
        ("random_insertion", 8000, 500),
    ],
)
def test_every_published_row_is_an_example(name: str, train: int, test: int) -> None:
    # Loading makes an example of every row of both files, and ends in an error at the first row that is none.
    corpus = corpus_of(name)
    assert (len(corpus.train), len(corpus.test)) == (train, test)
    for example in corpus.train + corpus.test:
        assert corpus.task.parse(corpus.task.render(example)) == example
        answer = corpus.task.parse_answer(example.answer)
        assert answer is not None
        assert corpus.task.correct(answer, example)
    assert not questions(corpus, corpus.train) & questions(corpus, corpus.test)
    assert corpus_of(name) == corpus


@pytest.mark.data
@needs_data
@spam_tasks
def test_spam_is_a_balanced_pool_of_which_500_messages_are_the_test_set(name: str) -> None:
    corpus = corpus_of(name)
    everything = corpus.train + corpus.test
    assert Counter(example.answer for example in everything) == {"spam": 642, "not spam": 642}
    assert len(questions(corpus, everything)) == len(everything)
    assert corpus_of(name, test_rows=40).test == corpus.test[:40]
    assert corpus_of(name, test_rows=40).train == corpus.train
