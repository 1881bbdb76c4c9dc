"""Run cases and print their outcomes; the exit code is 1 if any case failed."""

import argparse

from . import fuzz
from .cases import KINDS

parser = argparse.ArgumentParser(prog="python -m tests.security.fuzz")
parser.add_argument("kind", choices=KINDS)
parser.add_argument("count", type=int, nargs="?", default=1)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--case", type=int, default=0, help="the first case")
arguments = parser.parse_args()
outcomes, bad = fuzz(arguments.kind, arguments.count, arguments.seed, arguments.case)
for line in bad:
    print(line)
print(f"{arguments.count:,} {arguments.kind}:", end=" ")
print(", ".join(f"{outcome} {count:,}" for outcome, count in outcomes.most_common()))
raise SystemExit(bool(bad))
