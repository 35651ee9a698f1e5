"""granian's folders of files, and the routes that they are shown at, as the option `static`.

Each folder has a route, by its place; one that is alone and has none is at /static.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..conversion import Becomes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..conversion import Conversion
    from .command_line import CommandLine

NAMES = ("static_path_route", "static_path_mount", "static_path_dir_to_file")
MAX_AGE = 86400.0
"""granian's default of `static_path_expires`."""

_USUAL_ROUTE = "/static"
_USUAL_PAGE = "index.html"


def take_static_files(found: CommandLine, conversion: Conversion) -> None:
    route, folder, page = (found.labels.get(name, "") for name in NAMES)
    folders = found.given.get("static_path_mount", [])
    routes = found.given.get("static_path_route", [])
    if not folders:
        for label in filter(None, (route, page)):
            conversion.remark(label, "not taken over: it needs --static-path-mount")
        return
    if not routes and len(folders) == 1:
        routes = [_USUAL_ROUTE]
    if len(routes) != len(folders):
        conversion.remark(
            folder,
            f"not taken over: folders: {len(folders)}, routes: {len(routes)}: granian does not "
            "start so; give each folder a route, in the same order",
        )
        return
    conversion.take(folder, Becomes("static"), _mounts(routes, folders))
    if page:
        conversion.remark(page, _page(found.given["static_path_dir_to_file"][-1]))


def _mounts(routes: Sequence[str], folders: Sequence[str]) -> list[str]:
    """What stands before the first `=` is the prefix, which may be percent-encoded."""
    pairs = zip(routes, folders, strict=True)
    return [f"{route.replace('=', '%3D')}={folder}" for route, folder in pairs]


def _page(name: str) -> str:
    if name == _USUAL_PAGE:
        return "nothing to set: it is so anyhow"
    return f"{name}: the page of a folder is its {_USUAL_PAGE}: call it so, or make a link to it"
