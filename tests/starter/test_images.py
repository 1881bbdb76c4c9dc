"""What is proposed for images: a size and colours where they differ, and tables that name them."""

import json

import numpy as np
import PIL.Image
import pytest

from nnreg.starter.propose import propose


def write(path, size=(8, 6), mode="L", level=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.new(mode, size, level).save(path)


@pytest.fixture
def directory(tmp_path):
    lines = ["file;rooms;price"]
    for number in range(12):
        write(tmp_path / "photos" / f"{number:02}.png", level=10 * number)
        lines.append(f"{number:02}.png;{number % 3 + 1};{number * 1000 + 500}")
    (tmp_path / "photos" / "houses.csv").write_text("\n".join(lines))
    return tmp_path / "photos"


def source_of(path, directory):
    proposal = propose(path, directory=directory)
    return proposal, proposal.tree["data"]["source"]


def test_images_alike_need_no_option(tmp_path):
    for number in range(8):
        write(tmp_path / "ab"[number % 2] / f"{number}.png")
    assert source_of(tmp_path, tmp_path)[1] == "images"


def test_a_size_is_proposed_where_they_differ(tmp_path):
    for number in range(9):
        mode = "RGB" if number == 1 else "L"
        write(tmp_path / "ab"[number % 2] / f"{number}.jpg", (300, 200 + number), mode)
    proposal, source = source_of(tmp_path, tmp_path)
    assert source == {"type": "images", "size": [87, 128], "color": "rgb"}
    assert "differ in size, such as 300 x 200 and 300 x 208 pixels" in proposal.text()
    assert "all become colours" in proposal.text()


def test_the_side_on_which_a_photo_was_taken_counts(tmp_path):
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    for number in range(8):
        path = tmp_path / "ab"[number % 2] / f"{number}.jpg"
        path.parent.mkdir(exist_ok=True)
        PIL.Image.new("L", (20, 10) if number else (10, 20)).save(
            path, exif=exif if number else b""
        )
    assert source_of(tmp_path, tmp_path)[1] == "images"


@pytest.mark.parametrize("given", ["", "houses.csv"])
def test_a_table_that_names_images_is_found(directory, given):
    write(directory / "03.png", (9, 9))
    proposal, source = source_of(directory / given, directory.parent)
    assert proposal.tree["data"]["path"] == "photos/houses.csv"
    assert source == {
        "type": "images", "table": {"type": "csv", "delimiter": ";"}, "size": [6, 8]
    }  # fmt: skip
    assert (proposal.target, proposal.inputs) == ("price", ("image",))


def test_a_table_of_names_without_images_is_a_table(tmp_path):
    rng = np.random.default_rng(0)
    lines = [f"{n % 3}.png,{rng.normal():.3f},{n % 2}" for n in range(20)]
    path = tmp_path / "a.csv"
    path.write_text("\n".join(["file,x,y", *lines]))
    assert source_of(path, tmp_path)[1] == "csv"


def test_what_is_proposed_runs(directory, nnreg, monkeypatch):
    monkeypatch.chdir(directory.parent)
    code, _, err = nnreg("init", "photos", "--out", "spec.json")
    assert code == 0, err
    code, _, err = nnreg("run", "spec.json", "--out", "out", "--quiet", "--set", "train.epochs=2")
    assert code == 0, err
    found = json.loads(nnreg("inspect", "out", "--json")[1])
    assert found["preprocessing"]["inputs"][0]["name"] == "image"
