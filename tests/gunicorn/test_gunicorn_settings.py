"""Every setting of gunicorn has a place in the tables, and what cannot be honoured stops it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from prowingen_wsgi.configuration.config import OPTIONS, ConfigError
from prowingen_wsgi.gunicorn import tables
from prowingen_wsgi.gunicorn.equivalents import BECOMES
from prowingen_wsgi.gunicorn.settings import configure, ignored_variables, unsupported

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.arbiter import Arbiter


def _config(**settings: Any) -> Any:
    from gunicorn.config import Config

    config = Config()
    for name, value in settings.items():
        config.set(name, value)
    return config


def test_every_setting_of_gunicorn_is_in_one_table(environment: dict[str, str]) -> None:
    code = (
        "import json; from gunicorn.config import KNOWN_SETTINGS as known;"
        "print(json.dumps([setting.name for setting in known]))"
    )
    known = json.loads(
        subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, check=True
        ).stdout
    )
    places = Counter([*tables.OWN, *tables.ELSEWHERE, *tables.MAPPED, *tables.REFUSED])
    assert {name: places[name] for name in known if places[name] != 1} == {}


def test_no_table_names_a_setting_that_does_not_exist() -> None:
    known = _config().settings.keys()
    assert (tables.OWN | tables.ELSEWHERE | tables.MAPPED | tables.REFUSED.keys()) <= known
    assert set(tables.GOVERNED.values()) <= known
    assert tables.GOVERNED.keys() | tables.WITHOUT_EFFECT.keys() <= OPTIONS.keys()


def test_every_setting_that_becomes_an_option_has_one() -> None:
    assert BECOMES.keys() >= tables.AS_OPTIONS


def test_options_follow_the_settings() -> None:
    config = configure(
        _config(
            threads=8,
            worker_connections=77,
            keepalive=5,
            graceful_timeout=9,
            limit_request_line=1000,
            limit_request_fields=20,
            limit_request_field_size=500,
        ),
        {},
    )
    assert config.threads == 8
    assert config.max_connections == 77
    assert config.keep_alive_timeout == 5.0
    assert config.graceful_timeout == 9.0
    assert config.max_request_line == 1000
    assert config.max_header_fields == 20
    assert config.max_field_line == 500
    assert config.max_header_bytes == 20 * 502 + 4


def test_tls_follows_the_settings() -> None:
    settings = _config(
        certfile="/c.pem", keyfile="/k.pem", ca_certs="/ca.pem", cert_reqs=2, ciphers="ECDHE"
    )
    config = configure(settings, {})
    assert (config.certfile, config.keyfile, config.ca_certs) == (
        ("/c.pem",),
        ("/k.pem",),
        "/ca.pem",
    )
    assert (config.cert_reqs, config.ciphers) == ("required", "ECDHE")
    assert configure(_config(), {}).certfile == ()
    with pytest.raises(ConfigError, match=r"^cert_reqs: .* must be 0, 1 or 2$"):
        configure(_config(cert_reqs=3), {})


def test_proxies_are_believed_as_gunicorn_believes_them() -> None:
    config = configure(_config(), {})
    assert config.forwarded_allow_ips == ("127.0.0.1", "::1", "unix")
    assert config.forwarded_fields == ("proto",)
    assert not config.proxy_protocol
    settings = _config(
        forwarded_allow_ips="10.0.0.0/8", proxy_protocol=True, proxy_allow_ips="192.0.2.1"
    )
    config = configure(settings, {})
    assert config.forwarded_allow_ips == ("10.0.0.0/8", "unix")
    assert config.proxy_protocol
    assert config.proxy_allow_ips == ("192.0.2.1", "unix")


@pytest.mark.parametrize(
    ("headers", "fields"), [({}, ()), ({"X-Forwarded-Proto": "https"}, ("proto",))]
)
def test_headers_that_tell_the_scheme(headers: dict[str, str], fields: tuple[str, ...]) -> None:
    assert configure(_config(secure_scheme_headers=headers), {}).forwarded_fields == fields


@pytest.mark.parametrize("headers", [{"X-SECURE": "1"}, {"X-FORWARDED-SSL": "on"}])
def test_other_headers_that_tell_the_scheme_are_refused(headers: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match=r"^secure_scheme_headers: .*X-Forwarded-Proto"):
        configure(_config(secure_scheme_headers=headers), {})


def test_zero_is_no_limit_to_gunicorn() -> None:
    settings = _config(limit_request_line=0, limit_request_fields=0, limit_request_field_size=0)
    config = configure(settings, {})
    assert config.max_request_line == 1024 * 1024
    assert config.max_header_fields == 65536
    assert config.max_field_line == 16 * 1024 * 1024


def test_a_value_out_of_bounds_is_named_as_gunicorn_names_it() -> None:
    with pytest.raises(ConfigError, match=r'^limit_request_line: "5": must be'):
        configure(_config(limit_request_line=5), {})


def test_variables_count_where_gunicorn_has_no_setting() -> None:
    environ = {
        "PROWINGEN_MAX_BODY": "10MiB",
        "PROWINGEN_MAX_HEADER_BYTES": "32KiB",
        "PROWINGEN_THREADS": "64",
        "PROWINGEN_MAX_RSS": "1MiB",
        "PROWINGEN_TREADS": "1",
    }
    config = configure(_config(threads=3), environ)
    assert (config.max_body, config.max_header_bytes) == (10 * 1024 * 1024, 32 * 1024)
    assert (config.threads, config.max_rss) == (3, 0)
    warnings = "\n".join(ignored_variables(environ))
    assert "PROWINGEN_THREADS is without effect under gunicorn: gunicorn's setting is threads" in (
        warnings
    )
    assert "PROWINGEN_MAX_RSS is without effect" in warnings
    assert 'PROWINGEN_TREADS is no option; did you mean "PROWINGEN_THREADS"' in warnings
    assert "PROWINGEN_MAX_BODY" not in warnings


def test_prowingen_ctl_has_no_socket_there_and_a_warning_says_so() -> None:
    (warning,) = ignored_variables({"PROWINGEN_CONTROL_SOCKET": "/run/s"})
    assert "is without effect under gunicorn: gunicorn has one of its own" in warning
    assert configure(_config(), {"PROWINGEN_CONTROL_SOCKET": "/run/s"}).control_socket == ""


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("header_map", "refuse"),
        ("header_map", "dangerous"),
        ("strip_header_spaces", True),
        ("permit_obsolete_folding", True),
        ("permit_unconventional_http_method", True),
        ("permit_unconventional_http_version", True),
        ("casefold_http_method", True),
        ("forwarder_headers", "SCRIPT_NAME,REMOTE_USER"),
        ("sendfile", False),
        ("protocol", "uwsgi"),
        ("http_parser", "python"),
        ("http_protocols", "h2,h1"),
        ("http2_max_frame_size", 32768),
        ("ssl_version", "TLSv1_2"),
        ("suppress_ragged_eofs", False),
        ("do_handshake_on_connect", True),
        ("spew", True),
        ("ssl_context", lambda conf, factory: factory()),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(name: str, value: object) -> None:
    (reason,) = unsupported(_config(**{name: value}))
    assert reason.startswith(f"{name}: ")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("header_map", "drop"),
        ("forwarder_headers", ""),
        ("http_protocols", "h1"),
    ],
)
def test_what_comes_to_the_same_is_accepted(name: str, value: object) -> None:
    assert unsupported(_config(**{name: value})) == []


def test_the_variable_sendfile_counts_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "SENDFILE", "no")
    assert len(unsupported(_config())) == 1


def test_gunicorn_stops_in_good_order_and_says_why_once(
    start: Callable[..., Arbiter], tmp_path: Any
) -> None:
    arbiter = start(
        "-w",
        "3",
        "--header-map",
        "refuse",
        "--no-sendfile",
        "--pid",
        "pid",
        bind="unix:here.sock",
    )
    assert arbiter.wait() == 3
    output = arbiter.output
    assert output.count("header_map") == output.count("sendfile:") == 1
    assert "Booting worker" not in output
    assert [path.name for path in tmp_path.iterdir()] == []


def test_an_impossible_engine_stops_gunicorn(start: Callable[..., Arbiter]) -> None:
    arbiter = start(variables={"PROWINGEN_ENGINE": "steam"})
    assert arbiter.wait() == 3
    assert 'PROWINGEN_ENGINE: "steam": must be one of' in arbiter.output


def test_a_variable_without_effect_is_warned_of_once(start: Callable[..., Arbiter]) -> None:
    arbiter = start("-w", "2", variables={"PROWINGEN_THREADS": "64"})
    arbiter.booted(2)
    arbiter.ask()
    assert arbiter.output.count("PROWINGEN_THREADS is without effect") == 1
