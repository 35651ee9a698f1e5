"""The instructions that a request may cost: figures that are kept, and what is counted now beside.

A figure is compared with one that was counted on the same terms (tools/counted_build.py), and on no
other: another compiler takes other instructions. Where there is none of these terms the check is
skipped, and says so. A figure that is kept anew joins the history, which the site draws.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from counted_apps import APPLICATIONS
from counted_build import NotCounted, here
from counted_windows import Counting, each_request, why_not
from generate_options import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from counted_build import Here

KEPT = ROOT / "bench/kept/instructions.json"
HISTORY = ROOT / "bench/kept/history.json"
LIMIT = 0.03
"""How much more a request may cost."""
NOT_RELEASE = "the build that users install is counted, which is Release: `./bootstrap.sh build`"
ACCEPT = "python tools/instructions.py --keep"
ADVICE = f"""
What costs it:  python tools/instructions.py --profile build/profile --application NAME nothing
                callgrind_annotate build/profile/nothing
If it is meant: {ACCEPT}
                and commit bench/kept/ with the change that it is for, saying why"""


@dataclass(frozen=True)
class Figure:
    application: str
    engine: str
    instructions: int
    """Of one request."""
    terms: dict[str, str]
    """What has to be equal for another one to be compared with it."""
    counted_with: str
    """The build, and the versions that make no other terms; for whoever reads it."""
    commit: str
    date: str

    @property
    def name(self) -> str:
        return f"{self.application} on {self.engine}"

    def is_same(self, other: Figure) -> bool:
        return (self.application, self.engine, self.terms) == (
            other.application,
            other.engine,
            other.terms,
        )


def read(path: Path) -> list[Figure]:
    return [Figure(**one) for one in json.loads(path.read_text())] if path.exists() else []


def write(path: Path, figures: Iterable[Figure]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([asdict(one) for one in figures], indent=1) + "\n")


def of_these_terms(figures: Sequence[Figure], wanted: Figure) -> Figure:
    """The one that is kept. Raises NotCounted with what is different, where there is none."""
    for figure in figures:
        if figure.is_same(wanted):
            return figure
    others = [
        one
        for one in figures
        if (one.application, one.engine) == (wanted.application, wanted.engine)
    ]
    if not others:
        raise NotCounted(f"no figure of it is kept; {ACCEPT} keeps one")
    nearest = min(others, key=lambda one: len(different(one, wanted)))
    raise NotCounted(
        f"no figure is kept for {'; '.join(different(nearest, wanted))}. {ACCEPT} keeps one"
    )


def different(kept: Figure, now: Figure) -> list[str]:
    names = {**kept.terms, **now.terms}
    return [
        f"{name} {now.terms.get(name) or 'none'} (kept: {kept.terms.get(name) or 'none'})"
        for name in names
        if kept.terms.get(name) != now.terms.get(name)
    ]


def verdict(kept: Figure, now: Figure) -> tuple[str, bool]:
    """What is to be said, and whether it is too much."""
    more = now.instructions / kept.instructions - 1
    said = (
        f"{now.name}: {now.instructions:,} instructions a request, kept {kept.instructions:,}: "
        f"{100 * more:+.1f} %"
    )
    if now.instructions > kept.instructions * (1 + LIMIT):
        return f"{said}, which is more than {100 * LIMIT:g} %", True
    if more < -LIMIT:
        return f"{said}; so that it stays as little: {ACCEPT}", False
    return said, False


def blank(found: Here, application: str, engine: str) -> Figure:
    """All of a figure but its count."""
    packages = [
        f"{name} {found.told['packages'][name]}" for name in APPLICATIONS[application].needs
    ]
    return Figure(
        application,
        engine,
        0,
        found.terms(APPLICATIONS[application].needs),
        "; ".join([found.build.flags, f"Python {found.told['patch']}", *packages]),
        commit(),
        datetime.now(timezone.utc).date().isoformat(),
    )


def count(python: str, figure: Figure) -> Figure:
    """The figure with its count."""
    counting = Counting(python, figure.engine, APPLICATIONS[figure.application])
    return replace(figure, instructions=round(each_request(counting)))


def ready(python: str) -> Here:
    """Raises NotCounted where nothing can be counted here, or nothing that means anything."""
    if reason := why_not():
        raise NotCounted(reason)
    needed = tuple(sorted({name for one in APPLICATIONS.values() for name in one.needs}))
    found = here(python, needed)
    if found.build.kind != "Release":
        raise NotCounted(
            f"the native module is a {found.build.kind or 'nameless'} build; {NOT_RELEASE}"
        )
    return found


def check(python: str, engines: Sequence[str], applications: Sequence[str]) -> int:
    """1 if a request costs too much; what cannot be compared is skipped, with its reason."""
    kept, too_much = read(KEPT), False
    try:
        found = ready(python)
    except NotCounted as reason:
        print(f"instructions: skipped: {reason}")
        return 0
    for engine in engines:
        for name in applications:
            wanted = blank(found, name, engine)
            try:
                if engine not in found.engines:
                    raise NotCounted("this engine is not built")
                figure = of_these_terms(kept, wanted)
            except NotCounted as reason:
                print(f"{wanted.name}: skipped: {reason}", flush=True)
                continue
            said, bad = verdict(figure, count(python, wanted))
            print(said, flush=True)
            too_much |= bad
    if too_much:
        print(ADVICE)
    return int(too_much)


def keep(python: str, engines: Sequence[str], applications: Sequence[str]) -> int:
    """Counts, and writes the figures down, in the place of those of the same terms."""
    found = ready(python)
    kept, history = read(KEPT), read(HISTORY)
    for engine in engines:
        if engine not in found.engines:
            raise NotCounted(f"{engine}: this engine is not built")
        for name in applications:
            figure = count(python, blank(found, name, engine))
            kept = sorted(
                [*(one for one in kept if not one.is_same(figure)), figure],
                key=lambda one: (one.application, one.engine, sorted(one.terms.items())),
            )
            # What was kept twice at one commit is there once.
            history = [
                *(
                    one
                    for one in history
                    if not (one.is_same(figure) and one.commit == figure.commit)
                ),
                figure,
            ]
            print(f"{figure.name}: {figure.instructions:,} instructions a request", flush=True)
    write(KEPT, kept)
    write(HISTORY, history)
    print(f"written: {KEPT.relative_to(ROOT)}, {HISTORY.relative_to(ROOT)}")
    return 0


def commit(root: Path = ROOT) -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--exclude=*"],
        capture_output=True,
        text=True,
        check=False,
        cwd=root,
    )
    return done.stdout.strip() or "none"
