"""Federations for tests."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from social_learning.experiment import run
from tests.flower.federations import BIN, FAKES, ROOT, federation_of, in_one_process
from tests.silos import lessons


@pytest.fixture(scope="session", autouse=True)
def surroundings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What programs find that a module's tests share: a cache folder that is not the user's, and a PYTHONPATH that leads to the
    same place from every folder.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AN_API_KEY", "not for couriers")
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "federations-cache"))
        if "PYTHONPATH" in os.environ:
            parts = os.environ["PYTHONPATH"].split(os.pathsep)
            patch.setenv("PYTHONPATH", os.pathsep.join(str(Path(part).absolute()) for part in parts))
        yield


@pytest.fixture(scope="module")
def courier() -> list[str]:
    """Where we may become somebody else, couriers are: then the silos' own permissions are tested too."""
    folders = (BIN, *BIN.parents, Path(sys.base_prefix), *Path(sys.base_prefix).parents, ROOT, *ROOT.parents)
    readable = all(folder.stat().st_mode & 0o005 == 0o005 for folder in folders)
    return ["--courier", "nobody"] if os.getuid() == 0 and readable else []


@pytest.fixture(scope="module")
def federation(courier: list[str]) -> Iterator[Path]:
    """A federation with fakes, which the tests of a module share."""
    with federation_of(FAKES, courier) as folder:
        yield folder


@pytest.fixture(scope="session")
def here(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The lessons of teachers in one process, with fakes."""
    folder = tmp_path_factory.mktemp("here")
    run(in_one_process(FAKES, folder / "silos"), folder / "run")
    return lessons(folder / "run")
