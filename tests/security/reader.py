"""Read files in a process with limited memory, and print the outcome of each.

`python -m tests.security.reader LIMIT FILE...` prints a line of JSON per file: the type of the
error (null if it loaded), its text, and the CPU seconds. LIMIT is in megabytes, in addition to the
memory that the imports and the first file, a valid one, need.
"""

import json
import resource
import sys

from nnreg.checkpoint.save_load import load
from tests.helpers.work import cpu_seconds


def read(file: str, outcome: dict[str, str | float | None]) -> None:
    """Read a file; if it is refused, add the type and text of the error to the outcome."""
    try:
        load(file)
    except Exception as caught:
        outcome.update(error=type(caught).__name__, message=str(caught))


def main(limit: int, files: list[str]) -> None:
    """Read each file and print the outcome."""
    for index, file in enumerate(files):
        outcome = {"error": None, "message": None}
        outcome["cpu_seconds"] = cpu_seconds(read, file, outcome)
        print(json.dumps(outcome), flush=True)
        if index == 0:
            with open("/proc/self/statm") as statm:
                used = int(statm.read().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (used + limit * 2**20,) * 2)


main(int(sys.argv[1]), sys.argv[2:])
