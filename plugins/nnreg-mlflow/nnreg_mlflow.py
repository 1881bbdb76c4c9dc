"""Tracks runs with MLflow, for nnreg: settings, figures of every epoch, outcome, files."""

import contextlib
import json
import logging
import os
import re
import time

import nnreg
from nnreg import hookimpl

SHARE = 0.03
"""The share of the time that figures may take: a call of 10 ms is followed by 0.3 s without."""

BATCH = 100
"""The most parameters, and metrics, that a server takes in one call; MLflow's own is higher."""

LONGEST = 6000
"""The characters that MLflow keeps of a value."""

STATUS = {"epochs": "FINISHED", "early_stopping": "FINISHED", "interrupted": "KILLED"}
"""MLflow's word for an outcome; any other is FAILED."""

IMPATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
"""What the environment says unless it says otherwise: training is not to wait for a server."""


class Mlflow:
    """Keeps the MLflow run of each run of nnreg that is going on."""

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
    """A run of MLflow: a new one, that which was begun before, or that which is open in Python."""

    def __init__(self, run):
        import mlflow
        from mlflow.tracking.context.registry import resolve_tags

        self._run = run
        self._client = mlflow.MlflowClient()
        self._waiting = []
        self._next_call = 0.0
        directory = "" if run.directory is None else str(run.directory.resolve())
        tags = {**resolve_tags(), "nnreg.version": nnreg.__version__, "nnreg.folder": directory}
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
        """Keep the figures of an epoch, and send what is kept if calls took less than their share.

        `step` is the epoch.
        """
        now = int(time.time() * 1000)
        step = int(record["epoch"])
        self._waiting += [(k, v, now, step) for k, v in record.items() if k != "epoch"]
        if time.perf_counter() >= self._next_call:
            self._send()

    def end(self, outcome):
        """Send the rest, the figures of the best weights, and the files."""
        summary, now = self._run.summary, int(time.time() * 1000)
        best = summary.get("best_epoch", 0)
        for name, value in summary.get("test", {}).items():
            self._waiting.append((f"test_{name}", value, now, best))
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
        """Return the experiment that the environment names, or else the one of the spec's name."""
        if experiment := os.environ.get("MLFLOW_EXPERIMENT_ID"):
            return experiment
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or self._run.model.document.name
        found = self._client.get_experiment_by_name(name)
        return found.experiment_id if found else self._client.create_experiment(name)

    def _earlier(self, directory):
        """Return the MLflow run of this folder where it goes on, or None."""
        if not directory or not len(self._run.model.history):
            return None
        quote = '"' if "'" in directory else "'"
        found = self._client.search_runs(
            [self._experiment()],
            f"tags.`nnreg.folder` = {quote}{directory}{quote}",
            order_by=["attributes.start_time DESC"],
            max_results=1,
        )
        return found[0] if found else None

    def _settings(self, there):
        """Log the values in the spec; those that changed since the run began become a tag."""
        from mlflow.entities import Param

        values = {
            re.sub(r"[^\w.\- /]", "_", path): str(value)[:LONGEST]
            for path, value in self._run.settings.items()
        }
        fresh = [Param(path, value) for path, value in values.items() if path not in there]
        for start in range(0, len(fresh), BATCH):
            self._client.log_batch(self.id, params=fresh[start : start + BATCH])
        changed = {path: v for path, v in values.items() if there.get(path, v) != v}
        if changed:
            tag = f"nnreg.changed_after_epoch_{len(self._run.model.history)}"
            self._client.set_tag(self.id, tag, json.dumps(changed))

    def _send(self):
        from mlflow.entities import Metric

        began = time.perf_counter()
        for start in range(0, len(self._waiting), BATCH):
            some = [Metric(*figure) for figure in self._waiting[start : start + BATCH]]
            self._client.log_batch(self.id, metrics=some)
        self._waiting.clear()
        ended = time.perf_counter()
        self._next_call = ended + (ended - began) / SHARE


@contextlib.contextmanager
def _quietly():
    """Keep MLflow's notes on its database from the screen, and its patience short."""
    import mlflow  # noqa: F401 (it sets its level when it is imported)

    loggers = [logging.getLogger(name) for name in ("mlflow", "alembic")]
    levels = [logger.level for logger in loggers]
    unset = [name for name in IMPATIENCE if name not in os.environ]
    try:
        for logger in loggers:
            logger.setLevel(logging.WARNING)
        for name in unset:
            os.environ[name] = IMPATIENCE[name]
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        for name in unset:
            del os.environ[name]
