"""Descriptors that are closed in forked children."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from prowingen_wsgi.forks import keep_from_children, leave_to_children

if TYPE_CHECKING:
    from pathlib import Path


def is_open_in_a_child(descriptor: int) -> bool:
    child = os.fork()
    if child == 0:
        try:
            os.fstat(descriptor)
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0


def test_what_has_the_number_of_a_descriptor_that_was_kept_stays_open(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    keep_from_children(reader)
    try:
        assert not is_open_in_a_child(reader)
        assert is_open_in_a_child(writer)
        file = os.open(tmp_path / "file", os.O_CREAT)
        os.dup2(file, reader)
        os.close(file)
        assert is_open_in_a_child(reader)
    finally:
        leave_to_children(reader)
        os.close(reader)
        os.close(writer)
