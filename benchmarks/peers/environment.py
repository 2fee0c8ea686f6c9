"""Makes the peers' environment at benchmarks/.peers: exact pins, and a llama-server compiled for this processor.

    python -m benchmarks.peers.environment

Does nothing where the environment is already as the pins say. PIP_ARGS is handed to pip (see the Makefile). The prebuilt
llama.cpp leaves out what only newer processors can, so its sources, which come with the same pinned package, are compiled where
cmake and a C++ compiler are at hand; this takes 5 to 20 minutes, once.
"""

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ENVIRONMENT = HERE.parent / ".peers"
PINS = HERE / "requirements.txt"
PYTHON = ENVIRONMENT / "bin" / "python"
SERVER = ENVIRONMENT / "bin" / "llama-server"
INSTALLED = ENVIRONMENT / ".installed"

CMAKE_OPTIONS = (
    "-DCMAKE_BUILD_TYPE=Release",
    "-DGGML_NATIVE=ON",
    "-DBUILD_SHARED_LIBS=OFF",
    "-DLLAMA_OPENSSL=OFF",
    "-DLLAMA_BUILD_TESTS=OFF",
    "-DLLAMA_BUILD_EXAMPLES=OFF",
    "-DLLAMA_BUILD_UI=OFF",
)


def digest() -> str:
    """Return what the environment is made of, as a digest."""
    return hashlib.sha256(PINS.read_bytes()).hexdigest()


def install() -> None:
    """Make the environment anew."""
    print(f"Setting up {ENVIRONMENT} (once; a few minutes, about 2 GB) ...", flush=True)
    shutil.rmtree(ENVIRONMENT, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(ENVIRONMENT)], check=True)
    pip("install", *shlex.split(os.environ.get("PIP_ARGS", "")), "-r", str(PINS))
    compile_server()
    INSTALLED.write_text(digest())


def pip(command: str, *arguments: str) -> None:
    """Run pip inside the environment."""
    base = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", command, "--quiet"]
    subprocess.run([*base, *arguments], check=True)


def compile_server() -> None:
    """Compile llama-server from the sources of the pinned package; say so where that cannot be done."""
    if not (shutil.which("cmake") and shutil.which("c++")):
        print(
            "No cmake and C++ compiler here: llama.cpp will run from its prebuilt wheel, which is slower.", flush=True
        )
        return
    print("Compiling llama-server for this processor (once; 5 to 20 minutes) ...", flush=True)
    pin = next(line.strip() for line in PINS.read_text().splitlines() if line.startswith("xllamacpp=="))
    with tempfile.TemporaryDirectory() as folder:
        try:
            pip("download", "--no-deps", "--no-binary", "xllamacpp", "--dest", folder, pin)
            with tarfile.open(next(Path(folder).glob("*.tar.gz"))) as archive:
                archive.extractall(folder, filter="data")
            source = next(Path(folder).glob("*/thirdparty/llama.cpp"))
            build = Path(folder) / "build"
            subprocess.run(
                ["cmake", "-S", str(source), "-B", str(build), *CMAKE_OPTIONS], check=True, capture_output=True
            )
            jobs = str(os.cpu_count() or 1)
            subprocess.run(
                ["cmake", "--build", str(build), "--target", "llama-server", "-j", jobs],
                check=True,
                capture_output=True,
            )
            shutil.copy(build / "bin" / "llama-server", SERVER)
        except (subprocess.CalledProcessError, OSError, StopIteration) as error:
            print(
                f"llama-server could not be compiled ({error}): its prebuilt wheel is used, which is slower.",
                flush=True,
            )


def main() -> None:
    """Make the environment, unless it is there."""
    if not INSTALLED.is_file() or INSTALLED.read_text() != digest():
        install()


if __name__ == "__main__":
    main()
