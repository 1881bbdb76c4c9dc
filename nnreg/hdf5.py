"""The one place that imports h5py, and makes it safe to import.

An HDF5 file may name a compression filter that the library then searches the disk for and loads,
unless this variable is set before the first import.
"""

from __future__ import annotations

import os

os.environ.setdefault("HDF5_PLUGIN_PRELOAD", "::")

import h5py  # after the line above

__all__ = ["h5py", "plain_datasets"]


def plain_datasets(file: h5py.File) -> dict[str, h5py.Dataset]:
    """Return the datasets of a file, by path. Raises ValueError for anything but plain data.

    Plain is a hard link to a group, or to a dataset whose bytes are in this file.
    """
    found: dict[str, h5py.Dataset] = {}
    seen: set[int] = set()
    folders = [("", file["/"])]
    while folders:
        prefix, group = folders.pop()
        for name in group:
            path = f"{prefix}{name}"
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise ValueError(f"{path!r} is a link to somewhere else")
            item = group[name]
            address = h5py.h5o.get_info(item.id).addr
            if address in seen:
                raise ValueError(f"{path!r} is an object that another name already has")
            seen.add(address)
            if isinstance(item, h5py.Group):
                if path.count("/") > 64:
                    raise ValueError(f"{path!r} is nested too deep")
                folders.append((f"{path}/", item))
            elif isinstance(item, h5py.Dataset):
                if item.external or item.is_virtual:
                    raise ValueError(f"{path!r} keeps its values in another file")
                found[path] = item
            else:
                raise ValueError(f"{path!r} is not a dataset")
    return found
