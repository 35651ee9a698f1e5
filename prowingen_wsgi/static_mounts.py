"""Which folders of files are served, and as what media types: `static` and `sendfile`, resolved."""

from __future__ import annotations

import mimetypes
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from .configuration.mounts import AUTO, split_mount
from .configuration.option import ConfigError
from .logs import error_log
from .originals import os

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from .configuration.config import Config

__all__ = ["media_types", "sendfile_mounts", "static_mounts"]

Mount = tuple[str, str, bool]
"""A prefix, its folder, and whether a path that ends in a slash is `index.html` there."""


# What the table of an older Python or system lacks, or has by an older name (RFC 9239).
_OF_THE_WEB = {
    ".avif": "image/avif",
    ".js": "text/javascript",
    ".map": "application/json",
    ".mjs": "text/javascript",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
}
# Of a file that is downloaded as it is, its coding is its type.
_OF_CODINGS = {
    ".bz2": "application/x-bzip2",
    ".gz": "application/gzip",
    ".xz": "application/x-xz",
    ".zst": "application/zstd",
}


def sendfile_mounts(config: Config) -> list[Mount]:
    """Of the option `sendfile`: as it is named, and as it is where links on the way are resolved.

    Raises ConfigError for a folder that is not there.
    """
    mounts = [_existing("sendfile", text) for text in config.sendfile]
    resolved = [(prefix, os.path.realpath(folder), index) for prefix, folder, index in mounts]
    return list(dict.fromkeys([*mounts, *resolved]))


def static_mounts(config: Config, apps: Sequence[Callable[..., Any]]) -> list[Mount]:
    """Prefixes with their folders, in the order of the option.

    Raises ConfigError for a folder that is not there, and for `auto` with several applications:
    what is one's is not to be shown where another listens.
    """
    mounts: list[Mount] = []
    for text in config.static:
        found = _of_applications(apps) if text == AUTO else [_existing("static", text)]
        mounts += [mount for mount in found if mount not in mounts]
    return mounts


def media_types() -> dict[str, str]:
    """Types by suffix: the system's table over Python's, and what neither may have."""
    table = mimetypes.MimeTypes()
    for name in mimetypes.knownfiles:
        with suppress(OSError):
            table.read(name)
    return {**_OF_CODINGS, **table.types_map[True], **_OF_THE_WEB}


def _existing(option: str, text: str) -> Mount:
    prefix, folder = split_mount(text)
    try:
        found = Path(folder).is_dir()
    except OSError as error:
        raise ConfigError(f'{option}: "{text}": {error.strerror}') from None
    if not found:
        raise ConfigError(f'{option}: "{text}": there is no folder {folder}')
    return prefix, os.path.normpath(folder), True


def _of_applications(apps: Sequence[Callable[..., Any]]) -> Iterator[Mount]:
    several = {id(app): app for app in apps}
    if len(several) > 1:
        raise ConfigError(
            "static: auto: there are several applications: name the folders, as /PREFIX=DIR"
        )
    for app in several.values():
        mounts = [*_of_flask(app), *_of_django(app)]
        if not mounts:
            error_log.warning(
                "static: auto found no folder of static files in %s; name it: --static /PREFIX=DIR",
                type(app).__qualname__,
            )
        yield from mounts


def _is_a(app: object, module: str, name: str) -> bool:
    """Whether it is of a class of a module, which need not be imported for that."""
    kind = getattr(sys.modules.get(module), name, None)
    return isinstance(kind, type) and isinstance(app, kind)


def _of_flask(app: Any) -> Iterator[Mount]:
    if not _is_a(app, "flask", "Flask"):
        return
    folders = {"static": app.static_folder} | {
        f"{name}.static": blueprint.static_folder for name, blueprint in app.blueprints.items()
    }
    for rule in app.url_map.iter_rules():
        folder = folders.get(rule.endpoint)
        prefix, _, rest = rule.rule.partition("/<path:filename>")
        # With other parts in it, or for one host, a path says more than which file is meant.
        if folder is None or rest or "<" in prefix or rule.host or rule.subdomain:
            continue
        if Path(folder).is_dir():
            # Its own route is about files alone.
            yield unquote(prefix), os.path.normpath(folder), False


def _of_django(app: object) -> Iterator[Mount]:
    if not _is_a(app, "django.core.handlers.wsgi", "WSGIHandler"):
        return
    from django.conf import settings

    url = urlsplit(settings.STATIC_URL or "")
    root = settings.STATIC_ROOT
    if not root or url.netloc or not url.path.startswith("/"):
        return
    if not Path(root).is_dir():
        error_log.warning("static: auto: STATIC_ROOT %s is not there: run collectstatic", root)
        return
    path = unquote(url.path)
    script = (settings.FORCE_SCRIPT_NAME or "").rstrip("/")
    if script and path.startswith(f"{script}/"):
        path = path.removeprefix(script)
    yield path.rstrip("/"), str(Path(root).absolute()), False
