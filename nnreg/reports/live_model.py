"""The network in a report: a form with an input for each column, and what it predicts for them.

The script is the export of the model to JavaScript, and `live_model.js`. The page allows this
script alone, by its hash, and shows the section only where scripts run.
"""

from __future__ import annotations

import importlib.resources
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from nnreg.builtin.encoders import Date
from nnreg.builtin.exporters.js_file import JsFile
from nnreg.data.input_columns import InputColumn
from nnreg.data.preprocessing import columns_of
from nnreg.exporters.record import program_of
from nnreg.model.model import Model
from nnreg.model.outputs import Output
from nnreg.operations.program import Program, ProgramInput, ProgramOutput
from nnreg.plotting.html import escape
from nnreg.tables.date_forms import Form

MAX_BYTES = 100_000
"""The size of the script above which a page has none; that of penguins has 9,000."""

MAX_INPUTS, MAX_VALUES, MAX_OPTIONS = 40, 60, 200
"""The most columns, predicted values and categories of a column in the form."""

SLIDER_STEPS = 100
"""About as many values a slider has."""


@dataclass(frozen=True)
class LiveModel:
    """The section as HTML, and the script of the page for it."""

    html: str
    script: str


def live_model(model: Model) -> LiveModel | None:
    """Return the form for a model; None if it cannot be exported, or is too large for a page."""
    if model.network.vector.nbytes * 4 / 3 > MAX_BYTES:  # in base 64
        return None
    if len(model.preprocessing.names) > MAX_INPUTS or model.preprocessing.window is not None:
        return None
    exporter = JsFile()
    try:
        with np.errstate(all="ignore"):  # recording computes with zeros
            program = program_of(model)
    except Exception:  # it cannot be exported; and a component of a plugin may raise anything
        return None
    if not _is_plain(program) or any(map(exporter.unsupported, program.operations)):
        return None
    resource = importlib.resources.files("nnreg.reports") / "live_model.js"
    code = exporter.contents(program)[""].decode() + "\n{\n" + resource.read_text("utf-8") + "}\n"
    script = _in_html(code)
    if len(script.encode()) > MAX_BYTES:
        return None
    return LiveModel(_section(model, program), script)


def _is_plain(program: Program) -> bool:
    """Return whether a row has one value per column, and its predictions are few values."""
    rows = all(
        one.takes in ("number", "text") and not one.operation.shape and not one.sequence
        for one in program.inputs
    )
    return rows and sum(one.operand.size for one in program.outputs) <= MAX_VALUES


def _in_html(code: str) -> str:
    """Return a script in which nothing looks like an element, its end, or a comment.

    Only texts and comments have these characters next to each other: operators have spaces around.
    """
    return re.sub(r"<(?=[a-z/!?])", r"\\u003c", code, flags=re.IGNORECASE)


def _section(model: Model, program: Program) -> str:
    columns = {one.name: one for one in model.preprocessing.inputs}
    controls = "\n".join(
        f"<div>{_control(columns[one.name], one, f'live-{index}')}</div>"
        for index, one in enumerate(program.inputs)
    )
    results = "\n".join(
        _results(model.outputs[one.name], one, named=len(program.outputs) > 1)
        for one in program.outputs
    )
    return (
        '<section hidden id="live">\n<h2>Try the network</h2>\n<p class="quiet">A typical row of '
        "the training data. Change a value, and the network predicts again, in this page.</p>\n"
        f'<div class="beside">\n<div class="controls">\n{controls}\n</div>\n'
        f'<div>\n{results}\n<div class="bad" role="status"></div>\n</div>\n</div>\n</section>'
    )


