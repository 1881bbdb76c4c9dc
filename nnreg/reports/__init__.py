"""Reports and comparisons of runs: `report` and `compare`.

`record` reads a run's folder, `results` has the network's predictions of the rows that were held
out, and `comparison` puts runs side by side. `figures` and `diagram` make the drawings, `images`
the images of inputs; `page` and `evaluation` write the HTML with `markup`, and `report` puts it all
together.
"""
