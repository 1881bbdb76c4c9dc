"""The command line."""

from nnreg.cli.app import cli, main

__all__ = ["cli", "main"]
