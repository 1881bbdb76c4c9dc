"""Fuzzing with mutated checkpoints and specs: nothing crashes, hangs or is changed silently.

    python -m tests.security.fuzz structures 200000 --seed 1
    python -m tests.security.fuzz checkpoints 20000 --seed 1
    python -m tests.security.fuzz specs 20000 --seed 1

Each case is determined by the seed and its number. Many run in one process, with limits of time on
the processor and of memory; another reports the case in which it crashes or hangs, and continues
with the next.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

from tests.helpers.paths import ROOT
from tests.helpers.work import CPU_TIME_IS_OVER, HANG_SECONDS

HANG_CPU_SECONDS = 20.0
"""The CPU seconds after which the system ends a case, which counts as hanging."""

BATCH = 5_000
"""The number of cases per process."""

BAD = ("crash", "hang", "traceback", "silent change", "no path")
"""The outcomes that are failures."""


def fuzz(
    kind: str, count: int, seed: int, first: int = 0, keep: Path | None = None
) -> tuple[Counter[str], list[str]]:
    """Run cases and return the count of each outcome, and a line about each failure.

    The files of failing cases of `structures` are written into the directory `keep`.
    """
    outcomes: Counter[str] = Counter()
    bad = []
    last = first + count
    while first < last:
        for outcome, text in _run(kind, seed, first, min(first + BATCH, last)):
            outcomes[outcome] += 1
            if outcome in BAD:
                bad.append(f"{kind} --seed {seed} --case {first}: {outcome}: {text}")
                if keep:
                    write_case(kind, seed, first, keep)
            first += 1
    return outcomes, bad


def write_case(kind: str, seed: int, number: int, directory: Path) -> None:
    """Write the file of a case of `structures`."""
    from tests.security.fuzz.cases import random_of
    from tests.security.fuzz.structures import Structures

    if kind == "structures":
        directory.mkdir(parents=True, exist_ok=True)
        data = Structures(directory).mutated(random_of(kind, seed, number))
        (directory / f"{kind}-{seed}-{number}.h5").write_bytes(data)


def _run(kind: str, seed: int, first: int, last: int) -> list[tuple[str, str]]:
    """Run cases in one process until it ends; the last outcome may be a crash or hang of it."""
    module = "tests.security.fuzz.cases"
    arguments = [kind, str(seed), str(first), str(last), str(HANG_CPU_SECONDS)]
    command = [sys.executable, "-m", module, *arguments]
    try:
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=HANG_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        return [*_outcomes(error.stdout), ("hang", f"no end within {HANG_SECONDS:g} s")]
    outcomes = _outcomes(done.stdout)
    if done.returncode == CPU_TIME_IS_OVER:
        outcomes.append(("hang", f"more than {HANG_CPU_SECONDS:g} s on the processor"))
    elif done.returncode:
        outcomes.append(("crash", f"exit code {done.returncode}: {done.stderr.strip()[-300:]}"))
    return outcomes


def _outcomes(output: str | bytes | None) -> list[tuple[str, str]]:
    """Return the outcome and text of each line of JSON."""
    text = output.decode() if isinstance(output, bytes) else output or ""
    return [tuple(json.loads(line)) for line in text.splitlines() if line.endswith("]")]
