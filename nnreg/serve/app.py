"""The application: requests in JSON and their answers."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, NoReturn

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from nnreg._utils import json_text
from nnreg._utils.threads import available_threads
from nnreg.errors import NnregError
from nnreg.model.model import Model
from nnreg.model.predicted_columns import predictions
from nnreg.model.row_schema import row_problems
from nnreg.serve.limits import MAX_PROBLEMS, Limits, RequestError, read_body
from nnreg.serve.openapi import openapi, page

LOGGER = logging.getLogger("nnreg.serve")

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}


def application(model: Model, limits: Limits | None = None) -> Starlette:
    """Return an ASGI application that predicts with a model."""
    limits = limits or Limits()
    description = openapi(model, limits)
    answering = _Answering(model, limits)

    async def predict(request: Request) -> Response:
        return await answering.respond(request)

    async def describe(_: Request) -> Response:
        return _response(description)

    async def health(_: Request) -> Response:
        return _response({"status": "ok", "model": model.document.name})

    async def home(request: Request) -> Response:
        return HTMLResponse(page(model, request.url.netloc), headers=HEADERS)

    routes = [
        Route("/predict", predict, methods=["POST"]),
        Route("/openapi.json", describe),
        Route("/health", health),
        Route("/", home),
    ]
    return Starlette(
        routes=routes,
        exception_handlers={HTTPException: _refused},
        lifespan=lambda _: answering.threads(),
    )


class _Answering:
    """Predicts rows of requests, in a fixed number of threads.

    A prediction cannot be interrupted: one that takes too long keeps its thread, and requests wait
    for one until their time is over.
    """

    def __init__(self, model: Model, limits: Limits) -> None:
        self.model, self.limits, self.inputs = model, limits, model.input_schema
        self._threads: ThreadPoolExecutor | None = None

    @asynccontextmanager
    async def threads(self) -> AsyncIterator[None]:
        """Have the threads in a context."""
        with ThreadPoolExecutor(available_threads(), "nnreg-serve") as self._threads:
            yield

    async def respond(self, request: Request) -> Response:
        """Return the predictions, or what is wrong with the request."""
        try:
            answer = await asyncio.wait_for(self._answer(request), self.limits.seconds)
        except TimeoutError:
            text = f"no prediction within {self.limits.seconds:g} seconds; ask for fewer rows"
            return _response({"error": text}, 503)
        except RequestError as error:
            return _response(error.content, error.status)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it
        except Exception as error:
            LOGGER.error("no prediction: %r", error)
            return _response({"error": "the prediction failed; see the log of the server"}, 500)
        return Response(answer, media_type="application/json", headers=HEADERS)

    async def _answer(self, request: Request) -> str:
        body = await read_body(request, self.limits.body)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self.answer, body)

    def answer(self, body: bytes) -> str:
        """Return the answer to a body as JSON. Raises `RequestError`."""
        given = _parsed(body)
        rows = given if isinstance(given, list) else [given]
        self._check(rows)
        try:
            names, values = predictions(self.model, self.model.raw_rows.table(rows, self._names))
        except NnregError as error:
            raise RequestError(422, str(error)) from error
        found = [dict(zip(names, row, strict=True)) for row in values]
        one = not isinstance(given, list) and len(found) == 1
        content = {"prediction": found[0]} if one else {"predictions": found}
        return json_text.dumps(content, ensure_ascii=False)

    @property
    def _names(self) -> tuple[str, ...]:
        return self.model.preprocessing.names

    def _check(self, rows: list[Any]) -> None:
        """Raise `RequestError` for too many rows, or for rows that do not fit."""
        if not rows:
            raise RequestError(422, "the list has no row")
        if len(rows) > self.limits.rows:
            raise RequestError(413, f"more than {self.limits.rows:,} rows; ask for fewer at a time")
        found = list[dict[str, Any]]()
        for number, row in enumerate(rows):
            for problem in row_problems(self.inputs, row):
                found.append({"row": number, **problem._asdict()})
                if len(found) == MAX_PROBLEMS:
                    break
            if len(found) == MAX_PROBLEMS:
                break
        if found:
            raise RequestError(422, "rows do not fit", found)


def _parsed(body: bytes) -> Any:
    """Return the value of strict JSON. Raises `RequestError`."""
    try:
        return json.loads(body.decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise RequestError(400, f"the body is not JSON: {error}") from error


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number of JSON")


def _response(content: Any, status: int = 200) -> Response:
    text = json_text.dumps(content, ensure_ascii=False)
    return Response(text, status, HEADERS, "application/json")


async def _refused(_: Request, error: Exception) -> Response:
    """Return a wrong path or method as JSON."""
    assert isinstance(error, HTTPException)
    response = _response({"error": f"{error.detail}; GET / says how to ask"}, error.status_code)
    response.headers.update(error.headers or {})
    return response
