"""Train the real tasks of `models/` with nnreg and with PyTorch, and compare time and results.

    python -m benchmarks.tasks                # every task
    python -m benchmarks.tasks reber digits   # these

The trainings of a task are interleaved, each in a process of its own. Round k has the spec's seed
plus k for both libraries; times and results are medians over the rounds.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks.environment import describe
from benchmarks.harness import Effort, interleave
from benchmarks.processes import ROOT, limited, pin, python, run
from benchmarks.report import figure
from benchmarks.tasks import MODELS
from nnreg.spec.document import read_spec

LIBRARIES = ("nnreg", "PyTorch")


@dataclass(frozen=True)
class Outcome:
    """What one training came to; `seconds` are elapsed, `processor` those of all its threads.

    `metric` is the name of the metric that is shown: the first of the spec, or else the loss.
    """

    seconds: float
    processor: float
    metrics: dict[str, float]
    metric: str
    epochs: int
    parameters: int


@dataclass(frozen=True)
class Comparison:
    """The outcomes of a task by library, and why a library has none.

    The time of a training is the processor's on one thread, where other processes matter less, and
    else the elapsed time.
    """

    task: str
    threads: int
    outcomes: dict[str, list[Outcome]]
    left_out: dict[str, str]

    def seconds(self, library: str) -> float | None:
        """Return the median time of a library's training; None if it has none."""
        one_thread = self.threads == 1
        taken = [o.processor if one_thread else o.seconds for o in self.outcomes.get(library, [])]
        return median(taken) if taken else None

    @property
    def ratio(self) -> float | None:
        """The time of PyTorch divided by that of nnreg: above 1, nnreg is faster."""
        own, other = map(self.seconds, LIBRARIES)
        return other / own if own and other else None

    def result(self, library: str) -> float | None:
        """Return the median of the metric on the test splits; None if the library has none."""
        found = [one.metrics[one.metric] for one in self.outcomes.get(library, [])]
        return median(found) if found else None

    @property
    def line(self) -> str:
        """The comparison as a line of the table."""
        if not self.outcomes:
            return f"{self.task:16}{'-':>10}"
        first = next(outcomes[0] for outcomes in self.outcomes.values())
        results = [_or_dash(self.result(library), "#.4g") for library in LIBRARIES]
        seconds = [self.seconds(library) for library in LIBRARIES]
        times = ["-" if one is None else figure(one) for one in seconds]
        cells = [*results, *times, _or_dash(self.ratio, ".2f")]
        return (
            f"{self.task:16}{first.parameters:10,}{first.epochs:8}  {first.metric:30}"
            + "".join(f"{cell:>10}" for cell in cells)
        ).rstrip()


HEADING = (
    f"{'':66}{'result':>20}{'seconds':>20}\n"
    f"{'task':16}{'parameters':>10}{'epochs':>8}  {'metric':30}"
    + "".join(f"{name:>10}" for name in (*LIBRARIES, *LIBRARIES, "ratio"))
)


def tasks() -> list[str]:
    """Return the names of the tasks: the modules of this package whose spec exists."""
    names = (path.stem for path in Path(__file__).parent.glob("*.py"))
    return sorted(name for name in names if (MODELS / f"{name}.json").exists())


def compare(task: str, effort: Effort, epochs: int | None = None) -> Comparison:
    """Train a task with each library in turn, in as many rounds as the effort says."""
    seed = read_spec(MODELS / f"{task}.json").spec.seed
    samplers = {
        library: partial(_train, library, task, itertools.count(seed), effort.threads, epochs)
        for library in LIBRARIES
    }
    outcomes, left_out = interleave(samplers, effort)
    return Comparison(task, effort.threads, outcomes, left_out)


def _train(
    library: str, task: str, seeds: Iterator[int], threads: int, epochs: int | None
) -> Outcome:
    command = ["-m", "benchmarks.tasks.worker", library, task]
    command += ["--seed", str(next(seeds)), "--threads", str(threads)]
    if epochs is not None:
        command += ["--epochs", str(epochs)]
    return Outcome(**json.loads(run(python(*command), limited(threads), ROOT).output))


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table line by line, and write it as JSON."""
    options = _options(arguments)
    pin(options.threads)
    about = json.loads(run(python("-m", "benchmarks.environment"), limited(options.threads)).output)
    print(
        f"{describe(about, options.threads)}\n\n"
        "median time of a training without imports and data, and median result on the test split;\n"
        "ratio: PyTorch's time divided by nnreg's (above 1: nnreg is faster)\n\n"
        f"{HEADING}",
        flush=True,
    )
    compared = []
    for task in options.task or tasks():
        compared.append(compare(task, Effort(options.rounds, 0.0, options.threads), options.epochs))
        print(compared[-1].line, flush=True)
    for one in compared:
        for library, reason in one.left_out.items():
            print(f"  omitted ('-'): {library} on {one.task}: {reason}")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    document = {"environment": about, "tasks": [asdict(one) for one in compared]}
    options.out.write_text(json.dumps(document, indent=1) + "\n")
    print(f"\nwritten: {options.out}")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.tasks", description=__doc__.splitlines()[0]
    )
    names = tasks()
    parser.add_argument(
        "task", nargs="*", choices=[*names, []], metavar="TASK",
        help=f"task to train: {', '.join(names)} [default: all]",
    )  # fmt: skip
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1, help="threads, and cores [default: 1]")
    parser.add_argument("--epochs", type=int, help="by default those of each spec")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/tasks.json"))
    return parser.parse_args(arguments)


def _or_dash(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


if __name__ == "__main__":
    main(sys.argv[1:])
