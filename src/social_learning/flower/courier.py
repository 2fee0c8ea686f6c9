"""The courier: brings an enquiry to the teacher's local socket and its response back. It knows no private path.

Whatever goes wrong is told in a fixed word, by `client.py` what is raised here.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from flwr.app import Context, Message

from social_learning.flower.letters import ENQUIRY, MISSING, RESPONSE, TEACHER, content, text_of
from social_learning.messages import ENQUIRY_BYTES, NAME_FORM
from social_learning.transports.carrier import Missing
from social_learning.transports.sockets import ask_socket

SOCKET = "socket"
"""The key of a SuperNode's node config that says where the teacher listens."""

NAME = "teacher"
"""The key that says the teacher's name."""


def carry(message: Message, context: Context) -> Message:
    """Forward an enquiry; wait for the response no longer than the letter lives."""
    result = _forward(text_of(message, ENQUIRY), context.node_config, message.metadata.ttl)
    answer = content(MISSING, result.reason) if isinstance(result, Missing) else content(RESPONSE, result)
    return Message(answer, reply_to=message)


def say_who(message: Message, context: Context) -> Message:
    """Say which teacher this courier carries for; nothing where its node config does not."""
    name = context.node_config.get(NAME)
    known = isinstance(name, str) and re.fullmatch(NAME_FORM, name)
    return Message(content(TEACHER, str(name) if known else ""), reply_to=message)


def _forward(text: str | None, node: Mapping[str, object], ttl: float) -> str | Missing:
    path = node.get(SOCKET)
    if text is None or not isinstance(path, str):
        return Missing("failed")
    letter = text.encode()
    if len(letter) > ENQUIRY_BYTES or b"\n" in letter:
        return Missing("failed")
    answer = ask_socket(Path(path), letter, ttl)
    return answer if isinstance(answer, Missing) else answer.decode()
