"""Time training steps of nnreg beside its peers, interleaved, and print ratios.

    pip install -e . -e plugins/nnreg-numba torch jax keras scikit-learn matplotlib
    python -m benchmarks

Each library runs in a process of its own, with the same number of threads. They are asked in turn,
A B C, A B C, …; the figure is the median over the rounds. A library that is not installed, or has
not the network, is left out and named.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.peers import PEERS
from benchmarks.workloads import WORKLOADS, Workload

OWN = ("nnreg", "nnreg+numba")


class Worker:
    """The process of one library."""

    def __init__(self, peer: str, threads: int) -> None:
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        environment = {**os.environ, **dict.fromkeys(names, str(threads))}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", peer],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )

    def ask(self, workload: str, seconds: float) -> dict[str, Any]:
        """Return what the process answers: seconds a step, or an error."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.send_signal(signal.SIGCONT)
            self.process.stdin.write(json.dumps({"workload": workload, "seconds": seconds}) + "\n")
            self.process.stdin.flush()
            return json.loads(self.process.stdout.readline())
        except (OSError, ValueError):
            return {"error": "the process died"}
        finally:
            # The threads of an idle library may spin for work, at the cost of the one timed next.
            self.process.send_signal(signal.SIGSTOP)

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.communicate()


def measure(
    workload: Workload, workers: dict[str, Worker], rounds: int, seconds: float
) -> tuple[dict[str, float], dict[str, str]]:
    """Return the median seconds a step of each peer, and why the others have none."""
    times: dict[str, list[float]] = {peer: [] for peer in workers}
    errors: dict[str, str] = {}
    for _ in range(rounds):
        for peer, worker in workers.items():
            if peer not in errors:
                reply = worker.ask(workload.name, seconds)
                if "error" in reply:
                    errors[peer] = reply["error"]
                else:
                    times[peer].append(reply["seconds"])
    return {peer: median(t) for peer, t in times.items() if peer not in errors}, errors


def ratio(medians: dict[str, float], own: str) -> float | None:
    """Return the best peer's time over ours: above 1 is ahead."""
    peers = [seconds for peer, seconds in medians.items() if peer not in OWN]
    return min(peers) / medians[own] if peers and own in medians else None


def product_rate() -> float:
    """Return the floating-point operations a second of a large matrix product, in this process."""
    a = np.random.default_rng(0).normal(size=(1500, 1500)).astype(np.float32)
    times = []
    for _ in range(7):
        began = time.perf_counter()
        a @ a
        times.append(time.perf_counter() - began)
    return 2 * 1500**3 / median(times)


def row(workload: Workload, medians: dict[str, float], rate: float, peers: list[str]) -> str:
    """Return a line of the table: microseconds, ratios, share of the limit."""
    cells = [f"{workload.name + ', ' + str(workload.batch):26}"]
    cells += [f"{medians[p] * 1e6:>17,.0f}" if p in medians else f"{'-':>17}" for p in peers]
    for own in OWN:
        value = ratio(medians, own)
        cells.append(f"{value:>8.2f}" if value else f"{'-':>8}")
    best = min((medians[own] for own in OWN if own in medians), default=0)
    flops = workload.dense_flops
    cells.append(f"{flops / rate / best:>7.0%}" if flops and best else f"{'-':>7}")
    return "".join(cells)


def plot(results: list[dict[str, Any]], path: Path) -> str:
    """Draw how many times as fast as each library nnreg is, and say where."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return " (no plot: matplotlib is not installed)"
    figure = Figure(figsize=(9, 1.5 + 0.9 * len(results)), layout="constrained")
    axes = figure.subplots()
    libraries = sorted({peer for result in results for peer in result["seconds"]} - {OWN[0]})
    height = 0.8 / max(len(libraries), 1)
    for place, library in enumerate(libraries):
        pairs = [
            (row + place * height, result["seconds"][library] / result["seconds"][OWN[0]])
            for row, result in enumerate(results)
            if {library, OWN[0]} <= set(result["seconds"])
        ]
        if pairs:
            axes.barh(*zip(*pairs, strict=True), height=height, label=library)
    names = [f"{result['workload']}, {result['batch']}" for result in results]
    axes.set_yticks([row + 0.4 - height / 2 for row in range(len(results))], names)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xlabel("time of a training step over that of nnreg with NumPy (right of 1: slower)")
    if libraries:
        axes.legend()
    figure.savefig(path)
    return f", {path}"


def main() -> None:
    """Print the table, and write it as JSON and as a plot."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="three short rounds, under 2 minutes")
    parser.add_argument(
        "--out", type=Path, default=Path("runs/benchmarks"), help="folder for the JSON and the plot"
    )
    parser.add_argument("--only", help="workloads whose name contains this")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    rounds, seconds = (3, 0.1) if arguments.quick else (7, 0.4)
    if arguments.quick:
        print("three rounds are too few for a comparison that counts\n")

    peers = list(PEERS)
    print(
        f"{platform.machine()}, {arguments.threads} threads, Python {platform.python_version()}, "
        f"NumPy {np.__version__}, load {os.getloadavg()[0]:.2f}\n"
        "microseconds a training step; then the best peer's time over nnreg's and over "
        "nnreg+numba's;\nthen what share of the time the matrix products would take alone\n"
    )
    columns = "".join(f"{peer:>17}" for peer in peers)
    print(f"{'network, batch':26}{columns}{'nnreg':>8}{'+numba':>8}{'limit':>7}")
    workers = {peer: Worker(peer, arguments.threads) for peer in peers}
    results, left_out = [], {}
    try:
        for workload in WORKLOADS:
            if arguments.only and arguments.only not in workload.name:
                continue
            rate = product_rate()
            medians, errors = measure(workload, workers, rounds, seconds)
            left_out[workload.name] = errors
            results.append({"workload": workload.name, "batch": workload.batch, "seconds": medians,
                            "left out": errors, "product rate": rate})  # fmt: skip
            print(row(workload, medians, rate, peers), flush=True)
    finally:
        for worker in workers.values():
            worker.close()
    reasons = {(peer, why) for errors in left_out.values() for peer, why in errors.items()}
    print("".join(f"\nleft out where '-': {peer}: {why}" for peer, why in sorted(reasons)))
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "steps.json").write_text(json.dumps(results, indent=2) + "\n")
    print(f"\nwritten: {arguments.out / 'steps.json'}{plot(results, arguments.out / 'steps.svg')}")


if __name__ == "__main__":
    main()
