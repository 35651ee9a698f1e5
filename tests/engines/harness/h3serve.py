"""What the tests of HTTP/3 have in common: a site that speaks it, and how a client is run."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import prowingen_wsgi
import pytest

from harness.certificates import server_files
from harness.h3client import H3Client, h3_client

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from harness.site import ServeFixture, Site

HTTP3_ONLY = [
    pytest.mark.engines("proxygen"),
    pytest.mark.no_tls("its tests are all of TLS"),
    pytest.mark.no_http2("it speaks HTTP/3"),
    pytest.mark.skipif(
        "HTTP/3" not in prowingen_wsgi._native.engines().get("proxygen", ""),
        reason="no engine that is built in has HTTP/3",
    ),
]
"""The marks of a module of theirs."""


@pytest.fixture
def serve3(serve: ServeFixture) -> ServeFixture:
    def start(app: object, **options: object) -> Site:
        return serve(app, http3=True, **{**vars(server_files()), **options})

    return start


def on_connection(site: Site, use: Callable[[H3Client], Awaitable[Any]], **options: Any) -> Any:
    async def connected() -> Any:
        async with h3_client(site, **options) as client:
            return await use(client)

    return asyncio.run(connected())
