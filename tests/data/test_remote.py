"""Files at an address are downloaded once, and read as files here; no test uses the network."""

import functools
import http.server
import io
import json
import sys
import threading
import types
from contextlib import contextmanager

import pytest

from nnreg._utils import remote
from nnreg._utils.remote import is_remote, local_path
from nnreg.errors import DataError
from tests.helpers.specs import regressor

ROWS = b"x,y\n" + b"".join(b"%d,%d\n" % (n * n % 11, n * n % 22) for n in range(10))


@pytest.fixture(autouse=True)
def downloads(monkeypatch, tmp_path):
    """Keep downloads in a directory of the test, and forget them after it."""
    found = remote._Downloads()
    found.directory = tmp_path / "downloads"
    monkeypatch.setattr(remote, "_DOWNLOADS", found)
    return found


@pytest.fixture
def served(monkeypatch):
    """Return files by address that a stand-in for fsspec opens, and the addresses opened."""
    files, opened = {}, []

    @contextmanager
    def open_file(address, mode, compression):
        opened.append(address)
        if address not in files:
            raise FileNotFoundError(address)
        yield io.BytesIO(files[address])

    monkeypatch.setitem(sys.modules, "fsspec", types.SimpleNamespace(open=open_file))
    return types.SimpleNamespace(files=files, opened=opened)


def test_an_address_is_downloaded_once_and_keeps_its_suffix(served, tmp_path):
    served.files["https://a.org/b/d.csv.gz?x=1"] = b"1"
    path = local_path("https://a.org/b/d.csv.gz?x=1", tmp_path)
    assert path.read_bytes() == b"1"
    assert path.as_posix().endswith("downloads/0/a.org/b/d.csv.gz")
    assert local_path("https://a.org/b/d.csv.gz?x=1", tmp_path) == path
    assert served.opened == ["https://a.org/b/d.csv.gz?x=1"]


def test_what_is_an_address():
    assert all(map(is_remote, ("https://a", "s3://b/c", "file:///a")))
    assert not any(
        map(is_remote, ("a.csv", "/a//b", "C:\\a", "${secret:A}://b", "*.csv", "zip::https://a"))
    )


def test_no_address_leaves_the_directory(served, tmp_path, downloads):
    address = "https://../../..//%2e%2e/../a\\b/..d.csv"
    served.files[address] = b"1"
    path = local_path(address, tmp_path)
    assert downloads.directory.resolve() in path.resolve().parents


@pytest.mark.parametrize(
    "address",
    ["file:///etc/passwd", "local://a", "https://a::file://b", "ssh://a/b"],
)
def test_other_protocols_are_refused(served, tmp_path, address):
    with pytest.raises(DataError, match=r"not an address that is read; expected .* https://"):
        local_path(address, tmp_path)
    assert served.opened == []


def test_a_secret_is_neither_in_the_name_nor_in_an_error(served, tmp_path, monkeypatch):
    monkeypatch.setenv("NNREG_SECRET_KEY", "hidden")
    address = "https://a.org/${secret:KEY}/d.csv"
    with pytest.raises(DataError, match=r"cannot download the data: FileNotFoundError$") as caught:
        local_path(address, tmp_path)
    assert "hidden" not in str(caught.value)
    served.files["https://a.org/hidden/d.csv"] = b"1"
    assert "hidden" not in str(local_path(address, tmp_path))


def test_a_file_larger_than_the_disk_takes_is_refused(served, tmp_path, monkeypatch):
    served.files["https://a.org/d.csv"] = bytes(1000)
    free = types.SimpleNamespace(free=1500)
    monkeypatch.setattr(remote.shutil, "disk_usage", lambda _: free)
    with pytest.raises(DataError, match=r"a\.org/d\.csv: more than 750 .*, half of the free space"):
        local_path("https://a.org/d.csv", tmp_path)


def test_without_fsspec_the_error_names_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(DataError, match=r"https://a\.org/d\.csv: .* pip install 'nnreg\[remote\]'"):
        local_path("https://a.org/d.csv", tmp_path)


def test_init_run_evaluate_and_predict_take_an_address(served, tmp_path, monkeypatch, nnreg):
    monkeypatch.chdir(tmp_path)
    address = "https://a.org/b/d.csv"
    served.files[address] = ROWS
    code, _, err = nnreg("init", address, "--out", "first.json")
    assert code == 0, err
    assert nnreg("init", address)[0] == 0
    assert (tmp_path / "d.json").exists()
    assert f'"path": "{address}"' in (tmp_path / "first.json").read_text()
    data = {"source": "csv", "path": address, "target": "y"}
    (tmp_path / "s.json").write_text(json.dumps(regressor(data=data, train={"epochs": 1})))
    assert nnreg("run", "s.json", "--quiet")[0] == 0
    assert nnreg("evaluate", "runs/s-001")[0] == 0
    code, out, err = nnreg("predict", "runs/s-001", address)
    assert (code, out.count("\n")) == (0, 11), err
    assert served.opened == [address]
    served.opened.clear()
    assert nnreg("inspect", "runs/s-001")[0] == 0
    assert nnreg("predict", "runs/s-001", "-", stdin="x\n1\n")[0] == 0
    assert served.opened == []


def test_a_checkpoint_notices_that_the_file_at_an_address_changed(
    served, tmp_path, monkeypatch, nnreg, downloads
):
    monkeypatch.chdir(tmp_path)
    served.files["https://a.org/d.csv"] = ROWS
    data = {"source": "csv", "path": "https://a.org/d.csv", "target": "y"}
    (tmp_path / "s.json").write_text(json.dumps(regressor(data=data, train={"epochs": 1})))
    assert nnreg("run", "s.json", "--quiet")[0] == 0
    downloads.files.clear()
    served.files["https://a.org/d.csv"] += b"1,2\n"
    code, _, err = nnreg("evaluate", "runs/s-001")
    assert (code, "error: https://a.org/d.csv: not the data" in err) == (1, True), err


@pytest.mark.verify
def test_fsspec_reads_from_memory_and_from_a_server(tmp_path, peer):
    fsspec = peer("fsspec")
    with fsspec.open("memory://a/d.csv", "wb") as file:
        file.write(ROWS)
    assert local_path("memory://a/d.csv", tmp_path).read_bytes() == ROWS
    with pytest.raises(DataError, match=r"memory://a/none\.csv: cannot download the data: FileNot"):
        local_path("memory://a/none.csv", tmp_path)
    peer("aiohttp")
    (tmp_path / "d.csv").write_bytes(ROWS)
    handler = functools.partial(_Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            address = f"http://127.0.0.1:{server.server_port}"
            assert local_path(f"{address}/d.csv", tmp_path).read_bytes() == ROWS
            with pytest.raises(DataError, match=r"none\.csv: cannot download the data: FileNot"):
                local_path(f"{address}/none.csv", tmp_path)
        finally:
            server.shutdown()
            thread.join()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass
