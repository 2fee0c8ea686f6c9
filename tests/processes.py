"""Several processes at once, for tests of what they share."""

import subprocess
import sys
import textwrap
from collections.abc import Sequence


def at_once(program: str, arguments: Sequence[Sequence[object]]) -> None:
    """Run a program in several processes at once; each must end well, and say nothing on stderr."""
    code = textwrap.dedent(program)
    started = [
        subprocess.Popen([sys.executable, "-c", code, *map(str, one)], stderr=subprocess.PIPE, text=True)
        for one in arguments
    ]
    ends = [(process.communicate(timeout=300)[1], process.returncode) for process in started]
    assert ends == [("", 0)] * len(ends)
