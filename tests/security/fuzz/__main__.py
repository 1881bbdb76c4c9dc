"""Run cases and print their outcomes; the exit code is 1 if any case failed."""

import argparse
import resource
from pathlib import Path

from . import fuzz
from .cases import KINDS

parser = argparse.ArgumentParser(prog="python -m tests.security.fuzz")
parser.add_argument("kind", choices=KINDS)
parser.add_argument("count", type=int, nargs="?", default=1)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--case", type=int, default=0, help="the first case")
parser.add_argument("--keep", type=Path, help="a directory for the files that fail")
arguments = parser.parse_args()
outcomes, bad = fuzz(
    arguments.kind, arguments.count, arguments.seed, arguments.case, arguments.keep
)
for line in bad:
    print(line)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
seconds = used.ru_utime + used.ru_stime
print(f"{arguments.count:,} {arguments.kind} in {seconds:.0f} s on the processor:", end=" ")
print(", ".join(f"{outcome} {count:,}" for outcome, count in outcomes.most_common()))
raise SystemExit(bool(bad))
