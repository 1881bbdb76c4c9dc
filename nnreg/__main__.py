"""`python -m nnreg` is `nnreg`."""

from __future__ import annotations

from nnreg.cli import main

main()
