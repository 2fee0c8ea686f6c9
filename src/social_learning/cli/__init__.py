"""The command line: parses and calls, nothing else. One module for each kind of command."""

import sys
from typing import Literal

import typer

from social_learning.cli.audits import audit
from social_learning.cli.evidence import evidence
from social_learning.cli.experiments import demo, report, run
from social_learning.cli.lessons import ask, export
from social_learning.cli.models import doctor
from social_learning.cli.outboxes import outbox
from social_learning.cli.reproductions import reproduce
from social_learning.cli.tasks import tasks
from social_learning.cli.teachers import teacher
from social_learning.errors import BudgetError, EndpointError, IncompleteError, SocialLearningError, UserError
from social_learning.report.visible import visible

COMMANDS = (demo, run, audit, reproduce, report, ask, export, tasks, doctor)
"""In the order of the help page."""

GROUPS = {"teacher": teacher, "outbox": outbox}
"""Commands with commands of their own."""

UNFINISHED = (BudgetError, IncompleteError)
"""What leaves a run unfinished; the same command goes on with it."""

SEE_TO_IT = (
    ": see that the endpoint runs and base_url is right, then give the same command again; finished calls are kept"
)

app = typer.Typer(
    rich_markup_mode="markdown",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Social learning between language models: teachers with private data teach a student by text alone.",
)
for command in COMMANDS:
    app.command()(command)
outbox.command()(evidence)
for name, group in GROUPS.items():
    app.add_typer(group, name=name)


def main() -> None:
    """Run the command line. Exit code 2 for the user's mistakes, 3 for a spent budget or a run that has cells without a
    lesson, 1 for other failures, 130 when interrupted.
    """
    code: Literal[1, 2, 3, 130]
    try:
        app(obj=sys.argv)
        return
    except SocialLearningError as error:
        code = 2 if isinstance(error, UserError) else 3 if isinstance(error, UNFINISHED) else 1
        # A message may name what stands in a file that a stranger wrote, such as a lesson's model.
        typer.echo(visible(f"error: {error}{SEE_TO_IT if isinstance(error, EndpointError) else ''}"), err=True)
    except KeyboardInterrupt:
        code = 130
        typer.echo("stopped: the same command goes on from here", err=True)
    sys.exit(code)
