"""Client: one HTTP request and what became of it. The only module that knows of HTTP."""

import asyncio
import json
import re
import time
from typing import Any

import httpx2

from social_learning.models.endpoint.faults import Broken, Filtered, Overloaded, Refused
from social_learning.models.endpoint.settings import Endpoint, read_key
from social_learning.models.endpoint.waits import wait_of

BUSY = frozenset({408, 409, 425, 429})
"""Statuses below 500 after which the same request may be answered later."""

FILTERS = frozenset({"content_filter", "content_policy_violation", "moderation_blocked", "data_inspection_failed"})
"""Codes by which hosts say that a filter of theirs refused a prompt or an answer: Azure, OpenAI, Alibaba."""

_CODE = re.compile(r"[a-z][a-z0-9_]{0,50}")
_TOO_LONG = re.compile(
    r"context[_ ](length|size|window)|too long|(maximum|max)[_ ]model[_ ]len|maximum number of tokens|reduce the length",
    re.IGNORECASE,
)
"""How servers say that a prompt does not fit: llama-server, SGLang, Ollama and LM Studio; vLLM; Gemini; Groq."""


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
            raise Overloaded(f"no answer within {self._endpoint.timeout:g} s", worked=True) from None
        except httpx2.ConnectError:
            raise Overloaded("no connection") from None
        except httpx2.DecodingError:
            raise Broken("an answer that cannot be decompressed") from None
        except httpx2.TransportError as error:
            raise Overloaded(f"the connection was lost ({type(error).__name__})", worked=True) from None
        if response.status_code == 200:
            try:
                answer = json.loads(response.content)
            except ValueError:
                page = response.content.lstrip()[:1] == b"<"
                raise Broken(
                    "a web page instead of JSON: check base_url" if page else "an answer that is no whole JSON"
                ) from None
            if isinstance(answer, dict) and answer.get("error") and "choices" not in answer:
                if _filtered(response.content):
                    raise Filtered(f"HTTP 200 with an error in it{_told(response.content)}", 200)
                # LM Studio does so where it knows no such path, and routers where the host behind them failed.
                raise Broken(f"HTTP 200 with an error in it{_told(response.content)}: check base_url and model")
            return answer
        raise self._fault(response)

    def _fault(self, response: httpx2.Response) -> Overloaded | Refused:
        status, told = response.status_code, f"HTTP {response.status_code}{_told(response.content)}"
        if 400 <= status < 500 and _filtered(response.content):
            return Filtered(told, status)
        if "insufficient_quota" in told:
            return Refused(f"{told}: the account has no credit left", status)
        if status in BUSY or (status >= 500 and status not in (501, 505)):
            return Overloaded(told, wait_of(response.headers, time.time()), status)
        if status in (401, 403):
            variable = self._endpoint.key_env
            hint = f"the key in {variable}" if variable else "a [models.NAME] table with key_env for its key"
            return Refused(f"{told}: it wants another key: check {hint}", status)
        if 300 <= status < 400:
            return Refused(f"{told}: it points to another address: put that into base_url", status)
        return Refused(told, status, status in (400, 413, 422) and bool(_TOO_LONG.search(response.text)))


def _told(content: bytes) -> str:
    """The code of an OpenAI-style error, and what parameter it is about, in parentheses, where they are plain words; its
    message may repeat the prompt.
    """
    try:
        error = json.loads(content)["error"]
        found = [error.get("code") or error.get("type"), error.get("type"), error.get("param")]
    except (ValueError, TypeError, KeyError, AttributeError):
        return ""
    code, kind, about = (word if isinstance(word, str) and _CODE.fullmatch(word) else "" for word in found)
    words = [word for word in (code or kind, about) if word]
    return f" ({': '.join(words)})" if words else ""


def _filtered(content: bytes) -> bool:
    """Whether an error says that a filter refused: by its code, or as OpenRouter does, by what was flagged."""
    try:
        error = json.loads(content)["error"]
        about = error.get("metadata")
        return error.get("code") in FILTERS or error.get("type") in FILTERS or "flagged_input" in (about or ())
    except (ValueError, TypeError, KeyError, AttributeError):
        return False
