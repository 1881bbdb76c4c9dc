"""The progress of a training in a notebook: one line of output, and none elsewhere."""

import os
import re
import sys
import threading
import types

import pytest

import nnreg
from nnreg import DivergedError
from nnreg.runs import notebook
from tests.helpers.paths import ROOT
from tests.helpers.specs import blobs, classifier, line, regressor, three_folds
from tests.helpers.work import HANG_SECONDS, Clock


class Notebook:
    """An IPython whose displays are recorded: one list of states for each."""

    def __init__(self, monkeypatch, kernel=True):
        self.displays = []
        package = types.ModuleType("IPython")
        package.get_ipython = lambda: types.SimpleNamespace(kernel=object() if kernel else None)
        display = types.ModuleType("IPython.display")
        display.display = self._display
        monkeypatch.setitem(sys.modules, "IPython", package)
        monkeypatch.setitem(sys.modules, "IPython.display", display)

    def _display(self, shown, *, display_id):
        assert display_id is True
        states = [shown]
        self.displays.append(states)
        return types.SimpleNamespace(update=states.append)


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(notebook, "time", clock)
    return clock


def train(clock, epochs=10, seconds=0.1, **options):
    def wait(record):
        clock.now += seconds

    spec = classifier(train={"epochs": epochs})
    return nnreg.run(spec, data=blobs(), on_epoch=wait, **options)


def test_a_run_replaces_one_line_at_most_five_times_a_second(monkeypatch, clock, capfd):
    there = Notebook(monkeypatch)
    before = threading.enumerate()
    model = train(clock, epochs=10, seconds=0.1)
    (states,) = there.displays
    assert len(states) <= 2 + 1 + 10 * 0.1 / notebook.SECONDS_BETWEEN_UPDATES
    assert repr(states[0]) == "preparing"
    assert re.search(r"epoch +[34]/10, loss [\d.]+, .*0:0\d left", repr(states[3]))
    loss = f"{model.history['loss'][-1]:#.3g}"
    assert repr(states[-1]).startswith(f"spec: epoch 10/10, loss {loss}")
    assert repr(states[-1]).endswith("done, 1.0 s")
    assert 'value="1.000"' in states[-1]._repr_html_()
    assert threading.enumerate() == before
    assert capfd.readouterr() == ("", "")


def test_folds_share_the_line(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    there = Notebook(monkeypatch)
    nnreg.run(three_folds(tmp_path), out="cv")
    (states,) = there.displays
    assert "cv/fold-3: fold 3 of 3, epoch 3/3" in repr(states[-1])


def test_a_resumed_run_counts_its_earlier_epochs(monkeypatch, tmp_path, clock):
    monkeypatch.chdir(tmp_path)
    model = train(clock, epochs=3)
    nnreg.save(model, "model.h5")
    there = Notebook(monkeypatch)
    spec = {"train.epochs": 4}
    with pytest.raises(nnreg.NnregError):  # it has no data files
        nnreg.resume("model.h5", overrides=spec)
    assert there.displays == []
    nnreg.run(three_folds(tmp_path) | {"train": {"epochs": 3}}, out="run", progress=False)
    nnreg.resume("run", overrides=spec)
    ((*_, last),) = there.displays
    assert "run: epoch 4/4" in repr(last)


def test_the_line_says_how_a_run_ended(monkeypatch, clock):
    there = Notebook(monkeypatch)
    spec = regressor(optimizer={"type": "sgd", "learning_rate": 1e30})
    with pytest.raises(DivergedError):
        nnreg.run(spec, data=line())

    def interrupt(record):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        nnreg.run(classifier(), data=blobs(), on_epoch=interrupt)
    diverged, interrupted = (repr(states[-1]) for states in there.displays)
    assert "diverged" in diverged
    assert "interrupted" in interrupted


def test_names_are_escaped(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    there = Notebook(monkeypatch)
    nnreg.run(three_folds(tmp_path) | {"train": {"epochs": 1}}, out="<b>")
    assert "&lt;b&gt;: epoch" in there.displays[0][-1]._repr_html_()
    assert "<b>" not in there.displays[0][-1]._repr_html_()


def test_nothing_is_shown_elsewhere_or_if_it_is_switched_off(monkeypatch, clock, capfd):
    train(clock)
    terminal = Notebook(monkeypatch, kernel=False)
    train(clock)
    there = Notebook(monkeypatch)
    train(clock, progress=False)
    assert terminal.displays == there.displays == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.verify
def test_a_real_notebook_has_one_line_and_cards(tmp_path, peer):
    nbformat, nbclient = peer("nbformat"), peer("nbclient")
    peer("ipykernel", imported=False)
    cells = [
        "import threading, warnings\nwarnings.simplefilter('error')\nimport nnreg\n"
        "before = threading.enumerate()\n"
        f"model = nnreg.run({str(ROOT / 'models' / 'penguins.json')!r}, out='runs/first')\n"
        "assert threading.enumerate() == before",
        "model",
        "model.history",
        "nnreg.compare('runs/first')",
        f"nnreg.run({str(ROOT / 'models' / 'xor.json')!r}, progress=False);",
    ]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "IPYTHONDIR": str(tmp_path / "ipython")}
    client = nbclient.NotebookClient(
        book,
        kernel_name="python3",
        timeout=HANG_SECONDS,
        resources={"metadata": {"path": str(tmp_path)}},
    )
    client.execute(env=environment)
    shown = [[one for one in cell.outputs if one.output_type != "stream"] for cell in book.cells]
    (progress,) = shown[0]
    assert progress.output_type == "display_data"
    text = progress.data["text/plain"]
    assert re.fullmatch(
        r"first: epoch 100/100, loss \S+, val_loss \S+, best epoch \d+, done, .*s", text
    )
    for (output,), expected in zip(shown[1:4], ("test", "History", "Comparison"), strict=True):
        assert '<div class="nnreg-card">' in output.data["text/html"]
        assert expected in output.data["text/html"]
    assert shown[4] == []
    printed = [
        one.text for cell in book.cells for one in cell.outputs if one.output_type == "stream"
    ]
    assert not [text for text in printed if "IPKernelApp" not in text]
