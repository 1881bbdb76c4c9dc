"""Cards: HTML that a notebook shows for an object, readable on its light and dark themes."""

from __future__ import annotations

from nnreg.plotting.html import escape
from nnreg.plotting.palette import dark_rules, variables

DARK = ':is(body[data-jp-theme-light="false"],.vscode-dark,html[theme="dark"]) .nnreg-card'
"""The selector of cards on dark themes of JupyterLab and Jupyter Notebook, VS Code and Colab."""

RULES = """\
.nnreg-card { color: var(--ink); background: var(--paper); border: 1px solid var(--grid);
  border-radius: 8px; padding: .7rem 1rem .8rem; max-width: 44rem; overflow-wrap: anywhere;
  font: 14px/1.5 system-ui, -apple-system, "Segoe UI", "Liberation Sans", sans-serif }
.nnreg-card h4 { font-size: 1.1rem; margin: 0; color: inherit }
.nnreg-card p { margin: .15rem 0; color: var(--muted) }
.nnreg-card ul { margin: .15rem 0 .4rem; padding-left: 1.2rem; color: var(--muted) }
.nnreg-card .wide { overflow-x: auto }
.nnreg-card table { border-collapse: collapse; margin: .6rem 0; font-size: .92em;
  font-variant-numeric: tabular-nums; color: inherit; table-layout: auto }
.nnreg-card tr { background: none !important }
.nnreg-card th, .nnreg-card td { border: 0; border-bottom: 1px solid var(--grid); color: inherit;
  padding: .25rem 1rem .25rem 0; text-align: left; white-space: nowrap; max-width: none }
.nnreg-card thead th { color: var(--muted); font-weight: 500 }
.nnreg-card tbody th { font-weight: 500 }
.nnreg-card td.long { white-space: normal; min-width: 9rem }
.nnreg-card .number { text-align: right }
.nnreg-card .best { color: var(--blue); font-weight: 600 }
.nnreg-card svg { display: block; width: 100%; max-width: 30rem; height: auto; margin-top: .6rem }
.nnreg-card summary { cursor: pointer; color: var(--blue) }
.nnreg-card progress { width: 12rem; height: .6rem; margin-right: .75rem; accent-color: var(--blue);
  vertical-align: middle }
"""


def card(title: str, *parts: str) -> str:
    """Return a card with a title, and those of its parts that are not empty, which are HTML."""
    heading = f"<h4>{escape(title)}</h4>" if title else ""
    body = "\n".join(part for part in (heading, *parts) if part)
    return f'<div class="nnreg-card"><style>{_style()}</style>\n{body}\n</div>'


def line(text: str) -> str:
    """Return a line of text, which is escaped; nothing if it is empty."""
    return f"<p>{escape(text)}</p>" if text else ""


def details(title: str, body: str, *, opened: bool) -> str:
    """Return HTML that the reader can open and close below a title."""
    attribute = " open" if opened else ""
    return f"<details{attribute}><summary>{escape(title)}</summary>{body}</details>"


def _style() -> str:
    dark = f"{DARK} {{ {variables(dark=True)} }}\n{dark_rules(DARK)}"
    return f".nnreg-card {{ {variables()} }}\n{RULES}{dark}"
