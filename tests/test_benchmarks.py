"""The benchmark's pure parts: works, counting, comparison, tables. Nothing is timed here."""

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import LlamaConfig, LlamaForCausalLM

from benchmarks import table, tables
from benchmarks.canaries import PATTERNS, canaries, most_common
from benchmarks.compare import LM_EVAL, Peer, agreement, compared, run_group, without_content
from benchmarks.flops import Shape, distinct
from benchmarks.overhead import teach
from benchmarks.poisoned import Checked, Poisoned, flipped, junk
from benchmarks.work import GenerateWork, ScoreWork, read_work, write_work
from benchmarks.works import build, data_folder, drafts, greedy_answers, label_scores
from social_learning.corpus import Corpus
from social_learning.errors import ConfigError
from social_learning.lesson import Lesson
from social_learning.messages import Reply, ReplyExamples, ReplyVote, Request, RequestExamples, RequestVote
from social_learning.task import Example, Task
from social_learning.tasks import built_in

ROOT = Path(__file__).resolve().parent.parent


def test_label_work_is_what_a_student_asks(phone_messages: Corpus) -> None:
    work = label_scores(phone_messages, 5, shots=2)
    task = phone_messages.task
    assert work.size == 5
    assert [continuation for _, continuation in work.pairs] == [task.continuation(label) for label in task.labels] * 5
    for (prompt, _), example in zip(work.pairs[::2], phone_messages.test, strict=False):
        assert prompt.endswith(task.question(example.fields))
        assert len(prompt.split("\n\n")) == 3
    assert work.first(2).pairs == work.pairs[:4]


def test_lessons_are_the_same_in_every_run_and_come_from_training_examples(phone_messages: Corpus) -> None:
    assert greedy_answers(phone_messages, 3) == greedy_answers(phone_messages, 3)
    shots = greedy_answers(phone_messages, 1).prompts[0].split("\n\n")[:-1]
    known = {phone_messages.task.render(example) for example in phone_messages.train}
    assert len(shots) == 16
    assert set(shots) <= known


def test_every_teacher_has_a_prompt_of_its_own(phone_messages: Corpus) -> None:
    work = drafts(phone_messages, 8)
    assert len(set(work.prompts)) == work.size == 8
    assert (work.samples, work.max_tokens, work.temperature, work.top_p) == (16, 80, 0.8, 0.95)


def test_lambada_pairs_are_questions_and_last_words() -> None:
    task = Task(name="tiny", template="Fill in blank:\n\n{passage} ____ -> {answer}")
    example = Example(fields={"passage": "the dog saw the"}, answer="cat")
    work = build("lambada", 1, Corpus(task, (example,), (example,), "invented"))
    assert isinstance(work, ScoreWork)
    assert work.pairs == ((Lesson(task=task).prompt(example.fields), " cat"),)


def test_too_many_rows_are_refused(phone_messages: Corpus) -> None:
    with pytest.raises(ConfigError, match="1000 test rows were asked for, the data has 120"):
        build("labels", 1000, phone_messages)


def test_missing_data_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOCIAL_LEARNING_DATA", raising=False)
    with pytest.raises(ConfigError, match="set SOCIAL_LEARNING_DATA to its folder"):
        data_folder()


@pytest.mark.parametrize(
    "work",
    [
        ScoreWork("a", "b", "rows", 2, (("x\n", "y"), ("x", "é"))),
        GenerateWork("a", "b", "rows", ("p", "q"), 3, 4, 0.5, 0.9, ("\n",), 7),
    ],
)
def test_works_survive_their_file(work: ScoreWork | GenerateWork, tmp_path: Path) -> None:
    write_work(tmp_path / "work.json", work)
    assert read_work(tmp_path / "work.json") == work


@pytest.mark.parametrize("pattern", PATTERNS)
def test_canaries_differ_and_follow_the_generator(pattern: str) -> None:
    names = [f"Name{number}" for number in range(60)]
    drawn = canaries(pattern, 50, names, np.random.default_rng(1))
    assert len(set(drawn)) == 50
    assert drawn == canaries(pattern, 50, names, np.random.default_rng(1))
    assert drawn != canaries(pattern, 50, names, np.random.default_rng(2))


