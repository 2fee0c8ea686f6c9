"""Exported lessons in the tools they are for: the very lines of docs/export.md, run against the real libraries."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.endpoints.loopback import Answer, Handler, Loopback
from social_learning.export import Form, export
from social_learning.lesson import Lesson
from social_learning.task import Example
from social_learning.tasks import BUILT_IN

DOCS = Path(__file__).parents[1] / "docs" / "export.md"
DSPY = Path(sys.prefix) / "dspy"
SMS = BUILT_IN["sms_spam"].task
SHOTS = (
    Example(fields={"text": 'win "cash" é {text}'}, answer="spam"),
    Example(fields={"text": "see you\u2028soon"}, answer="not spam"),
)
WHOLE = Lesson(task=SMS, instruction="Decide, ü.", examples=SHOTS)
SHOTS_ONLY = Lesson(task=SMS, examples=SHOTS)
INSTRUCTION_ONLY = Lesson(task=SMS, instruction="Decide, ü.")
QUESTION = "WINNER! Call now to claim your prize"
DEMOS = [{**shot.fields, "answer": shot.answer} for shot in SHOTS]


def documented(form: str) -> str:
    """The lines of Python in a format's section of the page."""
    section = re.split(r"^## ", DOCS.read_text(encoding="utf-8"), flags=re.MULTILINE)
    (own,) = [text for text in section if text.startswith(f"{form}\n")]
    lines: list[str] = re.findall(r"```python\n(.*?)```", own, flags=re.DOTALL)
    assert len(lines) == 1
    return lines[0]


def loaded(folder: Path, lesson: Lesson, form: Form, tell: str, before: str = "", **environment: str) -> Any:
    """Export a lesson into the file that the page's lines read, run them in a process of its own, and return what the expression
    `tell` says afterwards.
    """
    lines = documented(form)
    (file,) = re.findall(r'"(lesson\.\w+)"', lines)
    (folder / file).write_text(export(lesson, form), encoding="utf-8")
    script = f"{before}\n{lines}\nimport json\nprint(json.dumps({tell}))\n"
    offline = {"HOME": str(folder), "HF_HOME": str(folder / "hf"), "HF_HUB_OFFLINE": "1", "NO_PROXY": "127.0.0.1"}
    plain = {key: value for key, value in os.environ.items() if key in ("PATH", "LANG", "TMPDIR")}
    ended = subprocess.run(
        [sys.executable, "-c", script],
        cwd=folder,
        env={**plain, **offline, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout.splitlines()[-1])


@pytest.mark.parametrize("lesson", [WHOLE, SHOTS_ONLY, INSTRUCTION_ONLY])
def test_text_becomes_the_students_prompt(tmp_path: Path, lesson: Lesson) -> None:
    assert loaded(tmp_path, lesson, "text", "prompt") == lesson.prompt({"text": QUESTION})


@pytest.mark.parametrize("lesson", [WHOLE, SHOTS_ONLY, INSTRUCTION_ONLY])
def test_a_chat_is_asked_at_an_endpoint(tmp_path: Path, lesson: Lesson, serve: Callable[[Handler], Loopback]) -> None:
    choice = {"index": 0, "message": {"role": "assistant", "content": "spam"}, "finish_reason": "stop"}
    completion = {"id": "1", "object": "chat.completion", "created": 0, "model": "MODEL", "choices": [choice]}
    server = serve(lambda _: Answer(completion))
    endpoint = {"OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": "none"}
    assert loaded(tmp_path, lesson, "chat-jsonl", "answer", **endpoint) == "spam"
    (asked,) = server.asked
    assert asked.path == "/v1/chat/completions"
    turns = [(turn["role"], turn["content"]) for turn in asked.body["messages"]]
    told = [
        turn for shot in lesson.examples for turn in (("user", SMS.question(shot.fields)), ("assistant", shot.answer))
    ]
    system = [("system", lesson.instruction)] if lesson.instruction else []
    assert turns == [*system, *told, ("user", SMS.question({"text": QUESTION}))]


def test_a_dataset_is_loaded(tmp_path: Path) -> None:
    shots = [[shot.fields["text"], shot.answer] for shot in SHOTS]
    assert loaded(tmp_path, WHOLE, "dataset", "shots") == shots


@pytest.mark.skipif(not DSPY.is_dir(), reason="dspy is not there: `make test` puts it into .venv/dspy")
@pytest.mark.parametrize("lesson", [WHOLE, SHOTS_ONLY, INSTRUCTION_ONLY])
def test_dspy_loads_demonstrations_and_instruction(tmp_path: Path, lesson: Lesson) -> None:
    before = """
import dspy
from dspy.utils import DummyLM
model = DummyLM([{"answer": "spam"}])
dspy.configure(lm=model)
"""
    tell = (
        "[answer, predict.signature.instructions, [dict(demo) for demo in predict.demos], model.history[0]['messages']]"
    )
    answer, instruction, demos, read = loaded(tmp_path, lesson, "dspy", tell, before, PYTHONPATH=str(DSPY))
    assert (answer, instruction) == ("spam", lesson.instruction)
    assert demos == [demo for demo in DEMOS if lesson.examples]
    assert SMS.instruction not in json.dumps(read, ensure_ascii=False)
    assert QUESTION in read[-1]["content"]
    assert len(read) == 2 + 2 * len(lesson.examples)
