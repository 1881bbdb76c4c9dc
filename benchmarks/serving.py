"""Requests per second of `nnreg serve`, by the number of rows of a request and of clients.

    python -m benchmarks.serving [SECONDS]

The server is a process of its own on loopback, and so are the clients, which ask again as soon as
they have their answer, on connections that they keep. Needs the extra `serve`.
"""

from __future__ import annotations

import http.client
import json
import multiprocessing
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import nnreg
from nnreg.serve.openapi import example_row

SPEC = Path(__file__).parent.parent / "models/penguins.json"
ROWS = (1, 100, 1000)
CLIENTS = (1, 4)


def main() -> None:
    """Print a line for each number of rows and clients."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 3.0
    with TemporaryDirectory() as directory:
        run = Path(directory) / "run"
        model = nnreg.run(SPEC, overrides={"train.epochs": 2}, out=run)
        command = [sys.executable, "-m", "nnreg", "serve", str(run), "--port", "0"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
            assert server.stderr is not None
            port = int(re.search(r":(\d+) ", server.stderr.readline())[1])
            try:
                for rows in ROWS:
                    for clients in CLIENTS:
                        measure(port, [example_row(model)] * rows, clients, seconds)
            finally:
                server.send_signal(signal.SIGTERM)


def measure(port: int, rows: list[dict], clients: int, seconds: float) -> None:
    """Print how many requests are answered, and how long one takes."""
    body = json.dumps(rows if len(rows) > 1 else rows[0]).encode()
    with multiprocessing.Pool(clients) as pool:
        asked = pool.starmap(times_of_requests, [(port, body, seconds)] * clients)
    times = 1000 * np.concatenate(asked)
    rate = len(times) / seconds
    print(
        f"{len(rows):5} rows, {clients} clients: {rate:7.0f} requests/s, {rate * len(rows):9.0f} "
        f"rows/s, {np.median(times):6.2f} ms (99 %: {np.quantile(times, 0.99):.2f} ms)"
    )


def times_of_requests(port: int, body: bytes, seconds: float) -> list[float]:
    """Return the seconds of each request of a client."""
    connection, found = http.client.HTTPConnection("127.0.0.1", port), []
    end = time.perf_counter() + seconds
    while (start := time.perf_counter()) < end:
        connection.request("POST", "/predict", body)
        answer = connection.getresponse()
        text = answer.read()
        assert answer.status == 200, text
        found.append(time.perf_counter() - start)
    return found


if __name__ == "__main__":
    main()
