"""`flask run` on the server that PROWINGEN_SERVER names, with Werkzeug's debugger and reloader.

The options are Flask's own command's, so that names, variables and help are too. Flask's command
calls `werkzeug.serving.run_simple`; what that does around a server is done here around another one.
"""

from __future__ import annotations

import logging
import sys
import traceback
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

import click
from flask.cli import pass_script_info, show_server_banner
from flask.helpers import get_debug_flag
from werkzeug._reloader import run_with_reloader
from werkzeug.debug import DebuggedApplication
from werkzeug.serving import is_running_from_reloader

from ..logs import make_native
from ..originals import os
from .certificates import certificate_options
from .development import DevelopmentHost, HostError, RequestLog

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from flask.cli import ScriptInfo

    from ..factories.selection import HostAddress

# As Werkzeug's own server has it.
_LINE_FORMAT = '%h - - [%{%d/%b/%Y %H:%M:%S}t] "%r" %s -'


@pass_script_info
def run(
    info: ScriptInfo,
    /,
    host: str,
    port: int,
    reload: bool | None,
    debugger: bool | None,
    with_threads: bool,
    cert: Any,
    extra_files: list[str] | None,
    exclude_patterns: list[str] | None,
    **further: object,
) -> None:
    """What the command `run` does; options are as Flask's `run` has them."""
    if any(further.values()):
        names = ", ".join(name for name, value in further.items() if value)
        raise click.ClickException(f"options that only Flask's own server knows: {names}")
    app = _load(info)
    debug = get_debug_flag()
    use_reloader = debug if reload is None else reload
    if debug if debugger is None else debugger:
        app = _with_debugger(app, host)
    show_server_banner(debug, info.app_import_path)
    with ExitStack() as stack:
        try:
            options = stack.enter_context(certificate_options(cert))
            if not with_threads:
                options["threads"] = 1
            address = _address(host, port, "https" if cert else "http")
            log = RequestLog(_LINE_FORMAT, _werkzeug_logger().info)
            server = stack.enter_context(DevelopmentHost(address, options, log))
            if not use_reloader:
                _show(server, server.start(app, reloaded=False).addresses)
            elif not is_running_from_reloader():
                _show(server, server.keep_sockets())
        except (HostError, OSError) as error:
            raise click.ClickException(str(error)) from error
        if use_reloader:
            # Called in the child, in a thread, once the reloader has seen the files as they are.
            start = partial(_start_reloaded, server, app)
            run_with_reloader(start, extra_files, exclude_patterns)
        else:
            server.wait_for_signal()


def _start_reloaded(server: DevelopmentHost, app: WSGIApplication) -> None:
    try:
        started = server.start(app, reloaded=True)
    except (HostError, OSError) as error:
        click.echo(f"Error: {error}", err=True)
        os._exit(1)  # sys.exit would end this thread alone
    if not server.keeps_sockets:  # the parent could not tell
        click.echo("\n".join(map(_running_on, started.addresses)), err=True)


def _load(info: ScriptInfo) -> WSGIApplication:
    """The application; in a reloader's child one that cannot be loaded shows why instead, as the
    next change of its files may repair it.
    """
    try:
        return info.load_app()
    except Exception as error:
        if not is_running_from_reloader():
            raise
        traceback.print_exc()
        return _Failing(error)


class _Failing:
    """An application that raises, at each request, what kept the real one from being loaded."""

    def __init__(self, error: Exception) -> None:
        self._error = error
        self._trace = error.__traceback__

    def __call__(
        self, _environ: WSGIEnvironment, _start_response: StartResponse
    ) -> Iterable[bytes]:
        raise self._error.with_traceback(self._trace) from None


def _with_debugger(app: WSGIApplication, host: str) -> WSGIApplication:
    debugged = DebuggedApplication(app, evalex=True)
    debugged.trusted_hosts.append(host)
    return debugged


def _address(host: str, port: int, scheme: str) -> HostAddress:
    if host.startswith("unix://"):
        return {"scheme": "unix", "host": host.removeprefix("unix://"), "port": "", "path": ""}
    return {"scheme": scheme, "host": host, "port": str(port), "path": ""}


def _show(server: DevelopmentHost, urls: list[str]) -> None:
    """What Werkzeug's server says when it starts."""
    lines = [f" * Served by {server}", *map(_running_on, urls), "Press CTRL+C to quit"]
    click.echo("\n".join(lines), err=True)


def _running_on(url: str) -> str:
    for everywhere, here in (("//0.0.0.0:", "//127.0.0.1:"), ("//[::]:", "//[::1]:")):
        if everywhere in url:
            return f" * Running on all addresses, also {url.replace(everywhere, here)}"
    return f" * Running on {url}"


def _werkzeug_logger() -> logging.Logger:
    """The logger of Werkzeug's own server, set up as that does when nobody else has."""
    logger = logging.getLogger("werkzeug")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.INFO)
    if not logger.hasHandlers():
        logger.addHandler(logging.StreamHandler(sys.stderr))
    make_native(logger)
    return logger
