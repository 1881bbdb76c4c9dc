"""Mutated checkpoints and specs: nothing crashes, hangs, or passes for what it is not.

    python -m tests.security.fuzz checkpoints 20000 --seed 1
    python -m tests.security.fuzz specs 20000 --seed 1

Each case follows from the seed and its number. Many run in one process; another watches it, names
the case in which it ends or stands still, and goes on with the next.
"""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
from collections import Counter
from typing import IO

from tests.helpers.paths import ROOT

PATIENCE = 20.0
"""Seconds after which a case counts as hanging."""

BATCH = 5_000
"""The cases of one process."""

BAD = ("crash", "hang", "traceback", "silent change", "no path")
"""What must never come of a case."""


def fuzz(kind: str, count: int, seed: int, first: int = 0) -> tuple[Counter[str], list[str]]:
    """Run cases and return how often each outcome came, and a line on each that must not be."""
    outcomes: Counter[str] = Counter()
    bad = []
    last = first + count
    while first < last:
        for outcome, text in _run(kind, seed, first, min(first + BATCH, last)):
            outcomes[outcome] += 1
            if outcome in BAD:
                bad.append(f"{kind} --seed {seed} --case {first}: {outcome}: {text}")
            first += 1
    return outcomes, bad


def _run(kind: str, seed: int, first: int, last: int) -> list[tuple[str, str]]:
    """Run cases in one process up to the end of it; the last outcome may be its own."""
    module = "tests.security.fuzz.cases"
    command = [sys.executable, "-m", module, kind, str(seed), str(first), str(last)]
    outcomes: list[tuple[str, str]] = []
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=_pass_on, args=(process.stdout, lines), daemon=True).start()
        while first + len(outcomes) < last:
            try:
                line = lines.get(timeout=PATIENCE)
            except queue.Empty:
                process.kill()
                return [*outcomes, ("hang", f"no answer in {PATIENCE:g} s")]
            if not line:
                error = process.stderr.read().strip()[-300:]
                return [*outcomes, ("crash", f"exit code {process.wait()}: {error}")]
            outcome, text = json.loads(line)
            outcomes.append((outcome, text))
    return outcomes


def _pass_on(source: IO[str], lines: queue.Queue[str]) -> None:
    for line in source:
        lines.put(line)
    lines.put("")
