"""Random Insertion: a word with a random punctuation mark or blank between its letters, to be restored."""

from collections.abc import Mapping

from social_learning.task import Example, Task
from social_learning.tasks.base import BuiltIn


def convert(row: Mapping[str, object]) -> Mapping[str, object]:
    """The columns are `context`, which ends in `=`, and `completion`."""
    context, completion = row.get("context"), row.get("completion")
    if not isinstance(context, str) or completion is None:
        return row
    return {"scrambled": context.strip().removesuffix("="), "answer": completion}


RANDOM_INSERTION = BuiltIn(
    task=Task(
        name="random_insertion",
        template="{scrambled} = {answer}",
        metric="exact",
        answer_pattern=r"[^\s]+",
        max_answer_tokens=12,
        max_example_tokens=48,
        instruction=(
            "You will read a word into which marks have been put: after each letter stands one mark, a full stop, a slash, an "
            "exclamation mark or a blank. Take the marks out and write the word after the equals sign."
        ),
    ),
    train="random_insertion/train.jsonl.gz",
    test="random_insertion/test.jsonl.gz",
    convert=convert,
    invented=Example(fields={"scrambled": "l/a!n t.e/r!n"}, answer="lantern"),
    source=(
        "Random insertion in word (Brown et al., 2020): 8,000 words for the teachers, 500 of 2,000 held-out words, the same in "
        "every run"
    ),
    test_rows=500,
)
