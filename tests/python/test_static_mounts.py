"""The option `static`: what it takes, and which folders `auto` finds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import django
import pytest
from django.conf import settings
from flask import Blueprint, Flask

from prowingen_wsgi.configuration.config import Config, ConfigError
from prowingen_wsgi.static_mounts import media_types, sendfile_mounts, static_mounts

if TYPE_CHECKING:
    from pathlib import Path


def app(_environ: Any, _start_response: Any) -> list[bytes]:
    return []


@pytest.mark.parametrize(
    "text",
    [
        "static=public",
        "/static",
        "/static=",
        "/a/../b=public",
        "/a//b=public",
        "=public",
        "",
        "/a?b=public",
    ],
)
def test_what_is_no_mount_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="static"):
        Config(static=(text,))


def test_a_mount_is_a_prefix_and_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a=b").mkdir()
    config = Config(static=(f"/static/={tmp_path}", f"/={tmp_path / 'a=b'}"))
    assert static_mounts(config, [app]) == [
        ("/static", str(tmp_path), True),
        ("", str(tmp_path / "a=b"), True),
    ]


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    config = Config(static=(f"/static={tmp_path / 'none'}",))
    with pytest.raises(ConfigError, match=r"there is no folder .*/none"):
        static_mounts(config, [app])


def test_a_relative_folder_is_made_absolute(tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "public").mkdir()
    monkeypatch.chdir(tmp_path)
    config = Config(static=("/static=public",)).anchored()
    assert config.static == (f"/static={tmp_path / 'public'}",)


def test_auto_finds_the_folders_of_flask(tmp_path: Path) -> None:
    for name in ("static", "shop/static", "other"):
        (tmp_path / name).mkdir(parents=True)
    flask = Flask("site", root_path=str(tmp_path), static_url_path="/assets")
    shop = Blueprint("shop", "shop", root_path=str(tmp_path / "shop"), static_folder="static")
    flask.register_blueprint(shop, url_prefix="/shop")
    by_name = Blueprint("by", "by", root_path=str(tmp_path), static_folder="other")
    flask.register_blueprint(by_name, url_prefix="/<who>")
    assert static_mounts(Config(static=("auto",)), [flask, flask]) == [
        ("/assets", str(tmp_path / "static"), False),
        ("/shop/static", str(tmp_path / "shop" / "static"), False),
    ]


def test_auto_finds_what_django_has_collected(tmp_path: Path) -> None:
    if not settings.configured:
        settings.configure()
        django.setup()
    from django.core.handlers.wsgi import WSGIHandler
    from django.test import override_settings

    with override_settings(STATIC_URL="/assets/", STATIC_ROOT=tmp_path, MIDDLEWARE=[]):
        assert static_mounts(Config(static=("auto",)), [WSGIHandler()]) == [
            ("/assets", str(tmp_path), False)
        ]
    for script, url, prefix in (
        ("/app/", "/app/assets/", "/assets"),
        ("/app", "/apples/", "/apples"),
        ("", "/my%20assets/", "/my assets"),
    ):
        with override_settings(STATIC_URL=url, STATIC_ROOT=tmp_path, FORCE_SCRIPT_NAME=script):
            mounts = static_mounts(Config(static=("auto",)), [WSGIHandler()])
            assert mounts == [(prefix, str(tmp_path), False)]
    with override_settings(
        STATIC_URL="https://cdn.example/assets/", STATIC_ROOT=tmp_path, MIDDLEWARE=[]
    ):
        assert static_mounts(Config(static=("auto",)), [WSGIHandler()]) == []


def test_auto_is_about_one_application(tmp_path: Path) -> None:
    first, second = (Flask(name, root_path=str(tmp_path)) for name in ("first", "second"))
    with pytest.raises(ConfigError, match="there are several applications"):
        static_mounts(Config(static=("auto",)), [first, second])


def test_a_prefix_may_be_encoded_as_clients_send_it(tmp_path: Path) -> None:
    config = Config(static=(f"/caf%C3%A9={tmp_path}",))
    assert static_mounts(config, [app]) == [("/café", str(tmp_path), True)]


def test_a_folder_that_is_named_is_also_where_its_links_lead(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    config = Config(sendfile=(f"/private={tmp_path}/link/../link/",))
    assert sendfile_mounts(config) == [
        ("/private", str(tmp_path / "link"), True),
        ("/private", str(tmp_path / "real"), True),
    ]


def test_auto_says_where_it_found_nothing(caplog: pytest.LogCaptureFixture) -> None:
    assert static_mounts(Config(static=("auto",)), [app]) == []
    assert "auto found no folder of static files in function" in caplog.text


def test_the_types_of_the_web_are_known() -> None:
    types = media_types()
    assert types[".js"] == types[".mjs"] == "text/javascript"
    assert types[".css"] == "text/css"
    assert types[".woff2"] == "font/woff2"
    assert types[".svg"] == "image/svg+xml"
    assert types[".gz"] == "application/gzip"
