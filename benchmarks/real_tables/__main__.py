"""Compare `nnreg init` and `run`, as they stand, with scikit-learn on real tables.

    python -m benchmarks.real_tables --list
    python -m benchmarks.real_tables --tables held-out --out runs/real_tables.jsonl

Results are appended as they are measured; what the file has is not measured again. Times are those
of the processor, on one core. `--requirements` prints what to give to `pip install`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.processes import limited
from benchmarks.real_tables import summary
from benchmarks.real_tables.reading import missing_packages
from benchmarks.real_tables.tables import HELD_OUT, TUNE, VERSIONS, RealTable

METHODS = ("nnreg", "MLP", "boosting", "linear")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is missing in the file of results, and print the summary."""
    options = _options(arguments)
    if options.list:
        print("\n".join(f"{one.name:12} {one.kind:15} {one.description}" for one in options.tables))
    elif options.requirements:
        print("\n".join(f"{name}=={version}" for name, version in VERSIONS.items()))
    elif missing := missing_packages():
        sys.exit(f"these packages ship the tables: pip install {' '.join(missing)}")
    else:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.touch()
        for line in _measured(options):
            print(_described(line), flush=True)
            with options.out.open("a") as file:
                file.write(json.dumps(line) + "\n")
        names = {table.name for table in options.tables}
        report([line for line in _read(options.out) if line["table"] in names], options.methods)


def report(lines: Sequence[dict[str, Any]], methods: Sequence[str]) -> None:
    """Print the scores by table, the mean ranks, and the median gap to gradient boosting."""
    scores = summary.mean_scores([line for line in lines if line["method"] in methods])
    print(f"\n{'':12}" + "".join(f"{method:>10}" for method in methods) + f"{'nnreg, s':>10}")
    for table, found in scores.items():
        seconds = [
            line["seconds"]
            for line in lines
            if line["table"] == table and line["method"] == "nnreg"
        ]
        print(
            f"{table:12}"
            + "".join(f"{found.get(method, float('nan')):10.4f}" for method in methods)
            + (f"{statistics.fmean(seconds):10.1f}" if seconds else "")
        )
    mean_ranks = summary.mean_ranks(scores)
    print(
        f"{'mean rank':12}" + "".join(f"{mean_ranks.get(m, float('nan')):10.2f}" for m in methods)
    )
    if gaps := summary.gaps(scores, "nnreg", "boosting"):
        print(f"median gap of nnreg to boosting: {statistics.median(gaps.values()):.4f}")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.real_tables", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--list", action="store_true", help="print the tables")
    parser.add_argument("--requirements", action="store_true", help="print what pip is to install")
    parser.add_argument(
        "--tables", type=_tables, default=(*TUNE, *HELD_OUT),
        help="tune, held-out, or names with commas between them [default: all]",
    )  # fmt: skip
    parser.add_argument(
        "--methods", type=lambda text: text.split(","), default=METHODS,
        help=f"names with commas between them [default: {','.join(METHODS)}]",
    )  # fmt: skip
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/real_tables.jsonl"))
    return parser.parse_args(arguments)


def _tables(text: str) -> tuple[RealTable, ...]:
    if text in ("tune", "held-out", "all"):
        return {"tune": TUNE, "held-out": HELD_OUT, "all": (*TUNE, *HELD_OUT)}[text]
    found = {table.name: table for table in (*TUNE, *HELD_OUT)}
    if unknown := set(text.split(",")) - set(found):
        raise argparse.ArgumentTypeError(f"no table {', '.join(sorted(unknown))}")
    return tuple(found[name] for name in text.split(","))


def _measured(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield the results that the file does not have, each split in a process of its own."""
    done = {(line["table"], line["split"], line["method"]) for line in _read(options.out)}
    for number in range(options.splits):
        for table in options.tables:
            methods = [one for one in options.methods if (table.name, number, one) not in done]
            if methods:
                command = [sys.executable, "-m", f"{__package__}.worker", table.name, str(number)]
                with subprocess.Popen(
                    [*command, *methods], stdout=subprocess.PIPE, text=True, env=limited(1)
                ) as process:
                    assert process.stdout is not None
                    yield from map(json.loads, process.stdout)
                if process.returncode:
                    print(f"{table.name}, split {number}: the process failed", file=sys.stderr)


def _read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def _described(line: dict[str, Any]) -> str:
    found = f"{line['score']:.4f}" if "score" in line else line["error"]
    return (
        f"{line['table']:12} split {line['split']} {line['method']:9} {found} {line['seconds']} s"
    )


if __name__ == "__main__":
    main()
