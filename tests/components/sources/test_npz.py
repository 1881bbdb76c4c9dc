"""Archives of arrays: damaged ones are refused with an error of nnreg."""

import io
import random
import zipfile

import numpy as np
import pytest

from nnreg import DataError
from nnreg.builtin.sources.arrays import Npz
from tests.security.fuzz.mutations import bytes_of


def archive(path, **arrays):
    np.savez(path, **arrays)
    return path.read_bytes()


def test_text_with_an_impossible_character_is_refused(tmp_path):
    path = tmp_path / "data.npz"
    text = np.frombuffer(np.array([65, 0x110000], "<u4").tobytes(), "<U1")
    archive(path, x=np.arange(2), name=text)
    with pytest.raises(DataError, match=r"name\.npy has text with an invalid character"):
        Npz().read(path)


@pytest.mark.parametrize("order", ["<", ">"])
def test_text_of_either_byte_order_is_read(tmp_path, order):
    path = tmp_path / "data.npz"
    archive(path, name=np.array(["ä", "b", "\U0010ffff"], f"{order}U1"))
    assert Npz().read(path).columns["name"].tolist() == ["ä", "b", "\U0010ffff"]


def test_an_archive_whose_parts_would_begin_before_the_file_is_refused(tmp_path):
    path = tmp_path / "data.npz"
    content = bytearray(archive(path, x=np.arange(2)))
    directory = content.rindex(b"PK\x05\x06")
    content[directory + 16 : directory + 20] = b"\xff\xff\xff\x7f"  # its offset
    path.write_bytes(content)
    with pytest.raises(DataError, match="not an npz archive of plain arrays"):
        Npz().read(path)


def test_no_mutation_ends_in_another_exception(tmp_path):
    arrays = {
        "x": np.arange(12.0).reshape(4, 3),
        "y": np.array(["a", "b", "c", "d"]),
        "z": np.arange(4, dtype="i2"),
        "r": np.zeros(4, [("a", "f4"), ("b", "S3")]),
    }
    members = {}
    for name, array in arrays.items():
        np.save(saved := io.BytesIO(), array)
        members[f"{name}.npy"] = saved.getvalue()
    path, outcomes = tmp_path / "data.npz", set()
    for seed in range(2000):
        rng = random.Random(seed)
        changed = dict(members)
        name = rng.choice(list(changed))
        header, rest = changed[name][:128], changed[name][128:]
        whole = rng.random() < 0.5
        changed[name] = bytes_of(rng, header + rest) if whole else bytes_of(rng, header) + rest
        with zipfile.ZipFile(
            path, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
        ) as file:
            for name, content in changed.items():
                file.writestr(name, content)
        if rng.random() < 0.3:
            path.write_bytes(bytes_of(rng, path.read_bytes()))
        try:
            Npz().read(path)
        except DataError:
            outcomes.add("refused")
    assert outcomes == {"refused"}
