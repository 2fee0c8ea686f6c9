"""Continuation: a text to be continued, told as one user message to a model that only chats, and its reply read back."""

from collections.abc import Sequence

_REQUEST = (
    "Below the line is the beginning of a text. Write what comes next, and nothing else: start right after its last "
    "character, keep to its format, do not repeat any of it, and add no explanation.{end}\n---\n{text}"
)
_ENDS = {"\n": " Write one line only.", "\n\n": " Leave no line blank."}


def continuation_request(text: str, stop: Sequence[str]) -> str:
    """Return the user message that asks for the continuation of `text` up to one of the `stop` texts."""
    return _REQUEST.format(end="".join(_ENDS.get(ending, "") for ending in stop), text=text)


def continuation_of(text: str, reply: str) -> tuple[str, int]:
    """Read a reply as the continuation of `text`; return it, and how many characters of the reply it leaves out in front.

    Models that chat often repeat the last line of what they continue, and leave out the blank that follows it: the first
    goes, the second is put back.
    """
    rest = reply.lstrip()
    last_line = text.rstrip().rpartition("\n")[2].strip()
    after = rest.removeprefix(last_line)
    # A line that ends in a letter may also be the beginning of a longer word.
    if last_line and after != rest and not (last_line[-1].isalnum() and after[:1].isalnum()):
        rest = after.lstrip()
    blank = " " if rest and text and not text[-1].isspace() else ""
    return blank + rest, len(reply) - len(rest)
