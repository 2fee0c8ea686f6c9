"""Links: addresses of pages in a text, with or without `https://`, known by the endings that the Public Suffix List has."""

import re
from collections.abc import Iterator
from functools import lru_cache

from publicsuffixlist import PublicSuffixList

RESERVED = frozenset(["example", "test", "invalid", "localhost", "local", "onion", "internal"])
"""Endings that no registry sells (RFC 2606, 6762, 7686): invented texts have them, and private networks."""

_WORDS = (
    "am as at be by call cash chat date day do faith free fun got help here how im in is it la like live lol love ma md me men "
    "mobile my new news no now one online pa phone pm py so space store to today top uno us vote win work you zip"
)
"""Endings that are words, or endings of files: `home.so` is two sentences more often than a link."""

_LABEL = r"[^\W_](?:[\w-]*[^\W_])?"
_LINK = re.compile(
    rf"(?P<scheme>https?://)[^\s<>\"']+|(?<![\w@.-])(?P<host>{_LABEL}(?:\.{_LABEL})+)(?P<port>:\d+)?(?P<path>[/?#][^\s<>\"']*)?(?!@)",
    re.IGNORECASE,
)


@lru_cache(maxsize=1)
def _suffixes() -> PublicSuffixList:
    """The list as the library brings it; nothing is fetched."""
    return PublicSuffixList(accept_unknown=False)


def links_in(text: str) -> Iterator[re.Match[str]]:
    """Find the links of a text.

    A link begins with `http://` or `https://`; or it is a host whose ending is known. Without `www.` and without a page behind
    the host, an ending does not count that is a word too, or is written like the beginning of a sentence (`news.By`).
    """
    return (match for match in _LINK.finditer(text) if match["scheme"] or _is_host(match))


def host_of(link: str) -> str:
    """Return what a link is compared by: its host in lower case, without `www.` and without the page. Another page of
    the same site is the same link.
    """
    rest = re.sub(r"^https?://", "", link.casefold())
    host = re.split(r"[/?#]", rest, maxsplit=1)[0].rpartition("@")[2]
    return re.sub(r":\d*$", "", host).removeprefix("www.").rstrip(".,;:!?)")


def _is_host(match: re.Match[str]) -> bool:
    host, ending = match["host"].casefold(), match["host"].rpartition(".")[2]
    known = ending.casefold() in RESERVED or _suffixes().privatesuffix(host) is not None
    if not known or host.startswith("www.") or match["path"]:
        return known
    return ending.casefold() not in _WORDS.split() and not ending.istitle()
