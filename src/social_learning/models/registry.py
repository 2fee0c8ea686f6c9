"""The registry: from a model's name to a model."""

import importlib.util
from collections.abc import Callable
from typing import Any

from social_learning.errors import ModelError
from social_learning.models.base import LanguageModel
from social_learning.models.endpoint.settings import UNKNOWN_LENGTH, Endpoint, estimated_tokens, is_endpoint, parse_name
from social_learning.models.fakes import CopycatModel, MixerModel

FAKES = {"fake:copycat": CopycatModel, "fake:mixer": MixerModel}


def is_fake(name: str) -> bool:
    """Whether a name is that of a stand-in, which knows no language."""
    return name.startswith("fake:")


def load_model(name: str, **options: Any) -> LanguageModel:
    """Load a model by name.

    `smollm2-135m-instruct` is the embedded default; a folder, a GGUF file (`*.gguf`) or a Hub id (`org/name`,
    `org/name@revision`) is loaded by transformers in this process, with the options `dtype` (auto, float32, bfloat16,
    float16), `device` (auto, cpu, cuda) and `memory` (auto, bytes, or a text as in `512 MiB`: what a batch may take
    besides the weights).
    `openai:<model>@<base-url>` is a model behind an OpenAI-compatible endpoint; instead of its name's settings it takes
    `endpoint`, an Endpoint with any name, and `purse`, the budget it is paid from. `fake:copycat` and `fake:mixer` are
    deterministic stand-ins that know no language.

    Raises ModelError, saying what to do, for unknown names and options, and for a missing extra.
    """
    if is_fake(name):
        if name not in FAKES:
            raise ModelError(f"no fake named {name!r}: there are {', '.join(FAKES)}")
        return FAKES[name](name)
    if is_endpoint(name) or "endpoint" in options:
        return _load_endpoint(name, **options)
    unknown = set(options) - {"dtype", "device", "memory"}
    if unknown:
        raise ModelError(f"unknown model option {min(unknown)!r}: local models take dtype, device and memory")
    _check_local(name)
    from social_learning.models.local.model import load_local

    return load_local(name, **options)


def _load_endpoint(name: str, endpoint: Endpoint | None = None, **options: Any) -> LanguageModel:
    useless = [key for key in ("dtype", "device", "memory") if options.pop(key, "auto") != "auto"]
    if useless:
        raise ModelError(f"model {name!r} runs behind an endpoint: {useless[0]} has no effect on it, leave it out")
    endpoint = endpoint or parse_name(name)
    if importlib.util.find_spec("httpx2") is None:
        raise ModelError(
            f"model {name!r} is behind an endpoint and needs httpx2: pip install 'social-learning[endpoint]'"
        )
    from social_learning.models.endpoint.model import EndpointModel

    return EndpointModel(endpoint, **options)


def _check_local(name: str) -> None:
    missing = [module for module in ("torch", "transformers") if importlib.util.find_spec(module) is None]
    if missing:
        raise ModelError(
            f"model {name!r} runs in this process and needs {' and '.join(missing)}: pip install 'social-learning[local]'"
        )


def load_context_length(name: str) -> int:
    """Return how many tokens a model's prompt and continuation may have together, without loading its weights. Raises
    ModelError as `load_model` does. An endpoint is not asked: it is taken to have room.
    """
    if is_endpoint(name):
        return parse_name(name).context_length or UNKNOWN_LENGTH
    if name.startswith("fake:"):
        return load_model(name).context_length
    _check_local(name)
    from social_learning.models.local.loading import load_length

    return load_length(name)


def load_token_counter(name: str) -> Callable[[str], int]:
    """Return the function that counts a model's tokens, without loading its weights. Raises ModelError as `load_model`
    does. An endpoint is not asked: its tokens are estimated.
    """
    if is_endpoint(name):
        return estimated_tokens
    if is_fake(name):
        return load_model(name).count_tokens
    _check_local(name)
    from social_learning.models.local.loading import load_tokenizer
    from social_learning.models.local.tokens import Tokenizer

    return Tokenizer(load_tokenizer(name)).count
