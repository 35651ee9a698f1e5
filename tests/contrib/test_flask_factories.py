"""`flask run` on a server of somebody else's: what a factory is told, and what it need not know."""

from __future__ import annotations

import json
import re
import ssl
import sys
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest
from harness.commands import ask, edit, run_command

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from harness.process import ServerProcess

pytest.importorskip("flask")
pytestmark = pytest.mark.timeout(90)

APP = """
    from flask import Flask, request

    app = Flask(__name__)

    @app.get("/")
    def index():
        return f"{request.scheme} one"
"""

# Serves with wsgiref and, given a certificate, Python's own TLS.
OTHER = """
    import json, ssl, threading
    from wsgiref.simple_server import make_server

    class Factory:
        def initialize(self, properties):
            properties["server.capabilities"]["wsgi.version"] = "1.0"

        def create(self, app, properties):
            with open("told.json", "w") as file:
                json.dump(properties, file)
            return Running(app, properties["host.addresses"][0], properties["server.options"])

    class Running:
        def __init__(self, app, address, options):
            self.scheme = address["scheme"]
            self.server = make_server(address["host"], int(address["port"]), app)
            if "certfile" in options:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(options["certfile"], options["keyfile"])
                self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
                self.server.base_environ["HTTPS"] = "on"
            threading.Thread(target=self.server.serve_forever, daemon=True).start()

        @property
        def addresses(self):
            return [f"{self.scheme}://127.0.0.1:{self.server.server_port}"]

        def close(self):
            self.server.shutdown()
            self.server.server_close()
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    edit(tmp_path / "app.py", dedent(APP))
    edit(tmp_path / "other.py", dedent(OTHER))
    return tmp_path


def run(
    project: Path, *arguments: str, server: str = "other:Factory", **variables: str
) -> AbstractContextManager[ServerProcess]:
    command = [sys.executable, "-m", "flask", "run", "--port", "0", *arguments]
    return run_command(command, project, PROWINGEN_SERVER=server, **variables)


def told(project: Path) -> Any:
    return json.loads((project / "told.json").read_text())


def get_over_tls(server: ServerProcess) -> str:
    import httpx

    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with httpx.Client(verify=context, trust_env=False) as client:
        return client.get(server.url).text


def test_another_factory_serves_with_options_of_its_own_alone(project: Path) -> None:
    with run(project, PROWINGEN_THREADS="3") as server:
        response = ask(server)
        assert response.body == b"http one"
        assert "WSGIServer/" in str(response.get("Server"))
        assert " * Served by other:Factory" in server.log
    address = {"scheme": "http", "host": "127.0.0.1", "port": "0", "path": ""}
    assert told(project)["host.addresses"] == [address]
    assert told(project)["server.options"] == {}
    with run(project, "--without-threads") as server:
        assert told(project)["server.options"] == {"threads": 1}


def test_another_factory_is_reloaded_on_sockets_of_its_own(project: Path) -> None:
    with run(project, "--reload") as server:
        assert ask(server).body == b"http one"
        edit(project / "app.py", dedent(APP).replace("one", "two"))
        server.wait_for_line(r"(?s)Running on.*Restarting with.*Running on \S+\n")
        server.url = re.findall(r"Running on (\S+)", server.log)[-1]
        assert ask(server).body == b"http two"


def test_an_adhoc_certificate_lasts_over_reloads_and_is_removed(project: Path) -> None:
    pytest.importorskip("cryptography")
    with run(project, "--cert", "adhoc", "--reload", TMPDIR=str(project)) as server:
        assert server.url.startswith("https://")
        assert get_over_tls(server) == "https one"
        (file,) = project.glob("*.pem")
        assert file.stat().st_mode & 0o777 == 0o600
        options = told(project)["server.options"]
        assert options == {"certfile": str(file), "keyfile": str(file)}
        edit(project / "app.py", dedent(APP).replace("one", "two"))
        server.wait_for_line(r"(?s)Running on.*Restarting with.*Running on \S+\n")
        assert list(project.glob("*.pem")) == [file]
        server.signal()
        server.wait()
    assert list(project.glob("*.pem")) == []


def test_the_files_of_a_certificate_are_handed_on(project: Path) -> None:
    certificate, key = write_certificate(project)
    with run(project, "--cert", str(certificate), "--key", str(key)) as server:
        assert get_over_tls(server) == "https one"
    options = told(project)["server.options"]
    assert options == {"certfile": str(certificate), "keyfile": str(key)}


def test_an_ssl_context_of_pythons_is_refused(project: Path) -> None:
    edit(project / "contexts.py", "import ssl\nc = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)\n")
    with run(project, "--cert", "contexts.c", ready="Error: ", PYTHONPATH=str(project)) as server:
        assert server.wait() == 1
        assert "Error: --cert: TLS here is the server's own" in server.log


@pytest.mark.parametrize("reload", ["--reload", "--no-reload"])
def test_this_server_speaks_https_with_a_certificate(project: Path, reload: str) -> None:
    certificate, key = write_certificate(project)
    arguments = ["--cert", str(certificate), "--key", str(key), reload]
    with run(project, *arguments, server="wsgi") as server:
        assert server.url.startswith("https://")
        assert get_over_tls(server) == "https one"


def test_this_server_speaks_https_with_an_adhoc_certificate(project: Path) -> None:
    pytest.importorskip("cryptography")
    with run(project, "--cert", "adhoc", "--debug", server="wsgi") as server:
        assert get_over_tls(server) == "https one"
        edit(project / "app.py", dedent(APP).replace("one", "two"))
        server.wait_for_line(r"(?s)Restarting with.*Restarting with")  # the first is at the start
        assert get_over_tls(server) == "https two"


@pytest.mark.parametrize("reload", ["--reload", "--no-reload"])
def test_a_certificate_that_cannot_be_used_is_an_error(project: Path, reload: str) -> None:
    certificate, key = write_certificate(project)
    key.write_text("no key")
    arguments = ["--cert", str(certificate), "--key", str(key), reload]
    with run(project, *arguments, server="wsgi", ready="Error: ") as server:
        assert server.wait() == 1
        assert f'Error: keyfile: "{key}": there is no private key (PEM) in it' in server.log


def write_certificate(folder: Path) -> tuple[Path, Path]:
    pytest.importorskip("cryptography")
    from werkzeug.serving import make_ssl_devcert

    certificate, key = make_ssl_devcert(str(folder / "own"), cn="127.0.0.1")
    return folder / certificate, folder / key
