"""BoolQ: a yes/no question about a passage."""

from collections.abc import Mapping

from social_learning.task import Example, Task
from social_learning.tasks.base import BuiltIn


def convert(row: Mapping[str, object]) -> Mapping[str, object]:
    """The columns are `passage`, `question` and `answer`, which is true or false."""
    answer = row.get("answer")
    spelled = {"true": "yes", "false": "no"}.get(str(answer).lower(), answer)
    return {**row, "answer": spelled}


BOOLQ = BuiltIn(
    task=Task(
        name="boolq",
        template="{passage}\nQuestion: {question}\nAnswer: {answer}",
        labels=("yes", "no"),
        metric="labels",
        max_answer_tokens=4,
        max_example_tokens=256,
        instruction=(
            'You will read a passage and then a question about it. Answer the question with "yes" or "no". Rely on what the passage '
            "says; where it does not say it outright, infer the likelier answer from it."
        ),
    ),
    train="boolq/train.jsonl.gz",
    test="boolq/test.jsonl.gz",
    convert=convert,
    invented=Example(
        fields={
            "passage": "Lake Orrin freezes from December to March. Its ferry runs only in ice-free months.",
            "question": "does the lake orrin ferry run in january",
        },
        answer="no",
    ),
    source="BoolQ (Clark et al., 2019): training rows for the teachers, 500 rows of the development set, the same in every run",
    test_rows=500,
)
