"""Which application uWSGI serves, as `module:attribute`.

A file, as `wsgi-file` names one, becomes the module that Python finds it as: from the folder that
uWSGI works in if it is below that, or else from a folder of its own, which goes into `pythonpath`.
"""

from __future__ import annotations

import keyword
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from ...loader import Target, TargetError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_USUAL_NAME = "application"
NAMES = ("module", "wsgi-file", "mount", "callable", "manage-script-name")

_AT_PATH = (
    "{value}: applications are not mounted at paths: put it there by werkzeug's "
    'DispatcherMiddleware(NotFound(), {{"{place}": {name}}}), as docs/from_uwsgi.md shows; or have '
    'a proxy say "X-Forwarded-Prefix: {place}", and name prefix in forwarded_fields'
)
_AT_ROOT = "{value}: one application is served: start a server for each, and let a proxy choose"
_AT_HOST = (
    "{value}: applications are not chosen by the host: start a server for each, and let a proxy "
    "choose"
)
_SCRIPT_NAME = (
    "no path is split by itself: have the proxy say the prefix that it serves, in nginx by "
    "proxy_set_header X-Forwarded-Prefix in place of uwsgi_param SCRIPT_NAME, and name prefix in "
    "forwarded_fields"
)


@dataclass
class Application:
    """What is served.

    target: as `app` takes it; "" if nothing is named that can be served.
    pythonpath: folders that it needs.
    remarks: each with the setting that it is about.
    """

    target: str = ""
    pythonpath: list[str] = field(default_factory=list)
    remarks: list[tuple[str, str]] = field(default_factory=list)


def application(given: Mapping[str, Sequence[tuple[str, str]]], chdir: str) -> Application:
    """given: values of the options of NAMES, each with its label."""
    found = Application()
    callable_name, callable_label = given.get("callable", [("", "")])[-1]
    named = [(name, *given[name][-1]) for name in ("module", "wsgi-file") if name in given]
    mounts = given.get("mount", ())
    if named:
        name, value, label = named[0]
        _serve(found, value, callable_name, label, chdir)
        for _, other, other_label in named[1:]:
            found.remarks.append(
                (other_label, f"not taken over: {other}: {name} is what is served")
            )
        if callable_name and found.target and not found.target.endswith(callable_name):
            found.remarks.append((callable_label, f"not taken over: {name} decides"))
    elif callable_name and not mounts:
        found.remarks.append((callable_label, f"not taken over: {callable_name}: of which module?"))
    for_everything = [value for value, _ in mounts if _is_everything(value)]
    served = [value for value, _ in mounts] if len(mounts) == 1 else for_everything[:1]
    for value, label in mounts:
        if value in served and not named:
            _serve(found, value.partition("=")[2], callable_name, label, chdir)
        if value not in served or not _is_everything(value) or not found.target:
            found.remarks.append((label, _mounted(value, callable_name)))
    if "manage-script-name" in given and not mounts:
        found.remarks.append((given["manage-script-name"][-1][1], _SCRIPT_NAME))
    return found


def _is_everything(value: str) -> bool:
    return not value.partition("=")[0].strip("/")


def _mounted(value: str, callable_name: str) -> str:
    """What to do about a mount that is no application for everything."""
    place, _, target = value.partition("=")
    place = place.rstrip("/")
    if not place:
        return _AT_ROOT.format(value=value)
    if not place.startswith("/"):
        return _AT_HOST.format(value=value)
    name = target.partition(":")[2] or callable_name or _USUAL_NAME
    return _AT_PATH.format(value=value, place=place, name=name)


def _serve(found: Application, value: str, callable_name: str, label: str, chdir: str) -> None:
    try:
        if value.endswith((".py", ".wsgi")) or "/" in value:
            folder, module = _module(value, chdir)
            if folder:
                found.pythonpath.append(folder)
        else:
            module, colon, attribute = value.partition(":")
            callable_name = attribute if colon else callable_name
        target = f"{module}:{callable_name}" if callable_name else module
        Target.parse(target)
        found.target = target
    except (TargetError, ValueError) as error:
        found.remarks.append((label, f"not taken over: {error}"))


def _module(text: str, chdir: str) -> tuple[str, str]:
    """A file's folder, "" for the one that is worked in, and its module. Raises ValueError."""
    path = PurePosixPath(text)
    if path.suffix != ".py":
        raise ValueError(
            f'"{text}": Python imports no file of that name: rename it to {path.stem}.py'
        )
    if chdir and path.is_absolute() and path.is_relative_to(chdir):
        path = path.relative_to(chdir)
    parts = path.with_suffix("").parts
    if not path.is_absolute() and all(_is_name(part) for part in parts):
        return "", ".".join(parts)
    if not _is_name(path.stem):
        renamed = "".join(each if each.isalnum() else "_" for each in path.stem)
        raise ValueError(f'"{text}": this is no module\'s name: rename it, as to {renamed}.py')
    return str(path.parent), path.stem


def _is_name(text: str) -> bool:
    return text.isidentifier() and not keyword.iskeyword(text)
