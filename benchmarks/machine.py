"""The machine a benchmark ran on, and where the embedded model's weights lie on it."""

import os
import platform
from pathlib import Path
from typing import Any

import torch

from social_learning.models.local import loading
from social_learning.provenance import versions

FEATURES = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")


def facts() -> dict[str, Any]:
    """Return processor, cores, memory, and the versions of what computes."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "processor": _from_cpuinfo("model name") or platform.processor() or platform.machine(),
        "cores": cores,
        "features": [name for name in FEATURES if name in _from_cpuinfo("flags").split()],
        "memory_gib": _memory_gib(),
        "gpu": _gpu(),
        "versions": versions(),
    }


def weights(model: str) -> tuple[str, str]:
    """Return the folder of a model's weights (for lm-evaluation-harness and transformers), and its GGUF file, if any.

    Raises ModelError where there is no such model.
    """
    folder = loading._find(model).source  # the one place that knows; peers must read the very same weights
    packaged = loading._packaged_gguf() if model == loading.EMBEDDED else None
    return folder, str(packaged or "")


def _from_cpuinfo(key: str) -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "")


def _memory_gib() -> float:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)


def _gpu() -> str | None:
    return torch.cuda.get_device_name() if torch.cuda.is_available() else None
