"""Tables with a column of file names of images, and nested directories of classes."""

import json
import os

import numpy as np
import PIL.Image
import pytest

from nnreg import DataError, NnregWarning
from nnreg.builtin.sources.delimited import Csv
from nnreg.builtin.sources.images import Images
from nnreg.data.loading import regular_files
from nnreg.tables.columns import categorical, numbers
from nnreg.tables.lazy import LazyArray


def write_image(path, level, size=(5, 4)):
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.new("L", size, level).save(path)


@pytest.fixture
def photos(tmp_path):
    """Return a table of 24 photos of houses, which are brighter where they are dearer."""
    rng = np.random.default_rng(0)
    lines = ["file,rooms,price"]
    for number in range(24):
        level, rooms = int(rng.integers(0, 256)), int(rng.integers(1, 6))
        write_image(tmp_path / "photos" / f"{number:02}.png", level)
        lines.append(f"{number:02}.png,{rooms},{level + 10 * rooms}")
    path = tmp_path / "photos" / "houses.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def changed(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_the_images_stand_beside_the_other_columns(photos):
    table = Images().read(photos)
    assert list(table.columns) == ["image", "rooms", "price"]
    assert table.columns["image"].shape == (24, 4, 5, 1)
    brightness = table.columns["image"][:, 0, 0, 0]
    np.testing.assert_array_equal(
        brightness + 10 * numbers(table, "rooms"), numbers(table, "price")
    )
    assert table.row_label(3) == "03.png"


def test_all_files_are_listed_once_for_the_digest(photos):
    changed(photos, "05.png", "04.png")
    (photos.parent / "05.png").unlink()
    names = [path.name for path in regular_files(Images(), photos)]
    assert names == ["houses.csv", *(f"{n:02}.png" for n in range(24) if n != 5)]


def test_names_may_be_in_a_directory_beside_the_table_and_in_those_below(photos):
    for name in ("00.png", "01.png"):
        (photos.parent / "more").mkdir(exist_ok=True)
        (photos.parent / name).rename(photos.parent / "more" / name)
        changed(photos, name, f"more/{name}")
    assert len(Images().read(photos)) == 24
    outer = photos.parent.parent / "houses.csv"
    photos.rename(outer)
    table = Images(directory="photos").read(outer)
    assert table.row_label(1) == "more/01.png"


def test_the_options_of_the_table_and_its_column_are_those_of_its_source(photos):
    photos.write_text("note;picture\nx.png;00.png\nb;01.png\n")
    source = Images(table=Csv(delimiter=";"), file_column="picture")
    with pytest.warns(NnregWarning, match=r"houses\.csv: 22 images beside those that it names, "
                      r"such as 02\.png; not read"):  # fmt: skip
        table = source.read(photos)
    assert categorical(table, "note").text().tolist() == ["x.png", "b"]
    assert list(table.columns) == ["note", "image"]


def test_images_beside_those_named_are_fine_where_another_table_may_name_them(photos):
    lines = photos.read_text().splitlines()
    photos.with_name("new.csv").write_text("\n".join([lines[0], *lines[20:]]))
    photos.write_text("\n".join(lines[:20]))
    assert len(Images().read(photos)) == 19
    assert len(Images().read(photos.with_name("new.csv"))) == 5


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("24.png", r"line 4, column 'file': no image .*24\.png; add it, or remove the row"),
        ("../outside.png", r"line 4, .*found '\.\./outside\.png', expected a file below"),
        ("more/../02.png", "without '..'"),
        ("/etc/02.png", r"found '/etc/02\.png', expected a file below"),
        ("houses.csv", r"line 4, .*found 'houses\.csv', expected an image: \.png, "),
        ("02", "found '02', expected an image"),
        ("link.png", r"link\.png is a link out of the directory"),
        ("linked/outside.png", r"outside\.png is a link out of the directory"),
        ("pipe.png", r"no image .*pipe\.png"),
        ("", "line 4, column 'file': the name of an image is missing"),
    ],
)
def test_names_that_are_no_images_in_the_directory_are_refused(photos, name, message):
    directory = photos.parent
    write_image(directory.parent / "other" / "outside.png", 0)
    (directory / "link.png").symlink_to(directory.parent / "other" / "outside.png")
    (directory / "linked").symlink_to(directory.parent / "other")
    (directory / "more").mkdir()
    os.mkfifo(directory / "pipe.png")
    (directory / "02.png").rename(directory / "more" / "02.png")
    changed(photos, "02.png", name)
    for read in (Images(file_column="file").read, Images(file_column="file").files):
        with pytest.raises(DataError, match=message):
            read(photos)


def test_a_link_within_the_directory_is_followed(photos):
    (photos.parent / "02.png").rename(photos.parent / "real.png")
    (photos.parent / "02.png").symlink_to("real.png")
    changed(photos, "03.png", "real.png")
    (photos.parent / "03.png").unlink()
    assert len(Images().read(photos)) == 24


