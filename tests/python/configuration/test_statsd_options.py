from __future__ import annotations

from pathlib import Path

import pytest

from prowingen_wsgi.configuration.config import Config, ConfigError
from prowingen_wsgi.configuration.conflicts import conflicts
from prowingen_wsgi.configuration.statsd import statsd_terms


@pytest.mark.parametrize(
    ("text", "host", "port", "path"),
    [
        ("127.0.0.1:9125", "127.0.0.1", "9125", ""),
        ("statsd", "statsd", "8125", ""),
        ("statsd:8000", "statsd", "8000", ""),
        ("[::1]:9125", "::1", "9125", ""),
        ("[::1]", "::1", "8125", ""),
        ("udp://unix", "unix", "8125", ""),
        ("udp://unix:8126", "unix", "8126", ""),
        ("unix:/run/a.sock", "", "", "/run/a.sock"),
        ("unix:///run/a.sock", "", "", "/run/a.sock"),
    ],
)
def test_addresses(text: str, host: str, port: str, path: str) -> None:
    terms = statsd_terms(Config(statsd=text))
    assert terms == (text, host, port, path, False, "prowingen.", (), 10.0)


def test_nothing_is_pushed_without_one() -> None:
    assert statsd_terms(Config()) is None


def test_relative_paths_are_made_absolute() -> None:
    assert Config(statsd="unix:a.sock").anchored(Path("/run")).statsd == "unix:/run/a.sock"
    assert Config(statsd="host:1").anchored(Path("/run")).statsd == "host:1"
    assert Config(statsd="udp://unix:1").anchored(Path("/run")).statsd == "udp://unix:1"


@pytest.mark.parametrize(
    ("tags", "form", "tagged"),
    [
        ((), "auto", False),
        (("env:prod",), "auto", True),
        ((), "dogstatsd", True),
        (("env:prod",), "dogstatsd", True),
        ((), "statsd", False),
    ],
)
def test_labels_are_tags_where_there_are_tags_or_it_is_said(
    tags: tuple[str, ...], form: str, tagged: bool
) -> None:
    terms = statsd_terms(Config(statsd="a", statsd_tags=tags, statsd_format=form))
    assert terms is not None
    assert (terms[4], terms[6]) == (tagged, tags)


@pytest.mark.parametrize(
    ("prefix", "before"),
    [("", ""), ("shop", "shop."), ("shop.", "shop."), ("a.b-c_1", "a.b-c_1.")],
)
def test_a_prefix_ends_with_a_dot(prefix: str, before: str) -> None:
    terms = statsd_terms(Config(statsd="a", statsd_prefix=prefix))
    assert terms is not None
    assert terms[5] == before


_FORMS = "must be host:port, [v6]:port, host or unix:/path of a datagram socket"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"statsd": "127.0.0.1:x"}, 'statsd: "127.0.0.1:x": port must be 0–65535'),
        ({"statsd": "127.0.0.1:0"}, 'statsd: "127.0.0.1:0": port must be 1–65535'),
        ({"statsd": ":8125"}, f'statsd: ":8125": {_FORMS}'),
        ({"statsd": "fd://3"}, f'statsd: "fd://3": {_FORMS}'),
        ({"statsd": "systemd"}, f'statsd: "systemd": {_FORMS}'),
        ({"statsd": "tcp://a:1"}, f'statsd: "tcp://a:1": {_FORMS}'),
        ({"statsd": "::1"}, f'statsd: "::1": {_FORMS}'),
        ({"statsd": "unix:"}, f'statsd: "unix:": {_FORMS}'),
        ({"statsd": "unix:/" + "a" * 103}, "its path is longer than 103 bytes"),
        ({"statsd_prefix": "a b"}, 'statsd_prefix: "a b": must be letters, digits, _ and -, with'),
        ({"statsd_prefix": "a..b"}, 'statsd_prefix: "a..b": must be letters'),
        ({"statsd_prefix": "a" * 129}, "at most 128 of them"),
        ({"statsd_tags": ["a b"]}, 'statsd_tags: "a b": must be a tag such as env:prod'),
        ({"statsd_tags": "a|b"}, 'statsd_tags: "a|b": must be a tag such as env:prod'),
        ({"statsd_tags": ["a,b"]}, 'statsd_tags: "a,b": must be a tag such as env:prod'),
        ({"statsd_interval": 0.05}, 'statsd_interval: "0.05": must be a duration'),
        ({"statsd_format": "graphite"}, "must be one of auto, statsd, dogstatsd"),
    ],
)
def test_what_is_wrong_is_said(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as said:
        Config.from_values(options)
    assert message in str(said.value)


@pytest.mark.parametrize(
    ("options", "name", "why"),
    [
        ({"statsd_prefix": "a"}, "statsd_prefix", "it needs statsd, such as 127.0.0.1:8125"),
        ({"statsd_interval": 1.0}, "statsd_interval", "it needs statsd, such as 127.0.0.1:8125"),
        (
            {"statsd": "a", "statsd_tags": ["b"], "statsd_format": "statsd"},
            "statsd_tags",
            "it does not go with statsd_format statsd, which has no tags",
        ),
        (
            {"statsd": "a", "statsd_tags": ["b" * 300, "c" * 300]},
            "statsd_tags",
            "together they are longer than 512 bytes",
        ),
        ({"statsd": "a", "statsd_tags": ["b"], "statsd_format": "dogstatsd"}, "", ""),
    ],
)
def test_what_does_not_go_together(options: dict[str, object], name: str, why: str) -> None:
    assert list(conflicts(Config.from_values(options))) == ([(name, why)] if name else [])
