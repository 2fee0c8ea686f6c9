"""Phone messages: the data set that comes with this package. Invented text messages, spam or not, for the demo."""

from social_learning.task import Example
from social_learning.tasks.base import BuiltIn
from social_learning.tasks.sms_spam import SMS_SPAM_CLASSES, convert

PHONE_MESSAGES = BuiltIn(
    task=SMS_SPAM_CLASSES.task.variant(name="phone_messages"),
    train="bundled:phone_messages.jsonl",
    test=None,
    convert=convert,
    invented=Example(fields={"text": "Running ten minutes late, save me a seat by the window x"}, answer="not spam"),
    source="420 short messages written for this project, half of them spam; every name, number and link is invented",
    pooled=True,
    test_rows=120,
)
