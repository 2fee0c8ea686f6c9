"""Built-in tasks: one short file each, with the task's format and how its published rows become examples."""

from social_learning.errors import ConfigError
from social_learning.tasks import boolq, gsm8k, lambada, phone_messages, random_insertion, sms_spam
from social_learning.tasks.base import BuiltIn

BUILT_IN: dict[str, BuiltIn] = {
    built_in.task.name: built_in
    for built_in in (
        phone_messages.PHONE_MESSAGES,
        sms_spam.SMS_SPAM,
        sms_spam.SMS_SPAM_CLASSES,
        lambada.LAMBADA,
        boolq.BOOLQ,
        gsm8k.GSM8K,
        random_insertion.RANDOM_INSERTION,
    )
}
"""Every built-in task by name, in the order `social-learning tasks` lists them."""


def built_in(name: str) -> BuiltIn:
    """Return a built-in task; raises ConfigError that lists the known ones."""
    if name not in BUILT_IN:
        raise ConfigError(
            f"no built-in task {name!r}: there are {', '.join(BUILT_IN)}; or define one in a [task] table"
        )
    return BUILT_IN[name]
