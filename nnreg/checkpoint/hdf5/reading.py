"""Reading the subset of HDF5 that checkpoints use, without the HDF5 library.

The digest in the header detects accidental damage. An adversarial file can have a matching digest,
and the library can crash on structures of such a file, so it reads none. `docs/file-format.md`
describes the subset; everything else is refused. Each structure and each array takes bytes of its
own, so that the work and the memory are proportional to the size of the file.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from nnreg._types import Array
from nnreg._utils.hdf5_names import MAX_DEPTH, is_name
from nnreg.checkpoint.hdf5.groups import links, root
from nnreg.checkpoint.hdf5.image import Cut, Image
from nnreg.checkpoint.hdf5.objects import StoredArray, check_group, locate_array
from nnreg.errors import FormatError

MAX_LINKS = 10_000
"""The maximum number of groups and datasets in a checkpoint."""

MAX_PATH = 4096
"""The maximum number of characters of a path: there is one path per dataset in memory."""


def read_arrays(data: bytes | memoryview, start: int) -> dict[str, Array]:
    """Return the arrays of an HDF5 file that begins at an offset of `data`, by path.

    They are in the order of their bytes. Raises `FormatError` for a file with anything that a
    checkpoint does not have.
    """
    view = memoryview(data)
    found = locate_arrays(lambda first, last: view[first:last], start, len(data))
    in_order = sorted(found.items(), key=lambda item: item[1].start)
    return {path: stored.values(data) for path, stored in in_order}


def locate_arrays(cut: Cut, start: int, stop: int) -> dict[str, StoredArray]:
    """Return the location of each array of an HDF5 file by path; see `read_arrays`."""
    image = Image(cut, start, stop)
    found: dict[str, StoredArray] = {}
    groups = [("", "the root", root(image))]
    count = 0
    while groups:
        prefix, where, group = groups.pop()
        check_group(image, where, group.header, group.addresses)
        for name, entry in links(image, where, group.addresses):
            count += 1
            path = f"{prefix}{name}"
            if count > MAX_LINKS:
                raise FormatError(_TOO_MANY)
            if len(path) > MAX_PATH:
                raise FormatError(_TOO_LONG.format(path[:40]))
            if not entry.is_group:
                found[path] = locate_array(image, repr(path), entry.header)
            elif path.count("/") < MAX_DEPTH:
                groups.append((f"{path}/", repr(path), entry))
            else:
                raise FormatError(f"{path!r} is nested too deep")
    image.check_overlaps()
    return found


def check_paths(paths: Iterable[str]) -> None:
    """Raise `FormatError` for paths of arrays that `locate_arrays` would refuse in a file."""
    found: set[str] = set()
    for path in paths:
        if len(path) > MAX_PATH:
            raise FormatError(_TOO_LONG.format(path[:40]))
        parts = path.split("/")
        if not all(map(is_name, parts)):
            raise FormatError(f"{path!r} is not a name")
        if len(parts) - 1 > MAX_DEPTH:
            raise FormatError(f"{path!r} is nested too deep")
        found.update(itertools.accumulate(parts, "{}/{}".format))
    if len(found) > MAX_LINKS:
        raise FormatError(_TOO_MANY)


_TOO_MANY = f"there are more than {MAX_LINKS:,} groups and datasets"
_TOO_LONG = f"a path is longer than {MAX_PATH:,} characters: {{!r}}…"
