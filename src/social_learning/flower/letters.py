"""Letters: what Flower's messages hold: one text under one key, and nothing else is read."""

from flwr.app import ConfigRecord, Message, RecordDict

ASK = "query.ask"
"""A letter with an enquiry; the answer holds a response, or why there is none."""

WHO = "query.who"
"""A letter that asks a courier which teacher it carries for."""

ENQUIRY, RESPONSE, MISSING, TEACHER = "enquiry", "response", "missing", "teacher"
_TEXT = "text"


def content(key: str, text: str) -> RecordDict:
    """Return the content of a letter."""
    return RecordDict({key: ConfigRecord({_TEXT: text})})


def text_of(message: Message, key: str) -> str | None:
    """Return the text under a key where it is all that a letter holds; None for anything else."""
    if message.has_error() or set(message.content) != {key}:
        return None
    record = message.content[key]
    if not isinstance(record, ConfigRecord) or set(record) != {_TEXT}:
        return None
    text = record[_TEXT]
    return text if isinstance(text, str) else None
