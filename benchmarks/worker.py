"""A process of one library, asked over its standard input to time one workload after another."""

from __future__ import annotations

import json
import sys
import time
import warnings

from benchmarks.peers import PEERS, Job
from benchmarks.workloads import STEPS, WORKLOADS


def seconds_a_step(job: Job, least: float) -> float:
    """Repeat a job for at least so many seconds and return the mean time of a step."""
    began, passes = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - began) < least or not passes:
        job()
        passes += 1
    return elapsed / (passes * STEPS)


def main() -> None:
    """Answer each line, `{"workload": name, "seconds": least}`, with a line."""
    warnings.simplefilter("ignore")
    answers, sys.stdout = sys.stdout, sys.stderr  # libraries may print
    peer = PEERS[sys.argv[1]]
    workloads = {workload.name: workload for workload in WORKLOADS}
    current, job = None, None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if request["workload"] != current:
                current, job = request["workload"], None
                job = peer(workloads[current])
                seconds_a_step(job, request["seconds"] / 2)  # compiles, fills caches
            if job is None:
                raise RuntimeError("it failed before")
            reply = {"seconds": seconds_a_step(job, request["seconds"])}
        except Exception as error:
            reply = {"error": f"{type(error).__name__}: {error}".splitlines()[0][:120]}
        print(json.dumps(reply), file=answers, flush=True)


if __name__ == "__main__":
    main()