def test_product_canaries_hold_the_product() -> None:
    text = canaries("gsm8k codes", 1, [], np.random.default_rng(0))[0]
    a, b = (int(part) for part in text.split("<<")[1].split(">>")[0].split(" * "))
    assert text.endswith(f"#### {a * b}")


def test_names_of_both_lists_are_counted_together() -> None:
    rows = [
        {"name": "Ada", "count": 5},
        {"name": "Bo", "count": 4},
        {"name": "Bo", "count": 3},
        {"name": "Cy", "count": 1},
    ]
    assert most_common(rows, 2) == ["Bo", "Ada"]


def test_shape_counts_the_parameters_of_a_real_model() -> None:
    config = LlamaConfig(
        hidden_size=24,
        intermediate_size=40,
        num_hidden_layers=3,
        num_attention_heads=6,
        num_key_value_heads=2,
        vocab_size=50,
        head_dim=8,
    )
    with torch.device("meta"):
        model = LlamaForCausalLM(config)
    matrices = sum(p.numel() for name, p in model.named_parameters() if "layers" in name and p.dim() == 2)
    shape = Shape.of(config.to_dict())
    assert shape.matrix_parameters == matrices
    assert shape.products(7) == 2 * 7 * matrices
    assert shape.head(2) == 2 * 2 * 24 * 50
    assert shape.attention(5) == 4 * 3 * 6 * 8 * 5


@given(st.lists(st.lists(st.integers(0, 2), max_size=6).map(tuple), max_size=8))
def test_distinct_tokens_are_the_different_beginnings(sequences: list[tuple[int, ...]]) -> None:
    beginnings = {sequence[: end + 1] for sequence in sequences for end in range(len(sequence))}
    count = distinct(sequences)
    assert count.tokens == len(beginnings)
    assert count.attended == sum(map(len, beginnings))


def result(seconds: float, units: int, **more: Any) -> dict[str, Any]:
    base = {
        "seconds": seconds,
        "units": units,
        "new_tokens": 0,
        "versions": {"torch": "2"},
        "command": "c",
        "texts": [],
    }
    return {**base, "scores": [[-1.0, True], [-2.0, False]] * units, **more}


LABELS = ScoreWork("labels", "labels in words", "rows", 2, (("p", "a"), ("p", "b")) * 10)


def test_a_peers_part_is_scaled_and_said() -> None:
    row = compared(LABELS, result(2.0, 10), result(8.0, 2), Peer(LM_EVAL, "x", 25))
    assert row["seconds_for_all"] == pytest.approx(40.0)
    assert row["ratio"] == pytest.approx(20.0)
    assert row["note"] == "timed on 2 of 10 rows, time per unit scaled"
    assert row["agreement"] == {"largest_difference": 0.0, "pairs": 4, "same_label": 2, "of": 2}
    assert "scores" not in row


def test_disagreement_shows() -> None:
    theirs = result(1.0, 1, scores=[[-2.5, False], [-2.0, True]])
    told = agreement(LABELS, result(1.0, 10), theirs)
    assert told == {"largest_difference": 1.5, "pairs": 2, "same_label": 0, "of": 1}


def test_sampled_texts_are_compared_by_time_per_token() -> None:
    work = GenerateWork("teachers", "w", "teachers", ("p",), 2, 4, 0.8, 0.95, (), 0)
    row = compared(work, result(1.0, 1, new_tokens=8), result(2.0, 1, new_tokens=4), Peer("peer", "x", 3))
    assert row["ratio"] == pytest.approx(4.0)
    assert row["agreement"] == {}


