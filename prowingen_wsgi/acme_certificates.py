"""Certificates that an authority issues to the server itself, by ACME (RFC 8555): what the options
acme_* mean to a configuration.

    configuration --> files of a folder, named as certfile --> read, and read anew as they change
                                  ^
      AcmeRenewal of one process -+

So whoever serves knows nothing of it. A name that has no certificate yet is served by one that the
server has made, since the authority asks the server before it issues one.
"""

from __future__ import annotations

from dataclasses import replace
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from .acme_folder import AcmeFolder
from .configuration.config import ConfigError
from .configuration.conflicts import acme_conflicts
from .originals import os

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from .configuration.config import Config

_SYSTEM = Path("/var/lib/prowingen/acme")


def acme_names(config: Config) -> tuple[str, ...]:
    """Those of `acme_domain`, as certificates have them."""
    return tuple(dict.fromkeys(name.lower() for name in config.acme_domain))


def acme_folder(config: Config) -> AcmeFolder:
    """Raises ConfigError for a user who has no place for it."""
    given = config.acme_folder
    return AcmeFolder(Path(given) if given else _usual_folder(os.environ))


def _usual_folder(environ: Mapping[str, str]) -> Path:
    # systemd.exec(5) and the XDG base directory specification. With several directories, the first.
    of_service = environ.get("STATE_DIRECTORY", "").split(":")[0]
    if Path(of_service).is_absolute():
        return Path(of_service) / "acme"
    of_user = environ.get("XDG_STATE_HOME", "")
    if Path(of_user).is_absolute():
        return Path(of_user) / "prowingen/acme"
    if os.geteuid() == 0:
        return _SYSTEM
    try:
        return Path.home() / ".local/state/prowingen/acme"
    except RuntimeError:
        raise ConfigError("acme_folder: there is no home directory: name a folder") from None


def with_acme_certificates(
    config: Config, prepare: Callable[[AcmeFolder, Iterable[str]], None] = AcmeFolder.prepare
) -> Config:
    """The configuration with the files of its certificates, which are made if they are missing.

    prepare: does it; as another user, perhaps. Raises ConfigError.
    Raises ConfigError if there can be none.
    """
    if not config.acme_domain:
        return config
    for name, why in acme_conflicts(config):
        raise ConfigError(f"{name}: {why}")
    _check_library()
    folder = acme_folder(config)
    names = acme_names(config)
    files = tuple(str(folder.certificate_file(name)) for name in names)
    if set(files) <= set(config.certfile):  # a host has done it
        return config
    prepare(folder, names)
    return replace(
        config,
        certfile=(*config.certfile, *files),
        keyfile=(*config.keyfile, *files) if config.keyfile else (),
        acme_folder=str(folder.path),
    )


def check_acme(config: Config) -> list[str]:
    """What is kept so far, as lines for a user, with nothing made. Raises ConfigError."""
    if not config.acme_domain:
        return []
    _check_library()
    from .acme_times import Validity

    folder = acme_folder(config)
    lines = [f"acme_folder: {folder.path}"]
    for name in acme_names(config):
        try:
            issued = folder.issued(name)
            told = "none has been issued yet"
            if issued is not None:
                told = f"a certificate of {issued.directory}, {Validity.of(issued.pem)}"
        except OSError as error:
            raise ConfigError(f'acme_folder: "{folder.path}": {error.strerror}') from None
        except ValueError as error:
            path = folder.certificate_file(name)
            raise ConfigError(f'acme_folder: "{path}": it holds no certificate: {error}') from None
        lines.append(f"acme_domain: {name}: {told}")
    return lines


def _check_library() -> None:
    """Runs nothing of a package of that name, which may be the application's."""
    needed = "acme_domain: the package acme is needed: pip install 'prowingen-wsgi[acme]'"
    found = find_spec("acme")
    if found is None:
        raise ConfigError(needed)
    places = found.submodule_search_locations
    if not places or PathFinder.find_spec("acme.challenges", places) is None:
        where = found.origin or ", ".join(places or ())
        raise ConfigError(f'{needed}; "{where}" is another one, by the same name')
