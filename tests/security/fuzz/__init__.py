"""Fuzzing with mutated checkpoints and specs: nothing crashes, hangs or is changed silently.

    python -m tests.security.fuzz checkpoints 20000 --seed 1
    python -m tests.security.fuzz specs 20000 --seed 1

Each case is determined by the seed and its number. Many run in one process; another monitors it,
reports the case in which it crashes or hangs, and continues with the next.
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
from tests.helpers.work import CPU_TIME_IS_OVER, HANG_SECONDS

HANG_CPU_SECONDS = 20.0
"""The CPU seconds after which the system ends a case, which counts as hanging."""

BATCH = 5_000
"""The number of cases per process."""

BAD = ("crash", "hang", "traceback", "silent change", "no path")
"""The outcomes that are failures."""


def fuzz(kind: str, count: int, seed: int, first: int = 0) -> tuple[Counter[str], list[str]]:
    """Run cases and return the count of each outcome, and a line about each failure."""
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
    """Run cases in one process until it ends; the last outcome may be a crash or hang of it."""
    module = "tests.security.fuzz.cases"
    command = [sys.executable, "-m", module, kind, str(seed), str(first), str(last)]
    command.append(str(HANG_CPU_SECONDS))
    outcomes: list[tuple[str, str]] = []
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=_forward, args=(process.stdout, lines), daemon=True).start()
        while first + len(outcomes) < last:
            try:
                line = lines.get(timeout=HANG_SECONDS)
            except queue.Empty:
                process.kill()
                return [*outcomes, ("hang", f"no output for {HANG_SECONDS:g} s")]
            if not line:
                error = process.stderr.read().strip()[-300:]
                outcome = "hang" if process.wait() == CPU_TIME_IS_OVER else "crash"
                return [*outcomes, (outcome, f"exit code {process.returncode}: {error}")]
            outcome, text = json.loads(line)
            outcomes.append((outcome, text))
    return outcomes


def _forward(source: IO[str], lines: queue.Queue[str]) -> None:
    for line in source:
        lines.put(line)
    lines.put("")
