"""A server with a certificate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.apps import Echo
from harness.certificates import server_files

if TYPE_CHECKING:
    from harness.site import ServeFixture, Site


@pytest.fixture
def options() -> dict[str, object]:
    return dict(vars(server_files()))


@pytest.fixture
def site(serve: ServeFixture, options: dict[str, object]) -> Site:
    return serve(Echo(), **options)
