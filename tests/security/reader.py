"""Read files in a process that has little memory, and tell what came of each.

`python -m tests.security.reader LIMIT FILE...` prints a line of JSON a file: the error it ended in
(null where it loaded), its text, and the seconds. LIMIT is in megabytes, beyond what the imports
and the reading of the first file take; the first file is a sound one.
"""

import json
import resource
import sys
import time

from nnreg.checkpoint.save_load import load


def main(limit: int, files: list[str]) -> None:
    """Read each file and print what came of it."""
    for place, file in enumerate(files):
        began = time.perf_counter()
        error = message = None
        try:
            load(file)
        except Exception as caught:
            error, message = type(caught).__name__, str(caught)
        seconds = time.perf_counter() - began
        print(json.dumps({"error": error, "message": message, "seconds": seconds}), flush=True)
        if not place:
            with open("/proc/self/statm") as statm:
                taken = int(statm.read().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (taken + limit * 2**20,) * 2)


main(int(sys.argv[1]), sys.argv[2:])
