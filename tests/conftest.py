"""One behaviour suite over every engine built into the native module.

A test that takes the fixture `engine`, or `serve` which uses it, runs once for each engine. Every
test has a time limit and must leave no thread behind.
"""

from __future__ import annotations

import faulthandler
import logging
import signal
import sys
import threading
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

HERE = Path(__file__).parent
# Explicit, so that the suite runs under any pytest import mode and against an installed package.
for folder in (HERE, HERE / "engines", HERE / "docs", HERE / "fleet", HERE.parent / "tools"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

from harness.certificates import server_files  # noqa: E402
from harness.logwatch import LogWatch  # noqa: E402
from harness.site import ListenFixture, ServeFixture, Site, start_site  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.site import Handler

DEFAULT_TIMEOUT = 30
TOGETHER = ("engines", "gunicorn", "contrib", "python")
"""Folders of tests that wait most of the time, and can share the machine with another one."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--tls", action="store_true", help="the tests that use `serve`, over HTTPS")
    parser.addoption(
        "--http2", action="store_true", help="those that use `serve` or `listen`, on HTTP/2"
    )
    parser.addoption("--http3", action="store_true", help="those that are marked so, on HTTP/3")
    parser.addoption(
        "--only", choices=("together", "alone"), help="those that can share the machine, or cannot"
    )
    parser.addoption("--wheels", metavar="FOLDER", help="tests/wheels, on those that are there")
    parser.addoption("--fleet", action="store_true", help="tests/fleet, its slow part too")
    parser.addoption("--docs-blocks", action="store_true", help="slow blocks of the docs too")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: moves much data or waits for long timeouts")
    config.addinivalue_line("markers", "alone(why): another test beside it would tell")
    config.addinivalue_line("markers", "no_tls(why): cannot be run over TLS")
    config.addinivalue_line("markers", "no_http2(why): cannot be meant on HTTP/2")
    config.addinivalue_line("markers", "http3: can be run on HTTP/3, by the option")
    config.addinivalue_line("markers", "real: other people's applications, and clients of theirs")
    config.addinivalue_line("markers", "fleet: takes a part of a minute; by the option")
    config.addinivalue_line("markers", "engines(*names): the test is about these engines alone")
    # A shell starts a job in the background with SIGINT ignored, which the programs that tests
    # start would inherit.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header() -> list[str]:
    """Which engines the suite runs on, so that one that is missing is not missed."""
    from prowingen_wsgi import _native

    built = _native.engines()
    lines = [f"engine {name}: {version}" for name, version in sorted(built.items())]
    return [*lines, *([] if "proxygen" in built else ["engine proxygen: not built"])]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for option, fixtures in (("tls", {"serve"}), ("http2", {"serve", "listen"})):
        if config.getoption(option):
            _keep(config, items, partial(_goes_over, option, fixtures))
    if config.getoption("http3"):
        _keep(config, items, _goes_over_http3)
    if only := config.getoption("only"):
        _keep(config, items, lambda item: _goes_together(item) == (only == "together"))
    for item in items:
        if HERE / "real" in item.path.parents:
            item.add_marker(pytest.mark.real)
        if item.get_closest_marker("fleet") and not config.getoption("fleet"):
            item.add_marker(pytest.mark.skip(reason="it takes long: by --fleet, or `nox -s fleet`"))
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(DEFAULT_TIMEOUT))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """What is said of a failure is not cut short by the test's time limit: that would end the run,
    and nobody would hear which test it was."""
    if call.excinfo is not None:
        item.config.hook.pytest_timeout_cancel_timer(item=item)


def _keep(
    config: pytest.Config, items: list[pytest.Item], kept: Callable[[pytest.Item], bool]
) -> None:
    config.hook.pytest_deselected(items=[item for item in items if not kept(item)])
    items[:] = [item for item in items if kept(item)]


def _goes_together(item: pytest.Item) -> bool:
    folder = item.path.relative_to(HERE).parts[0]
    return folder in TOGETHER and item.get_closest_marker("alone") is None


def _goes_over(option: str, fixtures: set[str], item: pytest.Item) -> bool:
    used: list[str] = getattr(item, "fixturenames", [])
    return not fixtures.isdisjoint(used) and item.get_closest_marker(f"no_{option}") is None


def _goes_over_http3(item: pytest.Item) -> bool:
    asked = item.get_closest_marker("http3") is not None
    return asked and "proxygen" in item.name and item.get_closest_marker("no_http2") is None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "engine" in metafunc.fixturenames:
        from prowingen_wsgi import _native

        marker = metafunc.definition.get_closest_marker("engines")
        built = sorted(_native.engines())
        meant = [name for name in built if marker is None or name in marker.args]
        metafunc.parametrize("engine", meant, scope="session")


@pytest.fixture(autouse=True)
def no_thread_left_behind() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(timeout=5)
        if thread.is_alive():
            faulthandler.dump_traceback(2)
        assert not thread.is_alive(), f"{thread!r} outlived its test"


@pytest.fixture(autouse=True)
def process_as_it_was(request: pytest.FixtureRequest) -> Iterator[None]:
    """Blocks of the documentation do as their readers would."""
    if HERE / "docs" not in request.path.parents:
        yield
        return
    from blocks.process import as_it_was

    with as_it_was():
        yield


@pytest.fixture
def serve(engine: str, pytestconfig: pytest.Config) -> Iterator[ServeFixture]:
    """Starts servers that stop when the test ends: `site = serve(app, threads=1)`."""
    with ExitStack() as stack:

        def start(app: object, **options: object) -> Site:
            http3 = pytestconfig.getoption("http3")
            if http3 or pytestconfig.getoption("tls"):
                options = {**vars(server_files()), **options}
            if http3:
                options["http3"] = True
            site = stack.enter_context(start_site(app, engine, **options))
            site.http2 = pytestconfig.getoption("http2")
            site.http3 = http3
            return site

        yield start


@pytest.fixture
def listen(engine: str, pytestconfig: pytest.Config) -> Iterator[ListenFixture]:
    """Starts raw listeners that stop when the test ends."""
    import prowingen_wsgi

    started: list[Site] = []

    def start(handler: Handler, **options: object) -> Site:
        server = prowingen_wsgi.create_server(handler, engine=engine, **options)
        server.add_address("127.0.0.1", 0)
        server.start()
        started.append(Site(server))
        started[-1].http2 = pytestconfig.getoption("http2")
        return started[-1]

    yield start
    for site in started:
        site.close_wires()
        site.server.stop(graceful=1)


@pytest.fixture
def error_log() -> Iterator[LogWatch]:
    """Everything that Python's logging carries while the test runs."""
    watch = LogWatch()
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.DEBUG)
    root.addHandler(watch)
    yield watch
    root.removeHandler(watch)
    root.setLevel(level)