def test_a_program_that_takes_too_long_is_ended_with_what_it_started(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    with pytest.raises(subprocess.TimeoutExpired):
        run_group(["sh", "-c", f"sleep 600 & echo $! > '{told}'; wait"], timeout=2)
    until = time.monotonic() + 20
    while _runs(int(told.read_text())):
        assert time.monotonic() < until
        time.sleep(0.05)


def _runs(process: int) -> bool:
    """Whether a process is there and is not just waiting to be buried."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_results_keep_no_content() -> None:
    assert not {"texts", "scores"} & without_content(result(1.0, 1)).keys()


def tables_of(*peers: dict[str, Any], ours: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    facts = {"processor": "P", "cores": 2, "features": [], "memory_gib": 4, "gpu": None, "versions": {"torch": "2"}}
    one = {"work": "labels", "what": "labels in words " * 8, "ours": ours or {"seconds": 2.0}, "peers": list(peers)}
    return [{**one, "machine": facts, "device": "cpu", "dtype": "bfloat16"}]


def test_a_failure_is_never_a_number() -> None:
    failed = {"peer": "p", "asked": 3, "failed": "no such file"}
    assert table.rows(tables_of(failed)) == [("labels", "2.0", "p", "failed", "", "3x")]
    assert table.rows(tables_of(ours={"failed": "x"})) == [("labels", "failed", "", "", "", "")]
    assert any("p failed: no such file" in line for line in table.lines(tables_of(failed)))
    assert table.told(tables_of(failed)[0])["peers"][0]["reached"] is None


def test_the_table_fits_80_columns_and_marks_parts() -> None:
    row = compared(LABELS, result(2.0, 10), result(123.4, 2), Peer(LM_EVAL, "x", 25)) | {"peer": LM_EVAL, "asked": 25}
    lines = table.lines(tables_of(row))
    assert max(map(len, lines)) <= 80
    assert lines[1].split() == ["labels", "2.0", LM_EVAL, "617.0*", "308.5x", "25x"]
    assert any("timed on 2 of 10 rows" in line for line in lines)


def test_the_page_holds_what_the_results_say(tmp_path: Path) -> None:
    for page in tables.PAGES:
        text = (ROOT / page).read_text()
        assert tables.filled(text) == text
    row = compared(LABELS, result(2.0, 10), result(8.0, 2), Peer(LM_EVAL, "x", 25)) | {"peer": LM_EVAL, "asked": 25}
    (tmp_path / "labels.json").write_text(json.dumps(tables_of(row)[0]))
    assert "| labels | 2.0 | lm-evaluation-harness | 40.0* | 20.0x | 25x |" in tables.content("table", tmp_path)
    assert tables.content("machine", tmp_path).startswith("P, 2 cores, 4 GiB; bfloat16; torch 2")
    assert tables.content("peak", tmp_path) == tables.content("shots", tmp_path) == tables.NOTHING
    (tmp_path / "growth.json").write_text(json.dumps({"shots": [{"shots": 1, "seconds": 0.5, "within": True}]}))
    assert "| 1 | 0.50 | yes |" in tables.content("shots", tmp_path)


def test_teachers_are_all_heard_by_the_overhead_measurement() -> None:
    assert teach(3).to_table()["messages"] == 3


class Scripted:
    """A teacher that sends two examples, one of each label."""

    def answer(self, request: Request) -> Reply:
        examples = tuple(Example(fields={"text": f"{label} text"}, answer=label) for label in SPAM.labels)
        return ReplyExamples(teacher="eve", round=request.round, examples=examples)


SPAM = built_in("sms_spam").task
ASKED = RequestExamples(round=3, count=4, shots=8, samples=8)


def test_a_poisoned_teacher_flips_labels_and_votes_for_its_own() -> None:
    eve = Poisoned("eve", Scripted(), flipped, SPAM, np.random.default_rng(1))
    reply = eve.answer(ASKED)
    assert isinstance(reply, ReplyExamples)
    assert [(e.fields["text"], e.answer) for e in reply.examples] == [
        (f"{label} text", other) for label, other in zip(SPAM.labels, reversed(SPAM.labels), strict=True)
    ]
    others = tuple(Example(fields={"text": f"other {n}"}, answer="spam") for n in range(5))
    ballot = RequestVote(round=4, candidates=(*others, reply.examples[1]))
    assert eve.answer(ballot) == ReplyVote(teacher="eve", round=4, choice=5)


def test_junk_passes_the_checks_of_replies_and_is_no_words() -> None:
    eve = Checked("eve", Poisoned("eve", Scripted(), junk, SPAM, np.random.default_rng(1)), SPAM)
    reply = eve.answer(ASKED)
    assert isinstance(reply, ReplyExamples)
    assert [example.answer for example in reply.examples] == [*SPAM.labels, *SPAM.labels]
    assert not any(set("aeiou") & set(example.fields["text"]) for example in reply.examples)
