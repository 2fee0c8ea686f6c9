"""Commands on tasks: tasks."""

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from social_learning.tasks import BUILT_IN


def tasks() -> None:
    """List the built-in tasks, each with an invented example as a model reads it."""
    console = Console(highlight=False, markup=False)
    for known in BUILT_IN.values():
        task = known.task
        graded = f"labels {', '.join(task.labels)}" if task.labels else f"metric {task.metric}"
        console.print(f"{task.name}  ({graded})", style="bold")
        console.print(known.source, style="dim")
        console.print(Padding(Text(task.render(known.invented)), (1, 0, 1, 4)))
