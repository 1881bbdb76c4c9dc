"""Files with a wrong header, length or digest, and paths that are not regular files."""

from __future__ import annotations

import os

from nnreg._utils.memory import memory_limit
from nnreg.checkpoint.file_format import HEADER_BYTES, MAGIC
from nnreg.checkpoint.migrations import FORMAT
from tests.security.harness import attack, image, signed, victim


@attack("not a checkpoint of nnreg")
def empty(path):
    path.write_bytes(b"")


@attack("not a checkpoint of nnreg")
def a_pickle(path):
    path.write_bytes(b"\x80\x04cos\nsystem\n(S'touch pwned'\ntR.")


@attack("not a checkpoint of nnreg")
def plain_hdf5(path):
    path.write_bytes(b"\0" * HEADER_BYTES + image(*victim()))


@attack(f"format '{FORMAT + 1}'")
def a_newer_format(path):
    path.write_bytes(signed(image(*victim()), str(FORMAT + 1)))


@attack("format '01'")
def an_invalid_format(path):
    path.write_bytes(signed(image(*victim()), "01"))


@attack("truncated or extended")
def truncated(path):
    path.write_bytes(signed(image(*victim()))[:-1])


@attack("truncated or extended")
def extended(path):
    path.write_bytes(signed(image(*victim())) + b"\0")


@attack("truncated or extended")
def a_header_alone(path):
    path.write_bytes(MAGIC + f"format {FORMAT}\nbytes 9\n".encode())


@attack("damaged")
def unsigned(path):
    data = bytearray(signed(image(*victim())))
    data[-1] ^= 1
    path.write_bytes(data)


@attack("damaged")
def something_hidden_in_the_header(path):
    data = bytearray(signed(image(*victim())))
    data[HEADER_BYTES - 1] = 1
    path.write_bytes(data)


@attack("not a well-formed checkpoint")
def no_image(path):
    path.write_bytes(signed(b""))


@attack("not a well-formed checkpoint")
def half_an_image(path):
    body = image(*victim())
    path.write_bytes(signed(body[: len(body) // 2]))


@attack("not a run directory")
def a_directory(path):
    path.mkdir()


@attack("not a regular file")
def a_pipe(path):
    os.mkfifo(path)


@attack("not a regular file")
def a_device(path):
    path.symlink_to("/dev/zero")


@attack("cannot read: Too many levels of symbolic links")
def a_link_to_itself(path):
    path.symlink_to(path.name)


@attack("are too large for .* bytes of memory")
def larger_than_memory(path):
    size = memory_limit() or 1 << 40
    with path.open("wb") as file:
        file.write(MAGIC + f"format {FORMAT}\nbytes {size}\n".encode())
        file.truncate(HEADER_BYTES + size)
