"""What was typed: the origin of all that a command makes."""

import os

import click

from social_learning.provenance import Origin, as_typed


def origin() -> Origin:
    """Return the origin of what the command that is running makes; `main` hands its argv to the root context."""
    context = click.get_current_context()
    argv = context.find_root().obj
    return Origin(as_typed(argv, os.environ) if argv else context.command_path)
