"""Client: one HTTP request and what became of it. The only module that knows of HTTP."""

import asyncio
import email.utils
import json
import math
import re
import time
from typing import Any

import httpx2

from social_learning.models.endpoint.faults import Broken, Overloaded, Refused
from social_learning.models.endpoint.settings import Endpoint, read_key

BUSY = frozenset({408, 409, 425, 429})
"""Statuses below 500 after which the same request may be answered later."""

LONGEST_WAIT = 600.0
"""The longest pause, in seconds, that an endpoint can ask for."""

_CODE = re.compile(r"[a-z][a-z0-9_]{0,50}")
_TOO_LONG = re.compile(r"context[_ ](length|size|window)|too long", re.IGNORECASE)


class Client:
    """Sends JSON to an endpoint and returns JSON. Use it in one event loop only.

    Every failure becomes a Fault in words of ours: neither the key nor what the server sent stands in it.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        headers = {"Content-Type": "application/json", "User-Agent": "social-learning", **dict(endpoint.headers)}
        key = read_key(endpoint)
        if key is not None:
            bearer = endpoint.key_header.lower() == "authorization"
            headers[endpoint.key_header] = f"Bearer {key}" if bearer else key
        self._endpoint = endpoint
        self._http = httpx2.AsyncClient(
            headers=headers,
            timeout=endpoint.timeout,
            trust_env=not endpoint.local,
            # Certificates take a while to load, and plain HTTP needs none.
            verify=not endpoint.base_url.startswith("http:"),
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=endpoint.concurrency),
        )

    async def get(self, url: str) -> Any:
        """Return what is at an address."""
        return await self._send("GET", url, None)

    async def post(self, url: str, body: dict[str, Any]) -> Any:
        """Send a request and return its answer."""
        return await self._send("POST", url, json.dumps(body).encode())

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def _send(self, method: str, url: str, content: bytes | None) -> Any:
        try:
            async with asyncio.timeout(self._endpoint.timeout):  # httpx limits each read, not all of them together
                response = await self._http.request(method, url, content=content)
        except (TimeoutError, httpx2.TimeoutException):
            raise Overloaded(f"no answer within {self._endpoint.timeout:g} s") from None
        except httpx2.ConnectError:
            raise Overloaded("no connection") from None
        except httpx2.DecodingError:
            raise Broken("an answer that cannot be decompressed") from None
        except httpx2.TransportError as error:
            raise Overloaded(f"the connection was lost ({type(error).__name__})") from None
        if response.status_code == 200:
            try:
                return json.loads(response.content)
            except ValueError:
                raise Broken("an answer that is no whole JSON") from None
        raise self._fault(response)

    def _fault(self, response: httpx2.Response) -> Overloaded | Refused:
        status, code = response.status_code, _code_of(response.content)
        told = f"HTTP {status}" + (f" ({code})" if code else "")
        if code == "insufficient_quota":
            return Refused(f"{told}: the account has no credit left", status)
        if status in BUSY or (status >= 500 and status not in (501, 505)):
            return Overloaded(told, _wait(response.headers.get("retry-after", "")), status)
        if status in (401, 403):
            variable = self._endpoint.key_env
            hint = f"the key in {variable}" if variable else "a [models.NAME] table with key_env for its key"
            return Refused(f"{told}: it wants another key: check {hint}", status)
        if 300 <= status < 400:
            return Refused(f"{told}: it points to another address: put that into base_url", status)
        return Refused(told, status, status in (400, 413, 422) and bool(_TOO_LONG.search(response.text)))


def _code_of(content: bytes) -> str:
    """The code of an OpenAI-style error, where it is a plain word; its message may repeat the prompt."""
    try:
        error = json.loads(content)["error"]
        candidates = [error.get("code"), error.get("type")]
    except (ValueError, TypeError, KeyError, AttributeError):
        return ""
    return next((code for code in candidates if isinstance(code, str) and _CODE.fullmatch(code)), "")


def _wait(header: str) -> float:
    """Seconds that a Retry-After header asks for: a number, or a date (RFC 9110, 10.2.3); 0 where it says nothing."""
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(header).timestamp() - time.time()
        except ValueError:
            return 0.0
    return min(max(seconds, 0.0), LONGEST_WAIT) if math.isfinite(seconds) else 0.0
