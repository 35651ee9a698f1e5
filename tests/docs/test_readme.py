"""What the README says of this server and of gunicorn, which is here, is so."""

from __future__ import annotations

import re

from blocks.pages import ROOT
from gunicorn.config import KNOWN_SETTINGS

from prowingen_wsgi.configuration.config import OPTIONS

README = (ROOT / "README.md").read_text()
OURS = {
    "several processes": "workers",
    "a socket to ask and steer it by": "control_socket",
    "workers replaced that grow": "max_rss",
    "TLS": "certfile",
    "certificates by ACME": "acme_domain",
    "HTTP/2": "http",
    "HTTP/3": "http3",
    "PROXY protocol": "proxy_protocol",
    "one bound for the memory of all clients": "memory_budget",
    "a minimal rate for slow clients": "min_rate",
    "a deadline for each request, that ends no process": "request_timeout",
    "503 for what has waited too long in the queue": "queue_timeout",
    "health checks that wait behind nothing": "health_path",
    "answers in gzip, brotli and zstd": "compress",
    "static files, natively": "static",
    "metrics for Prometheus": "admin_bind",
    "a page that shows what each thread does, live": "admin_bind",
}
"""The option behind each row."""
GUNICORNS = {
    "several processes": "workers",
    "a socket to ask and steer it by": "control_socket",
    "TLS": "certfile",
    "HTTP/2": "http_protocols",
    "PROXY protocol": "proxy_protocol",
}


def rows() -> dict[str, list[str]]:
    table = README.partition("## Beside others")[2].partition("\n## ")[0]
    lines = re.findall(r"^\| (\w.*) \|$", table, re.MULTILINE)
    return {cells[0]: cells[1:] for cells in (line.split(" | ") for line in lines)}


def test_each_yes_of_ours_has_its_option() -> None:
    ours = {name for name, cells in rows().items() if cells[0] != "–"}
    assert ours == set(OURS)
    assert set(OURS.values()) <= set(OPTIONS)


def test_each_yes_of_gunicorns_has_its_setting() -> None:
    theirs = {name for name, cells in rows().items() if cells[1] != "–"}
    assert theirs == set(GUNICORNS)
    assert set(GUNICORNS.values()) <= {setting.name for setting in KNOWN_SETTINGS}


def test_the_test_command_is_there() -> None:
    assert "./bootstrap.sh test " in README.partition("## Develop it")[2]
