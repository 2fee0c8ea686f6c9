"""Loopback: a small HTTP server in a thread of its own, whose answers are made by a function. It can misbehave on purpose."""

import asyncio
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: how many came before it, method, path, headers in lower case, and its JSON."""

    number: int
    method: str
    path: str
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer. `body` is sent as JSON, bytes as they are.

    `cut`: only half of the body comes, and the connection is closed. `drop`: the connection is closed without a word.
    `delay`: so many seconds pass before the body, which comes after the head.
    """

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False
    drop: bool = False
    delay: float = 0.0


Handler = Callable[[Asked], Answer]


class Loopback:
    """Serves on a free port of 127.0.0.1 while it is open. `url` ends in `/v1`; `asked` keeps all requests, if wanted."""

    def __init__(self, handler: Handler, remember: bool = True) -> None:
        self._remember, self._count = remember, 0
        self.asked: list[Asked] = []
        self._handler = handler
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._connections: set[_Connection] = set()
        self._server: asyncio.Server | None = None
        self.url = ""

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._serve(), self._loop).result()
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/v1"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _serve(self) -> asyncio.Server:
        return await self._loop.create_server(lambda: _Connection(self), "127.0.0.1", 0)

    async def _end(self) -> None:
        if self._server:
            self._server.close()
        for connection in list(self._connections):
            connection.close()
        await asyncio.sleep(0)

    def answer(self, method: str, path: str, headers: Mapping[str, str], content: bytes) -> Answer:
        """Keep a request and have it answered."""
        asked = Asked(self._count, method, path, headers, json.loads(content) if content else None)
        self._count += 1
        if self._remember:
            self.asked.append(asked)
        return self._handler(asked)

    def opened(self, connection: "_Connection", open: bool) -> None:
        """Remember which connections are open."""
        (self._connections.add if open else self._connections.discard)(connection)


class _Connection(asyncio.Protocol):
    """One connection: HTTP/1.1 with Content-Length, one request after the other."""

    def __init__(self, server: Loopback) -> None:
        self._server = server
        self._seen = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # a server's transports can write
        self._server.opened(self, True)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's signature
        self._server.opened(self, False)

    def close(self) -> None:
        """Close the connection."""
        if self._transport:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._seen += data
        head, found, rest = self._seen.partition(b"\r\n\r\n")
        if not found:
            return
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", 0))
        if len(rest) < length:
            return
        self._seen = rest[length:]
        method, path, _ = first.split(" ")
        self._send(self._server.answer(method, path, headers, rest[:length]))

    def _send(self, answer: Answer) -> None:
        if self._transport is None or answer.drop:
            self.close()
            return
        body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        fields = {"Content-Type": "application/json", "Content-Length": str(len(body)), **answer.headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        head = f"HTTP/1.1 {answer.status} -\r\n{lines}\r\n".encode()
        if answer.cut:
            self._transport.write(head + body[: len(body) // 2])
            self._transport.close()
        elif answer.delay:
            self._transport.write(head)
            asyncio.get_running_loop().call_later(answer.delay, self._finish, body)
        else:
            self._transport.write(head + body)

    def _finish(self, body: bytes) -> None:
        if self._transport and not self._transport.is_closing():
            self._transport.write(body)
