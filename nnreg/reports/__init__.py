"""Reports and comparisons of runs: `report` and `compare`.

`run_record` reads a run directory, `predictions` evaluates the network on the held-out rows, and
`comparison` puts runs side by side. `figures` and `network_diagram` draw, `png` encodes input
images; `html_page` assembles the page from `run_sections`, `fold_sections` and `evaluation`, with
the elements in `html`. `report` writes the files.
"""