def _control(column: InputColumn, given: ProgramInput, identifier: str) -> str:
    """Return the input of a column with its label."""
    label = f'<label for="{identifier}">{escape(column.name)}</label>'
    attributes = f'id="{identifier}" data-column="{_attribute(column.name)}"'
    if given.takes == "number":
        return label + _number(column, attributes, identifier)
    known = column.encoder.known_texts
    if any(known) and len(known) <= MAX_OPTIONS:
        return f"{label}<select {attributes}>{''.join(_options(column, known))}</select>"
    kind, value = _text(column)
    return f'{label}<input type="{kind}" step="any" {attributes} value="{_attribute(value)}">'


def _attribute(text: str) -> str:
    """Return text as the value of an attribute, exactly: a script reads it."""
    special = "&<>\"'"
    return "".join(f"&#{ord(c)};" if c in special or not c.isprintable() else c for c in text)


def _number(column: InputColumn, attributes: str, identifier: str) -> str:
    """Return a field for a number, with a slider over the range of training if it is known."""
    summary = column.summary
    if summary is None or not summary.quantiles or summary.min is None or summary.max is None:
        value = column.fill if isinstance(column.fill, float) else 0.0
        return f'<input type="number" step="any" {attributes} value="{value!r}">'
    low, high = summary.min, summary.max
    typical = summary.quantiles[len(summary.quantiles) // 2]
    whole = all(float(v).is_integer() for v in (low, high, *summary.quantiles))
    step = 10.0 ** math.floor(math.log10((high - low) / SLIDER_STEPS)) if low < high else 1.0
    step = max(step, 1.0) if whole else step
    return (
        f'<span><input type="range" data-of="{identifier}" min="{low:.15g}" max="{high:.15g}" '
        f'step="{step:.15g}" value="{typical:.15g}" aria-label="{escape(column.name)}, slider">'
        f'<input type="number" step="any" {attributes} value="{typical:.15g}"></span>'
    )


def _options(column: InputColumn, known: Sequence[str]) -> Iterator[str]:
    """Yield the options of a category: the most frequent one is selected, if it is known."""
    for text in known:
        selected = " selected" if text == column.fill else ""
        yield f'<option value="{_attribute(text)}"{selected}>{escape(text)}</option>'
    if column.fill is not None or column.indicator:
        yield "<option data-missing>(missing)</option>"


def _text(column: InputColumn) -> tuple[str, str]:
    """Return the type of the field of a text, and an example."""
    encoder = column.encoder
    example = next(filter(None, encoder.example_texts), "")
    if not isinstance(encoder, Date) or encoder.form != Form() or encoder.zoned:
        return "text", example
    if encoder.of_day:
        return "time", example[:5]
    timed = {"hour", "minute", "second"} & {*encoder.chosen}
    return ("datetime-local", example[:16]) if timed else ("date", example[:10])


def _results(output: Output, one: ProgramOutput, *, named: bool) -> str:
    """Return a list of the values that an output predicts, which the script fills in."""
    kind, names = _names(output, one)
    title = f"<h3>{escape(output.name)}</h3>\n" if named else ""
    bar = "" if kind == "numbers" else '<div class="bar"><div></div></div>'
    lines = "\n".join(
        f"<div><dt>{escape(name)}</dt><dd>{bar}<output></output></dd></div>" for name in names
    )
    key = _attribute(one.name or "prediction")
    return f'{title}<dl class="results" data-output="{key}" data-kind="{kind}">\n{lines}\n</dl>'


def _names(output: Output, one: ProgramOutput) -> tuple[str, Sequence[str]]:
    """Return what the values of an output are, and their names."""
    loss, numbers = output.spec.loss, [str(n) for n in range(one.operand.size)]
    if output.labels is not None:
        return "labels", output.labels
    if one.classes is not None:
        probabilities = loss is None or loss.scores_are_probabilities
        fits = len(one.classes) == one.operand.size
        return ("classes" if probabilities else "numbers"), one.classes if fits else numbers
    if not output.predicts or output.target is None or loss is None:
        return "numbers", numbers if len(numbers) > 1 else ["output"]
    known = loss.output_names(columns_of(output.target))
    return "numbers", known if len(known) == len(numbers) else numbers
