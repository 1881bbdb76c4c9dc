"""Drawing: charts as SVG, in a terminal and with matplotlib, all from one description.

`chart` says what a chart shows, `curves` makes the charts of a training, `components` those of an
activation or a schedule. `svg`, `braille` and `matplotlib_file` draw them in the colours of
`palette`.
"""
