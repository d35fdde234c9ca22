"""The command line: one small module for each subcommand, imported when it is called."""

from solvers.cli.main import main

__all__ = ["main"]
