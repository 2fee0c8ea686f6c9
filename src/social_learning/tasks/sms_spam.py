"""SMS Spam: is a text message spam? In two formats, without and with the list of classes."""

from collections.abc import Mapping

from social_learning.task import Example, Task
from social_learning.tasks.base import BuiltIn

SOURCE = (
    "SMS Spam Collection v.1 (Almeida, Gomez Hidalgo, Yamakami, 2011): both files joined, repeated messages dropped, balanced by "
    "undersampling without replacement, 500 of them fixed as the test set; 'ham' reads 'not spam'"
)

_INVENTED = Example(
    fields={"text": "You have been picked for a free weekend in Larkhaven! Text SUN to 555-0142 before midnight"},
    answer="spam",
)


def convert(row: Mapping[str, object]) -> Mapping[str, object]:
    """The columns are `text` and `label`, which is `ham` or `spam`."""
    renamed = {"answer" if name == "label" else name: value for name, value in row.items()}
    if renamed.get("answer") == "ham":
        renamed["answer"] = "not spam"
    return renamed


def _built_in(task: Task) -> BuiltIn:
    return BuiltIn(
        task=task,
        train="sms_spam/train.jsonl.gz",
        test="sms_spam/test.jsonl.gz",
        convert=convert,
        invented=_INVENTED,
        source=SOURCE,
        pooled=True,
        test_rows=500,
    )


SMS_SPAM = _built_in(
    Task(
        name="sms_spam",
        template="Text: {text}\nClass: {answer}",
        labels=("spam", "not spam"),
        metric="labels",
        max_answer_tokens=8,
        max_example_tokens=96,
        instruction=(
            "You will read one text message from a mobile phone. Decide whether it is spam. Answer with one of two classes: "
            '"spam" for messages sent in bulk by strangers, such as advertisements, prizes, loans, premium numbers and '
            'requests to call or click; "not spam" for messages between people who know each other.'
        ),
    )
)

SMS_SPAM_CLASSES = _built_in(
    SMS_SPAM.task.variant(name="sms_spam_classes", template='Text: {text}\nClass ("spam" or "not spam"): {answer}')
)
