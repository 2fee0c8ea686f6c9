"""The carrier over Flower: one letter to each SuperNode, and what came back in time."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

from flwr.app import Message
from flwr.serverapp import Grid

from social_learning.flower.letters import ASK, ENQUIRY, MISSING, RESPONSE, TEACHER, WHO, content, text_of
from social_learning.transports.carrier import Missing

EXPIRED, UNAVAILABLE = 3, 5
"""Flower's codes for a message whose time has passed, and for a node that is gone."""

REASONS = frozenset({"unreachable", "timed_out", "hung_up", "too_long", "failed"})
"""What a courier may say; any other word of its is garbage, and is not repeated."""


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
            yield known[number], _read(message)


def exchange(grid: Grid, messages: list[Message], timeout: float, clock: Clock) -> Iterator[tuple[int, Message]]:
    """Send messages and yield each one's number and the first reply to it, as they come, for at most `timeout` seconds."""
    if not messages:
        return
    deadline = clock.now() + timeout
    waiting = {id: number for number, id in enumerate(grid.push_messages(messages)) if id}
    while waiting:
        for message in grid.pull_messages(list(waiting)):
            # Errors that the SuperLink makes up carry its own node id: only what a reply answers tells whose it is.
            number = waiting.pop(message.metadata.reply_to_message_id, None)
            if number is not None:
                yield number, message
        if clock.now() >= deadline:
            return
        if waiting:
            clock.sleep(clock.poll)


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
        sent = grid.push_messages([_letter(TEACHER, "?", node, WHO, left) for node in new]) if new else ()
        waiting |= {id: node for id, node in zip(sent, new, strict=True) if id}
        for message in grid.pull_messages(list(waiting)) if waiting else ():
            node = waiting.pop(message.metadata.reply_to_message_id, None)
            name = text_of(message, TEACHER)
            if node is not None and name is not None and name in names and name not in found:
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
