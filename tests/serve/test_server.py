"""The server of predictions: its answers, its limits, and its stop."""

import asyncio
import concurrent.futures
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request

import numpy as np
import pytest

import nnreg
from tests.helpers.paths import ROOT

pytest.importorskip("starlette", reason="the server needs the extra 'serve'")
pytest.importorskip("uvicorn", reason="the server needs the extra 'serve'")
httpx = pytest.importorskip("httpx", reason="the tests ask with httpx")

pytestmark = pytest.mark.verify

ROW = {
    "island": "Biscoe", "bill_length_mm": 47.0, "bill_depth_mm": 15.0, "flipper_length_mm": 215,
    "body_mass_g": 5000, "sex": None,
}  # fmt: skip


@pytest.fixture(scope="module")
def run_directory(tmp_path_factory):
    """Return the directory of a short training of the penguins."""
    out = tmp_path_factory.mktemp("runs") / "penguins"
    nnreg.run(ROOT / "models/penguins.json", overrides={"train.epochs": 2}, out=out)
    return out


@pytest.fixture(scope="module")
def model(run_directory):
    return nnreg.load(run_directory)


@pytest.fixture
def client(model):
    return client_of(model)


class Client:
    """Asks an application without a network."""

    def __init__(self, app):
        self._app = app

    def get(self, path):
        return asyncio.run(self._ask("GET", path))

    def post(self, path, **content):
        return asyncio.run(self._ask("POST", path, **content))

    async def _ask(self, method, path, **content):
        transport = httpx.ASGITransport(app=self._app)
        asking = httpx.AsyncClient(transport=transport, base_url="http://test")
        async with self._app.router.lifespan_context(self._app), asking as client:
            return await client.request(method, path, **content)


def client_of(model, **limits):
    """Return a client of the application with these limits."""
    from nnreg.serve.app import application
    from nnreg.serve.limits import Limits

    return Client(application(model, Limits(**limits)))


async def chunks_of(body):
    """Yield a body in parts, so that its length is not in the head."""
    for start in range(0, len(body), 10):
        yield body[start : start + 10]