@pytest.mark.parametrize("directory", ["..", "/etc", "a/../b", "\0"])
def test_the_directory_is_beside_the_table(directory):
    with pytest.raises(ValueError, match=r"directory: must be relative, without '\.\.'"):
        Images(directory=directory)


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("file,x\n", {}, "the file has a header but no rows"),
        ("a,b\nx,1\ny,2\n", {}, 'no column of the file names of images, .* "file_column"'),
        ("file,b\n00.png,1\n", {"file_column": "files"}, r"no column 'files'.*'file'"),
        ("image,file\n1,00.png\n", {}, "column 'image' is not that of the file names, 'file'"),
        ("", {}, "the file is empty"),
    ],
)
def test_tables_without_names_are_refused(photos, text, options, message):
    photos.write_text(text)
    with pytest.raises(DataError, match=rf"houses\.csv: {message}"):
        Images(**options).read(photos)


@pytest.mark.parametrize("stream", [False, True])
def test_a_run_with_two_inputs_predicts_other_tables_and_directories(
    photos, nnreg, monkeypatch, stream
):
    monkeypatch.chdir(photos.parent.parent)
    spec = {
        "data": {"source": {"type": "images", "size": [3, 3], "stream": stream},
                 "path": "photos/houses.csv",
                 "inputs": {"photo": "image", "facts": ["rooms"]}, "target": "price",
                 "split": {"test": 0.25}, "target_scaling": "standard"},
        "model": {"layers": [
            {"type": "flatten", "inputs": "photo", "name": "picture"},
            {"type": "concat", "inputs": ["picture", "facts"]},
            {"type": "dense", "units": 1},
        ]},
        "loss": "mean_squared_error",
        "optimizer": {"type": "adam", "learning_rate": 0.05},
        "metrics": ["r2"],
        "train": {"epochs": 60, "batch_size": 4},
    }  # fmt: skip
    (photos.parent.parent / "spec.json").write_text(json.dumps(spec))
    code, _, err = nnreg("run", "spec.json", "--out", "out", "--quiet")
    assert code == 0, err
    document = json.loads(nnreg("inspect", "out", "--json")[1])
    first = document["preprocessing"]["inputs"][0]
    assert (first["name"], first["shape"]) == ("image", [3, 3, 1])

    for number, level in enumerate((20, 220)):
        write_image(photos.parent.parent / "new" / "deep" / f"{number}.png", level, (9, 7))
    table = photos.parent.parent / "new" / "some.csv"
    table.write_text("file,rooms\ndeep/1.png,2\ndeep/0.png,3\n")
    lines = nnreg("predict", "out", "new/some.csv")[1].splitlines()
    assert [line.partition(",")[0] for line in lines] == ["name", "deep/1.png", "deep/0.png"]
    prices = [float(line.split(",")[1]) for line in lines[1:]]
    assert prices == pytest.approx([240, 50], abs=15)

    assert nnreg("evaluate", "out")[0] == 0
    write_image(photos.parent / "07.png", 7)
    code, _, err = nnreg("evaluate", "out")
    assert code != 0
    assert "houses.csv: not the data that it was trained on" in err


def test_images_that_stay_in_their_files_train_the_same_network_in_the_table_order(photos):
    lazy, read = (Images(stream=stream).read(photos).columns["image"] for stream in (True, False))
    assert isinstance(lazy, LazyArray)
    np.testing.assert_array_equal(lazy.take(np.arange(24)), read)


class TestNestedDirectories:
    def test_the_first_directory_is_the_class(self, tmp_path):
        for name in ("cat/1.png", "cat/more/2.png", "dog/a/b/3.png"):
            write_image(tmp_path / name, 0)
        table = Images().read(tmp_path)
        assert categorical(table, "label").text().tolist() == ["cat", "cat", "dog"]
        assert list(table.row_names) == ["cat/1.png", "cat/more/2.png", "dog/a/b/3.png"]

    def test_directories_of_splits_are_refused(self, tmp_path):
        for name in ("train/cat/1.png", "train/dog/2.png", "val/cat/3.png", "val/dog/4.png"):
            write_image(tmp_path / name, 0)
        with pytest.raises(DataError, match=r"train: its name is that of a split, .* set "
                           r"data\.path to it, and .*val to data\.split"):  # fmt: skip
            Images().read(tmp_path)
        assert len(Images().read(tmp_path / "train")) == 2

    def test_a_link_to_a_directory_below_a_class_is_refused(self, tmp_path):
        write_image(tmp_path / "cat/1.png", 0)
        (tmp_path / "cat/all").symlink_to(tmp_path)
        with pytest.raises(DataError, match=r"all: a link to a directory"):
            Images().read(tmp_path)
