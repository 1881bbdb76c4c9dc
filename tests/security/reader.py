"""Read files in a process with limited memory, and print the outcome of each.

`python -m tests.security.reader LIMIT FILE...` prints a line of JSON per file: the type of the
error (null if it loaded), its text, and the CPU seconds. LIMIT is in megabytes, in addition to the
memory that the imports and the first file, a valid one, need.
"""

import json
import resource
import sys
import time

from nnreg.checkpoint.save_load import load


def main(limit: int, files: list[str]) -> None:
    """Read each file and print the outcome."""
    for index, file in enumerate(files):
        start = time.process_time()
        error = message = None
        try:
            load(file)
        except Exception as caught:
            error, message = type(caught).__name__, str(caught)
        seconds = time.process_time() - start
        print(json.dumps({"error": error, "message": message, "seconds": seconds}), flush=True)
        if index == 0:
            with open("/proc/self/statm") as statm:
                used = int(statm.read().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (used + limit * 2**20,) * 2)


main(int(sys.argv[1]), sys.argv[2:])
