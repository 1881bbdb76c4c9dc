"""The server: an address on which it listens until it is stopped."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

import uvicorn

from nnreg._utils.os_errors import explain_os_error
from nnreg.errors import UsageError
from nnreg.model.model import Model
from nnreg.serve.app import application
from nnreg.serve.limits import Limits


def serve(
    model: Model,
    host: str,
    port: int,
    limits: Limits | None = None,
    on_start: Callable[[str], None] | None = None,
) -> None:
    """Answer requests until SIGINT or SIGTERM, after which those that have begun are completed.

    `on_start` is called with the address. Raises `UsageError` if it cannot listen there.
    """
    limits = limits or Limits()
    with _listening(host, port) as listener:
        config = uvicorn.Config(
            application(model, limits),
            log_config=None,
            log_level="warning",
            access_log=False,
            lifespan="on",
            ws="none",
            proxy_headers=False,
            server_header=False,
            limit_concurrency=limits.waiting,
            timeout_graceful_shutdown=int(limits.seconds) + 1,
        )
        if on_start is not None:
            on_start(_address(host, listener.getsockname()[1]))
        uvicorn.Server(config).run(sockets=[listener])


def _listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens. Raises `UsageError`.

    That its protocol is named lets asyncio send the head of an answer without waiting for more
    (TCP_NODELAY); each answer would otherwise take 40 ms.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # on Windows, it would share the port with another program
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen()
    except OSError as error:
        listener.close()
        raise UsageError(
            f"{host}, port {port}: cannot listen: {explain_os_error(error)}; choose another one "
            "with --port"
        ) from error
    return listener


def _address(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
