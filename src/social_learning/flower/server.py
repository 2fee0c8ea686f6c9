"""The ServerApp: the student. It reads the experiment file and drives the protocols over the SuperNodes."""

from collections.abc import Mapping
from pathlib import Path

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from social_learning.config import cells_of, load_experiment
from social_learning.errors import ConfigError
from social_learning.flower.carrier import GridCarrier, find_teachers
from social_learning.manifest import changed_files
from social_learning.remote import learn
from social_learning.report.attendance import attendance_lines


def main(grid: Grid, context: Context) -> None:
    """Run the experiment that the run's config names, or the rest of it; `out` is the run folder.

    Paths are those of the machine that the SuperLink runs on.
    """
    config = context.run_config
    experiment = load_experiment(Path(_setting(config, "experiment")))
    if experiment.remote is None:
        raise ConfigError("the experiment has no [remote] table: its teachers are not on their own")
    names = experiment.teacher_names
    nodes = find_teachers(grid, names, experiment.remote.nodes, experiment.remote.wait)
    print(f"{len(nodes)} of {len(names)} teachers are there", flush=True)  # noqa: T201  # the run's log is the print-out
    carrier = GridCarrier(grid, nodes, experiment.remote.timeout)
    data = str(config.get("data", ""))
    out = Path(_setting(config, "out"))
    try:
        learn(experiment, carrier, out, data=Path(data) if data else None)
    finally:
        for line in attendance_lines(out, [key for _, key in cells_of(experiment)]):
            print(line, flush=True)  # noqa: T201  # the same
        for change in changed_files(out):
            print(f"warning: {change.line}", flush=True)  # noqa: T201  # the same


def _setting(config: Mapping[str, object], name: str) -> str:
    value = config.get(name)
    if not isinstance(value, str) or not value:
        raise ConfigError(f'flwr run --run-config must say {name}="...", a path on the SuperLink\'s machine')
    return value


app = ServerApp()
app.main()(main)
