"""`python -m nnreg` is `nnreg`."""

from nnreg.cli import main

main()
