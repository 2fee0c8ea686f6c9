"""LAMBADA: the last word of a passage from a novel."""

from collections.abc import Mapping

from social_learning.task import Example, Task
from social_learning.tasks.base import BuiltIn


def convert(row: Mapping[str, object]) -> Mapping[str, object]:
    """The only column is `text`, whose last word is the answer."""
    text = row.get("text")
    if not isinstance(text, str) or len(text.split()) < 2:
        return {name: value for name, value in row.items() if name != "text"}
    passage, answer = text.rstrip().rsplit(maxsplit=1)
    return {"passage": passage, "answer": answer}


LAMBADA = BuiltIn(
    task=Task(
        name="lambada",
        template="Fill in blank:\n\n{passage} ____ -> {answer}",
        metric="exact",
        cloze=True,
        answer_pattern=r"[^\s]+",
        max_answer_tokens=8,
        max_example_tokens=160,
        instruction=(
            'You will read a passage from a story. Its last word is missing and stands as "____". Say which single word is missing. '
            "It follows from the whole passage, and it has often been mentioned before. Answer with that one word after the arrow."
        ),
    ),
    train="lambada/train.jsonl.gz",
    test="lambada/test_plain.jsonl.gz",
    convert=convert,
    invented=Example(
        fields={
            "passage": "mira put the lantern on the sill , as every night . if he came home late , he would see the"
        },
        answer="lantern",
    ),
    source=(
        "LAMBADA (Paperno et al., 2016). Teachers' examples come from the development set, which exists only in lower case and "
        "tokenised; so the test set is the original tokenised one too, and not OpenAI's natural text: like is paired with like. "
        "500 test rows, the same in every run"
    ),
    test_rows=500,
)
