"""Charts, drawn as SVG, in a terminal or with matplotlib from one description.

`chart` has the types of that description; `curves` returns the charts of a training, `components`
those of an activation or a schedule. `svg`, `braille` and `matplotlib_file` draw them in the
colours of `palette`.
"""
