"""`python -m tests.security.attacks DIR` writes every adversarial checkpoint into a directory."""

import sys
from pathlib import Path

from tests.security.attacks import ATTACKS

if len(sys.argv) != 2:
    sys.exit("usage: python -m tests.security.attacks DIR")
directory = Path(sys.argv[1])
directory.mkdir(parents=True, exist_ok=True)
for name, attack in ATTACKS.items():
    attack.make(directory / f"{name}.h5")
print(f"{len(ATTACKS)} adversarial files in {directory}")
