"""What a run's folder says, as pictures and as a page: `report`, `plot` and `compare`.

`record` reads a folder, `results` has what the network makes of the held-out rows; `figures` (with
matplotlib) and `diagram` draw, `page` writes the HTML, and `report` puts it all together.
"""
