"""Draws the state machines from the tables in the sources that run them: docs/states-*.svg.

    python tools/state_diagrams.py docs

What can go on stands in one line, in the order of the sources; what is an end stands below. An
event that leaves its state as it is has no arrow. Files that are up to date are left alone.
"""

from __future__ import annotations

import ast
import re
import sys
from dataclasses import dataclass
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STEP, TOP, BOTTOM, BOX, HEIGHT = 150, 110, 290, 104, 34
INK, END, LINE = "#1f2328", "#0550ae", "#57606a"


@dataclass(frozen=True)
class Machine:
    title: str
    states: list[str]
    arrows: dict[tuple[str, str], list[str]]
    """The events that lead from one state to another."""

    @property
    def ends(self) -> list[str]:
        return [state for state in self.states if not any(a == state for a, _ in self.arrows)]


def exchange() -> Machine:
    """cpp/core/exchange.cpp: a row for each state, a column for each event."""
    text = (ROOT / "cpp/core/exchange.cpp").read_text()
    table = re.search(r"> table\{\{\n\s*// +(?P<events>.*)\n(?P<rows>(?:.*\n)*?)\}\};", text)
    if table is None:
        raise ValueError("cpp/core/exchange.cpp: there is no table of states")
    events = table["events"].split()
    states: list[str] = []
    arrows: dict[tuple[str, str], list[str]] = {}
    for state, cells in re.findall(r"/\* (\w+) +\*/ \{([^}]*)\}", table["rows"]):
        states.append(state)
        for event, target in zip(events, (each.strip() for each in cells.split(",")), strict=True):
            if target not in ("illegal", state):
                arrows.setdefault((state, target), []).append(event)
    return Machine("An exchange", states, arrows)


def worker() -> Machine:
    """prowingen_wsgi/processes/worker.py: the dictionary of (state, event) to state."""
    tree = ast.parse((ROOT / "prowingen_wsgi/processes/worker.py").read_text())
    states: list[str] = []
    arrows: dict[tuple[str, str], list[str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and node.name == "State":
            states += [
                line.targets[0].id
                for line in node.body
                if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name)
            ]
        if not isinstance(node, ast.Dict):
            continue
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Tuple) and isinstance(value, ast.Attribute):
                before, event = (part.attr for part in key.elts if isinstance(part, ast.Attribute))
                if value.attr != before:
                    arrows.setdefault((before, value.attr), []).append(event)
    return Machine("A worker process, as its supervisor sees it", states, arrows)


def svg(machine: Machine) -> str:
    going = [state for state in machine.states if state not in machine.ends]
    places = {state: (80 + STEP * i, TOP) for i, state in enumerate(going)}
    places |= _below(machine, places)
    width = max(x for x, _ in places.values()) + 80
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {BOTTOM + 40}" '
        f'width="{width}" height="{BOTTOM + 40}" font-family="sans-serif" font-size="13" '
        f'role="img"><title>{escape(machine.title)}</title>',
        '<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" '
        f'markerHeight="7" orient="auto"><path d="M0 0 10 5 0 10z" fill="{LINE}"/></marker></defs>',
    ]
    for (before, after), events in machine.arrows.items():
        parts.append(_arrow(places[before], places[after], ", ".join(events)))
    for state, (x, y) in places.items():
        colour = END if state in machine.ends else INK
        parts.append(
            f'<rect x="{x - BOX / 2}" y="{y - HEIGHT / 2}" width="{BOX}" height="{HEIGHT}" rx="6" '
            f'fill="#fff" stroke="{colour}" stroke-width="1.5"/>'
            f'<text x="{x}" y="{y + 4.5}" text-anchor="middle" fill="{colour}">{state}</text>'
        )
    return "\n".join([*parts, "</svg>", ""])


def _below(machine: Machine, places: dict[str, tuple[int, int]]) -> dict[str, tuple[int, int]]:
    """Ends stand under the middle of the states that lead to them, side by side."""
    wanted = {
        end: sum(xs) / len(xs)
        for end in machine.ends
        if (xs := [places[a][0] for a, b in machine.arrows if b == end])
    }
    found: dict[str, tuple[int, int]] = {}
    last = -STEP
    for end in sorted(wanted, key=lambda end: wanted[end]):
        last = max(int(wanted[end]), last + STEP)
        found[end] = (last, BOTTOM)
    return found


def _arrow(begin: tuple[int, int], end: tuple[int, int], label: str) -> str:
    (x1, y1), (x2, y2) = begin, end
    if y1 == y2 and x2 - x1 == STEP:
        path = f"M{x1 + BOX / 2} {y1} L{x2 - BOX / 2} {y2}"
        at = ((x1 + x2) / 2, y1 - HEIGHT / 2 - 5)
    elif y1 == y2:  # over what stands between
        high = y1 - HEIGHT / 2 - 4 - 26 * abs(x2 - x1) / STEP
        path = f"M{x1} {y1 - HEIGHT / 2} C{x1} {high} {x2} {high} {x2} {y2 - HEIGHT / 2}"
        at = ((x1 + x2) / 2, high + (y1 - HEIGHT / 2 - high) / 4 - 5)
    else:
        slant = (x2 - x1) / 6
        path = f"M{x1 + slant:.0f} {y1 + HEIGHT / 2} L{x2 - slant:.0f} {y2 - HEIGHT / 2}"
        at = (x1 + slant + (x2 - x1 - 2 * slant) * 0.28, y1 + HEIGHT / 2 + 44)
    text = (
        f'<text x="{at[0]:.0f}" y="{at[1]:.0f}" text-anchor="middle" fill="{LINE}" font-size="12" '
        f'paint-order="stroke" stroke="#fff" stroke-width="4">{escape(label)}</text>'
    )
    return f'<path d="{path}" fill="none" stroke="{LINE}" marker-end="url(#tip)"/>{text}'


DIAGRAMS = {"states-exchange.svg": exchange, "states-worker.svg": worker}


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or not Path(arguments[0]).is_dir():
        print("usage: state_diagrams.py FOLDER", file=sys.stderr)
        return 2
    for name, machine in DIAGRAMS.items():
        path, text = Path(arguments[0]) / name, svg(machine())
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
