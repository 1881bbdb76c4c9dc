"""What a run's folder says, as pictures and as a page: `report`, `plot` and `compare`.

`record` reads a folder, `results` has what the network makes of the rows that were held out, and
`comparison` puts runs side by side. `figures` (with matplotlib), `diagram`, `braille` and `images`
draw, in the colours of `palette`. `page` writes the HTML with `markup`; `report` puts it together.
"""

from __future__ import annotations
