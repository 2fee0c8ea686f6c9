"""GSM8K: a grade-school word problem, solved step by step."""

from social_learning.task import Example, Task
from social_learning.tasks.base import BuiltIn, keep

FORMAT_NOTE = "The last line of an answer is #### and then the final number, such as: #### 12"
"""A note on the format alone, in one line: with it the paper tells a zero-shot student how an answer ends."""

GSM8K = BuiltIn(
    task=Task(
        name="gsm8k",
        template="Question: {question}\nAnswer: {answer}",
        metric="number",
        answer_marker="####",
        answer_pattern=r"(?:(?!\n\n)[\s\S])+?\n#### [-+]?[\d.,]+",
        multiline=("answer",),
        max_answer_tokens=256,
        max_example_tokens=320,
        instruction=(
            "You will read a word problem. Solve it step by step, one step a line. Write every calculation between double angle "
            "brackets with its result, such as <<3*4=12>>. End with a last line that holds four hash marks, a blank and the final "
            "number alone, such as: #### 12"
        ),
    ),
    train="gsm8k/train.jsonl.gz",
    test="gsm8k/test.jsonl.gz",
    convert=keep,
    invented=Example(
        fields={"question": "Ada bakes 3 trays of 12 rolls and sells 20 of them. How many rolls are left?"},
        answer="She bakes 3*12 = <<3*12=36>>36 rolls.\n36-20 = <<36-20=16>>16 rolls are left.\n#### 16",
    ),
    source="GSM8K (Cobbe et al., 2021): training rows for the teachers, 500 rows of the test set, the same in every run",
    test_rows=500,
)
