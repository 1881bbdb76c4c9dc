"""Trainings in a job of MPI, started by `test_mpi` and by hand; the first rank prints JSON.

    mpiexec -n 2 python -m tests.ranks.trainings digests 1

with the number of threads, or to begin those of a directory and kill a rank, and to finish them:

    mpiexec -n 4 python -m tests.ranks.trainings begin DIRECTORY
    mpiexec -n 2 python -m tests.ranks.trainings finish DIRECTORY
"""

import json
import os
import signal
import sys
from contextlib import closing
from pathlib import Path

import nnreg
from nnreg.ranks.launcher import launched_ranks
from nnreg.testing.threads import COMPONENTS, SMALL, digest

ACCEPTED = {
    "dense": SMALL["dense, in shards"],
    "convolution with batch norm": SMALL["convolution with batch norm"],
    "LSTM with masks": SMALL["lstm with masks"],
    "transformer": SMALL["transformer"],
}
TRAININGS = {**ACCEPTED, **COMPONENTS}
SHARDS = 4
STEPS = 3
"""The steps before a rank is killed: it is then in the middle of the second of two epochs."""


def digests(threads, ranks):
    """Return the SHA-256 of each training on a number of threads."""
    return {
        name: _finished(training, training.model(shards=SHARDS, threads=threads), ranks)
        for name, training in TRAININGS.items()
    }


def begin(directory, ranks):
    """Save trainings after each of their first steps, then kill the last rank."""
    for name, training in ACCEPTED.items():
        model = training.model(shards=SHARDS, threads=1)
        with closing(training.trainer(model, ranks).iterate(lambda: True)) as pauses:
            for _ in range(STEPS):
                next(pauses)
                if ranks.is_first:
                    nnreg.save(model, directory / f"{name}.h5")
            if name == list(ACCEPTED)[-1] and ranks.rank == ranks.size - 1:
                os.kill(os.getpid(), signal.SIGKILL)
    ranks.gather_objects(None)  # waits for the rank that was killed


def saved(directory):
    """Return the saved trainings. A file that the kill left unfinished begins with a dot."""
    return sorted(directory.glob("[!.]*.h5"))


def finish(directory, ranks):
    """Return the SHA-256 of each training that a directory has, after its end, by name."""
    return {
        file.stem: _finished(ACCEPTED[file.stem], nnreg.load(file), ranks)
        for file in saved(directory)
    }


def _finished(training, model, ranks):
    """Return the SHA-256 of a training after its end."""
    trainer = training.trainer(model, ranks)
    for _ in trainer.epochs():
        pass
    return digest(trainer)


def main():
    """Run what the arguments say."""
    task, *arguments = sys.argv[1:]
    ranks = launched_ranks()
    with ranks.together():
        if task == "digests":
            found = digests(int(arguments[0]), ranks)
        elif task == "begin":
            found = begin(Path(arguments[0]), ranks)
        else:
            found = finish(Path(arguments[0]), ranks)
    if ranks.is_first:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
