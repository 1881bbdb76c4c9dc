"""`python -m tests.security.attacks DIR` writes every adversarial checkpoint into a folder."""

import sys
from pathlib import Path

from . import ATTACKS, make_all

if len(sys.argv) != 2:
    sys.exit("usage: python -m tests.security.attacks DIR")
make_all(Path(sys.argv[1]))
print(f"{len(ATTACKS)} adversarial files in {sys.argv[1]}")
