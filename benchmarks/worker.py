"""The process of one library, which times the tasks that it reads from standard input."""

from __future__ import annotations

import json
import sys
import time
import warnings

from benchmarks.peers import Job, peer
from benchmarks.workloads import NAMED


def seconds_per_call(job: Job, least: float, processor: bool = False) -> float:
    """Repeat a job for at least `least` seconds and return the mean time of a call."""
    clock = time.process_time if processor else time.perf_counter
    began, calls = clock(), 0
    while (elapsed := clock() - began) < least or not calls:
        job()
        calls += 1
    return elapsed / calls


def main() -> None:
    """Reply to each line with a line; a request names a task, its arguments and its seconds."""
    warnings.simplefilter("ignore")
    replies, sys.stdout = sys.stdout, sys.stderr  # libraries may print
    current, job = None, None
    for line in sys.stdin:
        request = json.loads(line)
        task, arguments = request["task"], dict(request["arguments"])
        try:
            if (task, request["arguments"]) != current:
                current, job = (task, request["arguments"]), None
                if "workload" in arguments:
                    arguments["workload"] = NAMED[arguments["workload"]]
                job = getattr(peer(sys.argv[1]), task)(**arguments)
                seconds_per_call(job, request["seconds"] / 2)  # compiles, fills caches
            if job is None:
                raise RuntimeError("it failed before")
            seconds = seconds_per_call(job, request["seconds"], request["processor"])
            reply = {"seconds": seconds}
        except Exception as error:
            reply = {"error": f"{type(error).__name__}: {error}".splitlines()[0][:120]}
        print(json.dumps(reply), file=replies, flush=True)


if __name__ == "__main__":
    main()
