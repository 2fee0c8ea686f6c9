"""What `import social_learning` brings along: nothing heavy, and neither torch nor an HTTP client even when all is used."""

import subprocess
import sys

import pytest

import social_learning

HEAVY = [
    "torch",
    "transformers",
    "httpx2",
    "scipy",
    "numpy",
    "pydantic",
    "rich",
    "jinja2",
    "typer",
    "datasets",
    "pandas",
]
EXTRAS = ["torch", "transformers", "httpx2", "httpcore2", "gguf", "safetensors", "datasets", "pandas", "xllamacpp"]


def loaded_by(program: str) -> set[str]:
    told = subprocess.run(
        [sys.executable, "-c", f"import sys\n{program}\nprint(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(told.stdout.split())


def test_importing_the_package_imports_nothing_heavy() -> None:
    assert not loaded_by("import social_learning") & set(HEAVY)


def test_all_that_is_public_needs_no_extra() -> None:
    found = loaded_by("from social_learning import *\nimport social_learning.cli")
    assert "pydantic" in found
    assert not found & set(EXTRAS)


def test_every_public_name_is_there_and_no_other() -> None:
    assert social_learning._HOMES.keys() == set(social_learning.__all__)
    for name in social_learning.__all__:
        assert getattr(social_learning, name) is not None
        assert name in dir(social_learning)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        social_learning.nothing  # noqa: B018
