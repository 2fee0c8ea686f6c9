"""The carrier over Flower: one letter to each SuperNode, and what came back in time."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

from flwr.app import Message
from flwr.serverapp import Grid
from google.protobuf.message import DecodeError

from social_learning.flower.letters import ASK, ENQUIRY, MISSING, RESPONSE, TEACHER, WHO, content, text_of
from social_learning.transports.carrier import Missing

EXPIRED, UNAVAILABLE = 3, 5
"""Flower's codes for a message whose time has passed, and for a node that is gone."""

REASONS = frozenset({"unreachable", "timed_out", "hung_up", "too_long", "failed"})
"""What a courier may say; any other word of its is garbage, and is not repeated."""


UNREADABLE = (AttributeError, DecodeError, LookupError, RecursionError, TypeError, ValueError)
"""What Flower raises for a reply whose bytes it cannot read; errors of the network are none of these."""


@dataclass(frozen=True, slots=True)
class Clock:
    """Time as an argument: `now` in seconds, and how to wait."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    poll: float = 0.5


class GridCarrier:
    """Carries rounds to SuperNodes, given by teacher. Letters expire after `timeout` seconds, and are waited for no longer.

    A reply is taken for the letter it answers, whatever it says of itself, and only once.
    """

    def __init__(self, grid: Grid, nodes: Mapping[str, int], timeout: float, clock: Clock | None = None) -> None:
        self._grid, self._nodes, self._timeout = grid, dict(nodes), timeout
        self._clock = clock or Clock()

    def carry(self, letters: Mapping[str, bytes]) -> Iterator[tuple[str, bytes | Missing]]:
        """Send all letters and wait for the answers."""
        yield from ((name, Missing("unreachable")) for name in letters if name not in self._nodes)
        known = [name for name in letters if name in self._nodes]
        messages = [_letter(ENQUIRY, letters[name].decode(), self._nodes[name], ASK, self._timeout) for name in known]
        for number, message in exchange(self._grid, messages, self._timeout, self._clock):
            yield known[number], message if isinstance(message, Missing) else _read(message)


def exchange(
    grid: Grid, messages: list[Message], timeout: float, clock: Clock
) -> Iterator[tuple[int, Message | Missing]]:
    """Send messages and yield each one's number and the first reply to it, as they come; waits for at most `timeout` seconds.

    A message that could not be sent is unreachable, and a reply that cannot be read is garbage.
    """
    deadline = clock.now() + timeout
    ids = _push(grid, messages)
    yield from ((number, Missing("unreachable")) for number, id in enumerate(ids) if id is None)
    waiting = {id: number for number, id in enumerate(ids) if id is not None}
    while waiting:
        for id, message in _pull(grid, list(waiting)):
            yield waiting.pop(id), message
        if clock.now() >= deadline:
            return
        if waiting:
            clock.sleep(clock.poll)


def _push(grid: Grid, messages: list[Message]) -> list[str | None]:
    """Send messages; returns their ids, None for each that was not taken. All at once, or, where they are too large, none."""
    ids = [id or None for id in grid.push_messages(messages)] if messages else []
    return ids if len(ids) == len(messages) else [None] * len(messages)


def _pull(grid: Grid, ids: list[str]) -> Iterator[tuple[str, Message | Missing]]:
    """Return what came in answer to messages, with their ids.

    Each is asked for by itself: where a reply's bytes cannot be read, Flower raises, and all that it was handed with is lost.
    """
    for id in ids:
        try:
            came = list(grid.pull_messages([id]))
        except UNREADABLE:
            yield id, Missing("garbage")
            continue
        # Errors that the SuperLink makes up carry its own node id: only what a reply answers tells whose it is.
        yield from [(id, message) for message in came if message.metadata.reply_to_message_id == id][:1]


def find_teachers(
    grid: Grid,
    names: Collection[str],
    pinned: Mapping[str, int],
    wait: float,
    clock: Clock | None = None,
) -> dict[str, int]:
    """Return the SuperNode of each teacher: pinned ones as they are, others by what the nodes say within `wait` seconds.

    Every node that was there while a name was missing is heard, also when each name has its node: one that two nodes claim belongs
    to neither. Teachers that did not show up are absent.
    """
    clock = clock or Clock()
    found = {name: node for name, node in pinned.items() if name in names}
    claimed: dict[str, set[int]] = {}
    waiting: dict[str, int] = {}
    asked = set(found.values())
    deadline = clock.now() + wait
    while set(names) - set(found) - set(claimed) or waiting:
        new = [node for node in grid.get_node_ids() if node not in asked]
        asked.update(new)
        left = max(clock.poll, deadline - clock.now())
        sent = _push(grid, [_letter(TEACHER, "?", node, WHO, left) for node in new])
        waiting |= {id: node for id, node in zip(sent, new, strict=True) if id is not None}
        for id, message in _pull(grid, list(waiting)):
            node = waiting.pop(id)
            name = None if isinstance(message, Missing) else text_of(message, TEACHER)
            if name is not None and name in names and name not in found:
                claimed.setdefault(name, set()).add(node)
        if clock.now() >= deadline:
            break
        clock.sleep(clock.poll)
    return found | {name: min(nodes) for name, nodes in claimed.items() if len(nodes) == 1}


def _letter(key: str, text: str, node: int, kind: str, ttl: float) -> Message:
    return Message(content(key, text), node, kind, ttl=ttl, group_id=kind)


def _read(message: Message) -> bytes | Missing:
    if message.has_error():
        # The reason may hold the text of an exception at the site; only the code is read.
        reasons = {EXPIRED: "timed_out", UNAVAILABLE: "unreachable"}
        return Missing(reasons.get(message.error.code, "failed"))
    response = text_of(message, RESPONSE)
    if response is not None:
        # A lone surrogate is no text; it becomes one that is read as garbage.
        return response.encode(errors="replace")
    reason = text_of(message, MISSING)
    return Missing(reason if reason in REASONS else "garbage")
