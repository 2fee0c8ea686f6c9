"""Faults: what can go wrong with one attempt at a call, and what that means for the next."""


class Fault(Exception):  # noqa: N818  # never leaves this package
    """An attempt failed. `reason` says why in words of ours: what a server sends may repeat a prompt.

    `worked` is whether the endpoint may have done its work all the same, and may bill it.
    """

    def __init__(self, reason: str, worked: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.worked = worked


class Overloaded(Fault):
    """The endpoint is busy, broken for the moment, or out of reach: slow down and try again.

    `wait` is how many seconds the endpoint asked for, if it did; `status` the HTTP status, 0 where none came.
    """

    def __init__(self, reason: str, wait: float = 0.0, status: int = 0, worked: bool = False) -> None:
        super().__init__(reason, worked)
        self.wait = wait
        self.status = status


class Broken(Fault):
    """What came back makes no sense. It is never an answer; it may be one at the next attempt."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, worked=True)


class Empty(Broken):
    """What came back is well-formed, and holds no answer: no choice, no text, or an end that says that none was written."""


class Refused(Fault):
    """The endpoint does not do what it was asked, and will not do it at the next attempt either.

    `status` is the HTTP status, `too_long` whether the prompt does not fit the context.
    """

    def __init__(self, reason: str, status: int, too_long: bool = False) -> None:
        super().__init__(reason)
        self.status = status
        self.too_long = too_long


class Filtered(Refused):
    """A filter does not let the prompt, or the answer to it, through."""
