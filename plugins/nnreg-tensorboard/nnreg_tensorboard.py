"""Event files of nnreg runs for TensorBoard, written with TensorBoard's own writer."""

import json
import os
import time

import numpy as np

from nnreg import hookimpl

DIRECTORY = "tensorboard"
"""The subdirectory of the run directory. Its subdirectories are shown as curves in one chart."""

BATCHES_VARIABLE = "NNREG_TENSORBOARD_BATCHES"
"""The environment variable that asks for the loss of every batch."""

BINS = 30
MAX_OVERHEAD = 0.03
"""The fraction of time for histograms: after one that took 10 ms, there is none for 0.3 s."""

DONE = ("epochs", "early_stopping", "by_plugin")
"""The outcomes of a completed run."""


class TensorBoard:
    """Maps each run that has a directory to its log; other runs are not logged."""

    def __init__(self):
        self._logs = {}

    @hookimpl
    def nnreg_run_started(self, run):
        if run.directory is not None:
            self._logs[run] = log = Log(run)
            log.describe()

    @hookimpl
    def nnreg_epoch_ended(self, run, record):
        if run in self._logs:
            self._logs[run].epoch(record)

    @hookimpl
    def nnreg_run_ended(self, run, outcome):
        if run in self._logs:
            self._logs.pop(run).end(outcome)


class WithBatches(TensorBoard):
    """Also writes the loss of every batch, which takes longer than a step of a small network."""

    @hookimpl
    def nnreg_batch_ended(self, run, record):
        if run in self._logs:
            self._logs[run].batch(record)


plugin = WithBatches() if os.environ.get(BATCHES_VARIABLE, "") not in ("", "0") else TensorBoard()


class Log:
    """The event files of one run: one for each split, and one for the settings."""

    def __init__(self, run):
        self._run = run
        self._writers = {}
        self._next_histograms = 0.0
        self._last_histograms = 0

    def describe(self):
        """Write the settings as hyperparameters, and the spec and the layers as text."""
        from tensorboard.plugins.hparams import summary_v2

        settings = {path: value for path, value in self._run.settings.items() if value is not None}
        self._add("", 0, summary_v2.hparams_pb(settings))
        self._text("spec", json.dumps(self._run.spec, indent=2))
        self._text("layers", self._run.model.summary())

    def batch(self, record):
        """Write the loss of a batch, and the learning rate of a schedule, at its step."""
        for name in record.keys() - {"epoch", "step"}:
            self._scalar("batches", int(record["step"]), f"batch/{name}", record[name])

    def epoch(self, record):
        """Write the metrics of an epoch, and histograms if the overhead limit allows it."""
        step = int(record["epoch"])
        for name, value in record.items():
            if name != "epoch":
                split = "validation" if name.startswith("val_") else "train"
                self._scalar(split, step, name.removeprefix("val_"), value)
        if time.perf_counter() >= self._next_histograms:
            self._histograms(step)

    def end(self, outcome):
        """Write the last weights and the metrics of the test split, and close the files.

        The model of a completed run has its best weights, which may not be the last.
        """
        summary, last = self._run.summary, len(self._run.model.history)
        if self._last_histograms < last and (outcome not in DONE or summary["best_epoch"] == last):
            self._histograms(last)
        for name, value in summary.get("test", {}).items():
            self._scalar("test", summary["best_epoch"], name, value)
        self._session_ended(outcome)
        for writer in self._writers.values():
            writer.close()

    def _histograms(self, step):
        start = time.perf_counter()
        for name, array in self._run.model.parameters.items():
            self._add("train", step, self._summary(tag=name, histo=_histogram(array)))
        end = time.perf_counter()
        self._last_histograms = step
        self._next_histograms = end + (end - start) / MAX_OVERHEAD

    def _scalar(self, split, step, tag, value):
        self._add(split, step, self._summary(tag=tag, simple_value=value))

    def _text(self, tag, text):
        from tensorboard.compat.proto.tensor_pb2 import TensorProto
        from tensorboard.compat.proto.types_pb2 import DT_STRING
        from tensorboard.plugins.text import metadata

        preformatted = f"```\n{text}\n```"
        tensor = TensorProto(dtype=DT_STRING, string_val=[preformatted.encode()])
        shown = metadata.create_summary_metadata(display_name=tag, description="")
        self._add("", 0, self._summary(tag=tag, tensor=tensor, metadata=shown))

    def _session_ended(self, outcome):
        from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2

        ended = plugin_data_pb2.SessionEndInfo(
            status=api_pb2.STATUS_SUCCESS if outcome in DONE else api_pb2.STATUS_FAILURE,
            end_time_secs=time.time(),
        )
        content = metadata.create_summary_metadata(
            plugin_data_pb2.HParamsPluginData(session_end_info=ended)
        )
        tag, empty = metadata.SESSION_END_INFO_TAG, metadata.NULL_TENSOR
        self._add("", 0, self._summary(tag=tag, metadata=content, tensor=empty))

    def _summary(self, **value):
        from tensorboard.compat.proto.summary_pb2 import Summary

        return Summary(value=[Summary.Value(**value)])

    def _add(self, split, step, summary):
        from tensorboard.compat.proto.event_pb2 import Event

        self._writer(split).add_event(Event(wall_time=time.time(), step=step, summary=summary))

    def _writer(self, split):
        """Return the writer of a split, or of the settings for an empty name.

        A new file replaces the data of later epochs, if a run resumes from an earlier one.
        """
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        if split not in self._writers:
            directory = self._run.directory / DIRECTORY / split
            self._writers[split] = writer = EventFileWriter(str(directory), max_queue_size=1000)
            first = len(self._run.model.history) + 1
            start = SessionLog(status=SessionLog.START)
            writer.add_event(Event(wall_time=time.time(), step=first, session_log=start))
        return self._writers[split]


def _histogram(array):
    from tensorboard.compat.proto.summary_pb2 import HistogramProto

    values = np.asarray(array, np.float64).reshape(-1)
    counts, edges = np.histogram(values, BINS)
    return HistogramProto(
        min=values.min(),
        max=values.max(),
        num=values.size,
        sum=values.sum(),
        sum_squares=np.dot(values, values),
        bucket_limit=edges[1:].tolist(),
        bucket=counts.tolist(),
    )
