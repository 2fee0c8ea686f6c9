"""The data key: a random key that lies in the silos' private folder, and makes digests of private rows that say nothing to
whoever does not have it. Without a key, everybody could find out by a digest whether a guess of all rows is right.
"""

import hashlib
import hmac
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from filelock import FileLock

from social_learning.errors import RunFolderError

NAME = "data.key"
_BYTES = 32

KEYLESS = "data compared"
KEY_GONE = (
    "by counts alone: the key of its digest (data.key beside the silos' private folders) was not the one the run was begun with, so "
    "nobody can tell whether rows changed"
)


def data_key(private: Path) -> bytes:
    """Return the key of a private folder, drawn when it is first asked for; its owner alone may read it.

    Raises RunFolderError where the folder cannot be written, or the key is damaged.
    """
    file = private / NAME
    try:
        private.mkdir(parents=True, exist_ok=True, mode=0o700)
        with FileLock(private / f".{NAME}.lock", mode=0o600):
            if not file.exists():
                partial = private / f".{NAME}.partial"
                partial.unlink(missing_ok=True)
                with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
                    stream.write(secrets.token_hex(_BYTES) + "\n")
                    stream.flush()
                    os.fsync(stream.fileno())
                partial.replace(file)
            text = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise RunFolderError(f"cannot use {file}: {getattr(error, 'strerror', None) or 'it is damaged'}") from None
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != _BYTES:
        raise RunFolderError(
            f"{file} is damaged: delete it; runs that were begun with it then go on with data compared by counts alone"
        )
    return key


def keyed_digest(key: bytes, texts: Iterable[str]) -> dict[str, str]:
    """Return which key it is, and the HMAC-SHA-256 of texts in order under it."""
    digest = hmac.new(key, digestmod=hashlib.sha256)
    for text in texts:
        data = text.encode()
        digest.update(len(data).to_bytes(8, "big") + data)
    return {"key": hashlib.sha256(key).hexdigest()[:16], "hmac_sha256": digest.hexdigest()}
