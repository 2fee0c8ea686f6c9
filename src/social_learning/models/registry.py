"""The registry: from a model's name to a model."""

import importlib.util
from collections.abc import Callable
from typing import Any

from social_learning.errors import ModelError
from social_learning.models.base import LanguageModel
from social_learning.models.fakes import CopycatModel, MixerModel

FAKES = {"fake:copycat": CopycatModel, "fake:mixer": MixerModel}


def load_model(name: str, **options: Any) -> LanguageModel:
    """Load a model by name.

    `smollm2-135m-instruct` is the embedded default; a folder or a Hub id (`org/name`, `org/name@revision`) is loaded by
    transformers in this process, with the options `dtype` (auto, float32, bfloat16, float16), `device` (auto, cpu,
    cuda) and `memory` (auto, bytes, or a text as in `512 MiB`: what a batch may take besides the weights).
    `fake:copycat` and `fake:mixer` are deterministic stand-ins that know no language.

    Raises ModelError, saying what to do, for unknown names and options, and for a missing extra.
    """
    if name.startswith("fake:"):
        if name not in FAKES:
            raise ModelError(f"no fake named {name!r}: there are {', '.join(FAKES)}")
        return FAKES[name](name)
    unknown = set(options) - {"dtype", "device", "memory"}
    if unknown:
        raise ModelError(f"unknown model option {min(unknown)!r}: local models take dtype, device and memory")
    _check_local(name)
    from social_learning.models.local.model import load_local

    return load_local(name, **options)


def _check_local(name: str) -> None:
    missing = [module for module in ("torch", "transformers") if importlib.util.find_spec(module) is None]
    if missing:
        raise ModelError(
            f"model {name!r} runs in this process and needs {' and '.join(missing)}: pip install 'social-learning[local]'"
        )


def load_token_counter(name: str) -> Callable[[str], int]:
    """Return the function that counts a model's tokens, without loading its weights. Raises ModelError as `load_model`
    does.
    """
    if name.startswith("fake:"):
        return load_model(name).count_tokens
    _check_local(name)
    from social_learning.models.local.loading import load_tokenizer
    from social_learning.models.local.tokens import Tokenizer

    return Tokenizer(load_tokenizer(name)).count
