"""Links, objects, names and attributes of HDF5 that the format does not allow."""

from __future__ import annotations

import h5py
import numpy as np

from tests.security.harness import altered, attack, forged


@attack("the root, byte .*: it has a link that is not a hard link")
def a_soft_link(path):
    altered(path, lambda file: file.update({"x": h5py.SoftLink("/document")}))


@attack("the root, byte .*: it has a link that is not a hard link")
def a_soft_link_to_itself(path):
    altered(path, lambda file: file.update({"x": h5py.SoftLink("/x")}))


@attack("it has a second message of type 16")
def an_external_link(path):
    altered(path, lambda file: file.update({"x": h5py.ExternalLink("/etc/passwd", "x")}))


@attack("'document', byte .*: it has 2 links instead of one")
def a_hard_link(path):
    altered(path, lambda file: file.update({"x": file["document"]}))


@attack("it has the same bytes as '(best|x)'")
def a_hard_link_that_is_not_counted(path):
    count, one = bytes.fromhex("01000100 02000000 18"), bytes.fromhex("01000100 01000000 18")
    forged(path, lambda file: file.update({"x": file["best"]}), count, one)


@attack("it has .* links instead of one")
def a_thousand_hard_links(path):
    def change(file):
        file["big"] = np.zeros(100_000)
        for number in range(1000):
            file[f"big{number}"] = file["big"]

    altered(path, change)


@attack("it has .* links instead of one")
def a_cycle(path):
    altered(path, lambda file: file.update({"parameters/up": file["parameters"]}))


@attack("it has .* links instead of one")
def a_cycle_through_the_root(path):
    altered(path, lambda file: file.update({"parameters/up": file["/"]}))


@attack("'type', byte .*: its message of type 3 is damaged")
def a_named_type(path):
    altered(path, lambda file: file.update({"type": np.dtype("f4")}))


@attack("is nested too deep")
def groups_in_groups(path):
    altered(path, lambda file: file.create_group("/".join(["g"] * 1000)))


@attack("more than 10,000 groups and datasets")
def many_groups(path):
    def change(file):
        for number in range(10_001):
            file.create_group(f"g{number}")

    altered(path, change)


@attack("'more', byte .*: it is an empty group")
def an_empty_group(path):
    altered(path, lambda file: file.create_group("more"))


@attack("is not a name")
def a_name_with_a_slash(path):
    forged(path, lambda file: file.create_group("xxx"), b"xxx\0", b"x/x\0")


@attack("is not a name")
def a_name_of_dots(path):
    forged(path, lambda file: file.create_group("-~"), b"-~\0", b"..\0")


@attack("is not a name")
def a_name_with_terminal_escapes(path):
    altered(path, lambda file: file.create_group("\x1b[2Jok"))


@attack("is not a name")
def a_name_that_is_not_text(path):
    forged(path, lambda file: file.create_group("~~"), b"~~\0", b"\xff\xfe\0")


@attack("the root, byte .*: it has attributes")
def an_attribute_of_the_file(path):
    altered(path, lambda file: file.attrs.update({"code": "import os"}))


@attack("'document', byte .*: it has attributes")
def an_attribute_of_an_array(path):
    altered(path, lambda file: file["document"].attrs.update({"x": 1}))


@attack("'parameters', byte .*: it has 10,003 messages")
def ten_thousand_attributes(path):
    def change(file):
        for number in range(10_000):
            file["parameters"].attrs[f"a{number}"] = number

    altered(path, change)
