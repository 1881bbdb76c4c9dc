"""Plugins that receive events of runs."""

from nnreg import hookimpl


class Recorder:
    """Records every event."""

    def __init__(self):
        self.events = []

    @hookimpl
    def nnreg_run_started(self, run):
        self.run = run
        self.events.append("started")

    @hookimpl
    def nnreg_epoch_ended(self, run, record):
        assert run is self.run
        self.events.append(record)

    @hookimpl
    def nnreg_run_ended(self, run, outcome):
        assert run is self.run
        self.events.append(outcome)


class Batches:
    """Records every batch."""

    def __init__(self):
        self.records, self.weights = [], []

    @hookimpl
    def nnreg_batch_ended(self, run, record):
        self.records.append(record)
        self.weights.append(run.model.network.vector.copy())


class Stopping:
    """Stops each run after some epoch."""

    def __init__(self, epoch, reason="hopeless"):
        self.epoch, self.reason, self.asked = epoch, reason, []

    @hookimpl
    def nnreg_stop_reason(self, run, record):
        self.asked.append(record["epoch"])
        return self.reason if record["epoch"] >= self.epoch else None


class Raising:
    """Raises in one event hook."""

    def __init__(self, hook, error):
        self.calls = 0

        def event():
            self.calls += 1
            raise error

        setattr(self, hook, hookimpl(event))


def files(directory):
    """Return the bytes of a run's files, except those with times and versions of plugins."""
    found = {
        file.relative_to(directory): file.read_bytes()
        for file in directory.rglob("*")
        if file.is_file()
    }
    return {
        name: data
        for name, data in found.items()
        if name.name not in ("summary.json", "environment.json")
    }
