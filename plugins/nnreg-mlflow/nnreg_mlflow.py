"""Tracking of nnreg runs with MLflow: settings, metrics of every epoch, outcome, files."""

import contextlib
import json
import logging
import os
import re
import time

import nnreg
from nnreg import hookimpl

MAX_OVERHEAD = 0.03
"""The fraction of time for sending metrics: after a call of 10 ms, there is none for 0.3 s."""

BATCH = 100
"""The number of parameters or metrics per call, below the maximum of MLflow."""

MAX_VALUE_LENGTH = 6000
"""The maximum number of characters of a value in MLflow."""

STATUS = {
    "epochs": "FINISHED",
    "early_stopping": "FINISHED",
    "by_plugin": "FINISHED",
    "interrupted": "KILLED",
}
"""The MLflow status of an outcome; that of any other is FAILED."""

HTTP_DEFAULTS = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
"""Environment variables, set if missing, so that training does not wait long for a server."""


class Mlflow:
    """Maps each active run of nnreg to its MLflow run."""

    def __init__(self):
        self._tracked = {}

    @hookimpl
    def nnreg_run_started(self, run):
        with _quietly():
            self._tracked[run] = Tracked(run)

    @hookimpl
    def nnreg_epoch_ended(self, run, record):
        with _quietly():
            self._tracked[run].epoch(record)

    @hookimpl
    def nnreg_run_ended(self, run, outcome):
        with _quietly():
            self._tracked.pop(run).end(outcome)


plugin = Mlflow()


class Tracked:
    """A run of MLflow: a new one, that of a resumed run, or the one that is open in Python."""

    def __init__(self, run):
        import mlflow
        from mlflow.tracking.context.registry import resolve_tags

        self._run = run
        self._client = mlflow.MlflowClient()
        self._pending = []
        self._next_call = 0.0
        directory = "" if run.directory is None else str(run.directory.resolve())
        tags = {**resolve_tags(), "nnreg.version": nnreg.__version__, "nnreg.directory": directory}
        opened = mlflow.active_run()
        self._own = opened is None
        found = opened or self._earlier(directory)
        if found is None:
            found = self._client.create_run(self._experiment(), run_name=run.name, tags=tags)
        elif self._own:
            self._client.update_run(found.info.run_id, status="RUNNING")
        self.id = found.info.run_id
        self._settings(found.data.params)
        self._client.log_dict(self.id, dict(run.spec), "spec.json")

    def epoch(self, record):
        """Add the metrics of an epoch, and send all if the overhead limit allows it.

        The step in MLflow is the epoch.
        """
        now = int(time.time() * 1000)
        step = int(record["epoch"])
        self._pending += [(k, v, now, step) for k, v in record.items() if k != "epoch"]
        if time.perf_counter() >= self._next_call:
            self._send()

    def end(self, outcome):
        """Send the remaining metrics, those of the best weights, and the files."""
        summary, now = self._run.summary, int(time.time() * 1000)
        best = summary.get("best_epoch", 0)
        for name, value in summary.get("test", {}).items():
            self._pending.append((f"test_{name}", value, now, best))
        self._send()
        self._client.set_tag(self.id, "nnreg.outcome", outcome)
        for name in ("best_epoch", "parameters", "kernels", "threads"):
            if name in summary:
                self._client.set_tag(self.id, f"nnreg.{name}", summary[name])
        directory = self._run.directory
        if directory is not None:
            self._client.log_artifact(self.id, str(directory / "summary.json"))
            for file in sorted((directory / "checkpoints").glob("*.h5")):
                self._client.log_artifact(self.id, str(file), "checkpoints")
        if self._own:
            self._client.set_terminated(self.id, STATUS.get(outcome, "FAILED"))

    def _experiment(self):
        """Return the experiment that the environment names, or else the one named like the spec."""
        if experiment := os.environ.get("MLFLOW_EXPERIMENT_ID"):
            return experiment
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or self._run.model.document.name
        found = self._client.get_experiment_by_name(name)
        return found.experiment_id if found else self._client.create_experiment(name)

    def _earlier(self, directory):
        """Return the MLflow run of this directory if the run is resumed, or None."""
        if not directory or not len(self._run.model.history):
            return None
        quote = '"' if "'" in directory else "'"
        found = self._client.search_runs(
            [self._experiment()],
            f"tags.`nnreg.directory` = {quote}{directory}{quote}",
            order_by=["attributes.start_time DESC"],
            max_results=1,
        )
        return found[0] if found else None

    def _settings(self, logged):
        """Log the values of the spec; changes since the start of the run become a tag."""
        from mlflow.entities import Param

        values = {
            re.sub(r"[^\w.\- /]", "_", path): str(value)[:MAX_VALUE_LENGTH]
            for path, value in self._run.settings.items()
        }
        new = [Param(path, value) for path, value in values.items() if path not in logged]
        for start in range(0, len(new), BATCH):
            self._client.log_batch(self.id, params=new[start : start + BATCH])
        changed = {path: v for path, v in values.items() if logged.get(path, v) != v}
        if changed:
            tag = f"nnreg.changed_after_epoch_{len(self._run.model.history)}"
            self._client.set_tag(self.id, tag, json.dumps(changed))

    def _send(self):
        from mlflow.entities import Metric

        begin = time.perf_counter()
        for start in range(0, len(self._pending), BATCH):
            batch = [Metric(*metric) for metric in self._pending[start : start + BATCH]]
            self._client.log_batch(self.id, metrics=batch)
        self._pending.clear()
        end = time.perf_counter()
        self._next_call = end + (end - begin) / MAX_OVERHEAD


@contextlib.contextmanager
def _quietly():
    """Silence MLflow's messages about its database, and set the HTTP defaults."""
    import mlflow  # noqa: F401 (sets the level of its logger on import)

    loggers = [logging.getLogger(name) for name in ("mlflow", "alembic")]
    levels = [logger.level for logger in loggers]
    unset = [name for name in HTTP_DEFAULTS if name not in os.environ]
    try:
        for logger in loggers:
            logger.setLevel(logging.WARNING)
        for name in unset:
            os.environ[name] = HTTP_DEFAULTS[name]
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        for name in unset:
            del os.environ[name]
