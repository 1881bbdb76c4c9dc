"""`python -m nnreg` is `nnreg`."""

from __future__ import annotations

from nnreg.cli.app import main

main()