def rows(count):
    """Return rows with random numbers, one of them missing."""
    rng = np.random.default_rng(0)
    lengths = rng.normal(44, 5, count).tolist()
    lengths[0] = None
    sexes = ["male", "female"] * (count // 2)
    return [
        {**ROW, "sex": sex, "bill_length_mm": number}
        for sex, number in zip(sexes, lengths, strict=True)
    ]


class TestPredict:
    def test_a_row_gets_a_prediction(self, client, model):
        answer = client.post("/predict", json=ROW)
        assert answer.status_code == 200
        found = answer.json()["prediction"]
        assert found["prediction"] == model.classify([ROW])[0]
        probabilities = [value for name, value in found.items() if name != "prediction"]
        assert probabilities == model.predict([ROW])[0].tolist()

    def test_a_list_gets_as_many(self, client, model):
        answer = client.post("/predict", json=rows(50)).json()["predictions"]
        found = [[value for name, value in one.items() if name != "prediction"] for one in answer]
        assert found == model.predict(rows(50)).tolist()

    def test_a_problem_has_its_row_and_column(self, client):
        answer = client.post("/predict", json=[ROW, {**ROW, "island": "Drem"}, 5])
        assert answer.status_code == 422
        assert answer.json()["problems"] == [
            {"row": 1, "column": "island",
             "message": "found 'Drem', no known category; did you mean 'Dream'?"},
            {"row": 2, "column": None,
             "message": "expected an object of values by column, found 5"},
        ]  # fmt: skip

    def test_few_of_many_problems_are_listed(self, client):
        assert len(client.post("/predict", json=[5] * 100).json()["problems"]) == 20

    @pytest.mark.parametrize(
        ("body", "status", "message"),
        [
            (b"{", 400, "the body is not JSON: Expecting property name"),
            (b"\xff", 400, "the body is not JSON: 'utf-8' codec"),
            (b"[NaN]", 400, "the body is not JSON: NaN is not a number"),
            (b"[" * 10**5, 400, "the body is not JSON: maximum recursion"),
            (b"9" * 10**4, 400, "the body is not JSON: Exceeds the limit"),
            (b"[]", 422, "the list has no row"),
        ],
    )
    def test_another_body_is_an_error(self, client, body, status, message):
        answer = client.post("/predict", content=body)
        assert answer.status_code == status
        assert answer.json()["error"].startswith(message)

    def test_what_the_model_refuses_is_an_error(self, client, model, monkeypatch):
        def refuse(*_):
            raise nnreg.DataError("the data, row 0: no")

        monkeypatch.setattr("nnreg.serve.app.predictions", refuse)
        answer = client.post("/predict", json=ROW)
        assert (answer.status_code, answer.json()) == (422, {"error": "the data, row 0: no"})

    def test_a_bug_shows_no_traceback(self, client, monkeypatch, caplog):
        monkeypatch.setattr("nnreg.serve.app.predictions", lambda *_: 1 / 0)
        answer = client.post("/predict", json=ROW)
        assert answer.status_code == 500
        assert answer.json() == {"error": "the prediction failed; see the log of the server"}
        assert caplog.messages == ["no prediction: ZeroDivisionError('division by zero')"]
        assert "Traceback" not in caplog.text


class TestLimits:
    @pytest.mark.parametrize("chunked", [False, True])
    def test_a_large_body_is_refused(self, model, chunked):
        body = chunks_of(b" " * 200) if chunked else b" " * 200
        answer = client_of(model, body=100).post("/predict", content=body)
        assert answer.status_code == 413
        assert answer.json()["error"] == "the body has more than 100 bytes; ask for fewer rows"

    def test_many_rows_are_refused(self, model):
        answer = client_of(model, rows=2).post("/predict", json=[ROW] * 3)
        assert answer.status_code == 413
        assert answer.json()["error"] == "more than 2 rows; ask for fewer at a time"

    def test_a_request_has_so_many_seconds(self, model):
        answer = client_of(model, seconds=0).post("/predict", json=ROW)
        assert answer.status_code == 503
        assert answer.json()["error"] == "no prediction within 0 seconds; ask for fewer rows"


class TestOtherPaths:
    def test_health(self, client):
        assert client.get("/health").json() == {"status": "ok", "model": "penguins"}

    def test_the_description_has_the_schema_of_the_rows(self, client, model):
        found = client.get("/openapi.json").json()
        assert found["openapi"] == "3.1.0"
        row = found["components"]["schemas"]["Row"]
        assert row["properties"] == model.input_schema["properties"]
        assert set(found["paths"]) == {"/predict", "/health"}
        texts = re.findall(r'"\$ref": "#/components/schemas/(\w+)"', json.dumps(found))
        assert set(texts) == set(found["components"]["schemas"])

    def test_the_example_of_the_page_is_predicted(self, client):
        page = client.get("/")
        row = re.search(r"-d '(.*)'</pre>", page.text)[1]
        assert client.post("/predict", content=row).status_code == 200
        assert page.headers["content-security-policy"].startswith("default-src 'none'")

    @pytest.mark.parametrize(("path", "status"), [("/predict", 405), ("/../x", 404)])
    def test_another_is_an_error_in_json(self, client, path, status):
        answer = client.get(path)
        assert answer.status_code == status
        assert answer.json()["error"].endswith("; GET / says how to ask")


def test_answers_are_sent_without_waiting_for_more():
    from nnreg.serve.server import _listening

    with _listening("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP  # of others, asyncio delays them by 40 ms
        with pytest.raises(nnreg.UsageError, match="cannot listen: Address already in use; choose"):
            _listening(*listener.getsockname())


@pytest.mark.skipif(os.name == "nt", reason="sends POSIX signals")
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_many_clients_get_the_answers_of_the_model(run_directory, model, stop):
    command = [sys.executable, "-m", "nnreg", "serve", str(run_directory), "--port", "0"]
    # a shell without job control gives processes in the background an ignored SIGINT
    restore = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    finally:
        signal.signal(signal.SIGINT, restore)
    try:
        address = re.search(r"http://127\.0\.0\.1:\d+", server.stderr.readline())[0]

        def ask(row):
            body = json.dumps(row).encode()
            with urllib.request.urlopen(f"{address}/predict", body) as answer:
                return list(json.load(answer)["prediction"].values())[1:]

        given = rows(60)
        with concurrent.futures.ThreadPoolExecutor(8) as threads:
            found = list(threads.map(ask, given))
        assert found == [model.predict([row])[0].tolist() for row in given]
    finally:
        server.send_signal(stop)
        assert server.wait() in (130, -stop)
        assert "Traceback" not in server.stderr.read()
        server.stderr.close()
