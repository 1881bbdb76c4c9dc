"""`python -m tests.hostile DIR` writes every hostile checkpoint into a folder."""

import sys
from pathlib import Path

from . import ATTACKS, make_all

if len(sys.argv) != 2:
    sys.exit("usage: python -m tests.hostile DIR")
make_all(Path(sys.argv[1]))
print(f"{len(ATTACKS)} hostile files in {sys.argv[1]}")
