"""uWSGI's configuration is read as uWSGI reads it: `uwsgi --show-config` shows the same."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prowingen_wsgi.importers.command import CannotReadError, MalformedError
from prowingen_wsgi.importers.uwsgi.magic import cores
from prowingen_wsgi.importers.uwsgi.reader import Reader, acts

if TYPE_CHECKING:
    from collections.abc import Mapping

ENVIRON = {"HOME": "/home/ned", "EMPTY": ""}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tests' files are in the current directory, named shop."""
    folder = tmp_path / "shop"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def read(
    text: str, environ: Mapping[str, str] = ENVIRON, name: str = "app.ini"
) -> list[tuple[str, str]]:
    Path(name.partition(":")[0]).write_text(text)
    return [(entry.key, entry.value) for entry in Reader(environ).read(name) if not acts(entry.key)]


def test_lines_are_keys_and_values_of_one_section() -> None:
    assert read(
        "before = 1\n"
        "[other]\nprocesses = 9\n"
        "[uwsgi]\n"
        "# a comment\n  ; another\n"
        "master\n"
        "  processes=4 \r\n"
        "\tenv = A=b=c\n"
        "socket = /a.sock\nsocket = /b.sock\n"
        "threads = 2 ; no comment\n"
        "[uwsgi:more]\nx = y\n"
        "[uwsgi]\nvacuum = true"
    ) == [
        ("master", ""),
        ("processes", "4"),
        ("env", "A=b=c"),
        ("socket", "/a.sock"),
        ("socket", "/b.sock"),
        ("threads", "2 ; no comment"),
        ("vacuum", "true"),
    ]


def test_a_section_can_be_named() -> None:
    assert read("[uwsgi]\na = 1\n[live]\na = 2 %x\n", name="app.ini:live") == [("a", "2 live")]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("%n %e %s", "app ini app.ini"),
        ("%c", "shop"),
        ("%d", "{here}/"),
        ("%p", "{here}/app.ini"),
        ("%o", "app.ini"),
        ("%v", "{here}"),
        ("100%%", "100%"),
        ("%k", str(os.cpu_count())),
        ("%u", str(os.getuid())),
        ("a%q|", "a|"),
        ("%N", "app"),
    ],
)
def test_letters_stand_for_where_the_file_is(here: Path, text: str, value: str) -> None:
    assert cores(read(f"[uwsgi]\nx = {text}\n")[0][1]) == value.format(here=here)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$(HOME)/x", "/home/ned/x"),
        ("$(NOPE)", "$(NOPE)"),
        ("$(NOPE:-:8000)", ":8000"),
        ("$(EMPTY:-e)|$(EMPTY-e)|$(NOPE-e)", "e||e"),
        ("%(base)/%(name)", "/srv/shop/shop"),
        ("%(later)", "at the end"),
        ("%(double)", "/srv/shop!"),
        ("%(nothing)", "%(nothing)"),
        ("%(two + 3 * 2)", "10"),
        ("%(two / 0)", "0"),
        ("%(two ++)", "3"),
        ("%(name two)", "shop2"),
        ("@(secret)!", "in a file!"),
        ("@(exec://id)", "@(exec://id)"),
        ("%()", "%()"),
    ],
)
def test_placeholders_stand_for_variables_files_and_options(text: str, value: str) -> None:
    Path("secret").write_text("in a file\n")
    entries = read(
        "[uwsgi]\nname = shop\nbase = /srv/%(name)\ntwo = 2\n"
        f"x = {text}\ndouble = a\nlater = at the end\n".replace("double = a", "double = %(base)!")
    )
    assert dict(entries)["x"] == value


def test_what_refers_to_itself_is_an_error() -> None:
    with pytest.raises(MalformedError, match=r"app\.ini:2: a: .*refers to itself"):
        read("[uwsgi]\na = x%(b)\nb = x%(a)\n")


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("if-env = HOME", True),
        ("ifenv = HOME", True),
        ("if-env = NOPE", False),
        ("if-env = HOME=/home/ned", True),
        ("if-env = HOME=/root", False),
        ("if-not-env = NOPE", True),
        ("if-not-env = HOME", False),
        ("if-opt = name", True),
        ("if-opt = name=other", False),
        ("if-not-opt = threads", True),
        ("if-exists = app.ini", True),
        ("if-file = .", False),
        ("if-dir = .", True),
        ("if-not-dir = .", False),
        ("if-hostname = no such host", False),
        ("if-plugin = python3", True),
        ("if-plugin = psgi", False),
        ("if-reload =", False),
        ("if-not-reload =", True),
    ],
)
def test_conditions_hold_or_do_not(condition: str, holds: bool) -> None:
    entries = read(
        f"[uwsgi]\nname = shop\n{condition}\na = 1\nelse\na = 2\nendif =\nend = x\nb = 3\n"
    )
    assert entries == [("name", "shop"), ("a", "1" if holds else "2"), ("b", "3")]


def test_a_condition_has_what_it_asked_for() -> None:
    entries = read("[uwsgi]\nif-env = HOME\nchdir = %(_)/x\nendif\nif-exists = .\ny = %(_)\nendif")
    assert entries == [("chdir", "/home/ned/x"), ("y", ".")]


@pytest.mark.parametrize(
    ("loop", "values"),
    [
        ("for = a b", ["a", "b"]),
        ("for-times = 3", ["1", "2", "3"]),
        ("for-glob = ./*.txt", ["./one.txt", "./two.txt"]),
        ("for-glob = ./*.none", ["./*.none"]),
        ("for-readline = one.txt", ["x", "y"]),
    ],
)
def test_loops_repeat_lines(loop: str, values: list[str]) -> None:
    Path("one.txt").write_text("x\ny\n")
    Path("two.txt").write_text("")
    entries = read(f"[uwsgi]\n{loop}\ns = %(_).sock\nendfor =\nt = 1\n")
    assert entries == [*(("s", f"{value}.sock") for value in values), ("t", "1")]


def test_files_include_files_and_sections() -> None:
    Path("base.ini").write_text("[uwsgi]\nfile = %n of %N\n[extra]\nextra = %x\n")
    Path("late.ini").write_text("[uwsgi]\nlate = %(file)\n")
    Path("more.json").write_text('{"uwsgi": {"file2": "%n"}}')
    assert read(
        "[uwsgi]\nini = base.ini\nini = base.ini:extra\nini = :extra\ninherit = late.ini\n"
        "json = more.json\nset = a=b\nset-ph = c=%(a)\nend = 1\n"
    ) == [
        ("file", "base of app"),
        ("extra", "extra"),
        ("extra", "extra"),
        ("file2", "more"),
        ("a", "b"),
        ("c", "b"),
        ("late", "%(file)"),  # what is inherited comes after placeholders
    ]


def test_what_is_included_in_a_loop_is_there_once_for_each_turn() -> None:
    Path("one.ini").write_text("[uwsgi]\na = 1\nendfor\nb = 2\n")
    assert read("[uwsgi]\nfor = x y\nini = one.ini\nc = %(_)\nendfor\n") == [
        *[("a", "1"), ("b", "2")] * 2,
        ("c", "x"),
        ("c", "y"),
    ]


def test_json_is_read_like_ini() -> None:
    text = """{"other": {}, "uwsgi": {"master": true, "processes": 4, "a": 1.50, "n": null,
              "socket": ["/a.sock", "/b.sock"], "base": "%c", "chdir": "/srv/%(base)"}}"""
    assert read(text, name="app.json") == [
        ("master", "true"),
        ("processes", "4"),
        ("a", "1.50"),
        ("n", ""),
        ("socket", "/a.sock"),
        ("socket", "/b.sock"),
        ("base", "shop"),
        ("chdir", "/srv/shop"),
    ]


def test_yaml_is_read_like_ini() -> None:
    pytest.importorskip("yaml")
    text = "uwsgi:\n  master: true\n  umask: 022\n  socket: [/a.sock, /b.sock]\n  chdir: /srv/%c\n"
    assert read(text, name="app.yaml") == [
        ("master", "true"),
        ("umask", "022"),
        ("socket", "/a.sock"),
        ("socket", "/b.sock"),
        ("chdir", "/srv/shop"),
    ]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("app.ini", "[uwsgi\na = 1\n", 'app.ini:1: "[uwsgi": a section ends with a bracket'),
        ("app.ini", "[uwsgi]\n\n= 1\n", 'app.ini:3: "= 1": must be key = value'),
        ("app.ini", "a = 1\n", "app.ini: there is no section: begin it with a line [uwsgi]"),
        (
            "app.ini",
            "[app:main]\na = 1\n[x]\n",
            "app.ini: there is no section [uwsgi], but app:main, x: name the one that is meant, as "
            "in app.ini:app:main",
        ),
        ("app.ini", "[uwsgi]\nif-env = A\nfor = a b\n", ""),
        (
            "app.ini",
            "[uwsgi]\nif-env = HOME\nfor = a b\nendif\n",
            "app.ini:3: for: conditions and loops do not go into each other",
        ),
        ("app.ini", "[uwsgi]\nfor-times = 99999\na = 1\n", "app.ini:2: 99999: at most 10000 times"),
        ("app.ini", "[uwsgi]\na = b\0c\n", "app.ini:2: there is a NUL in it"),
        (
            "app.ini",
            "[uwsgi]\nif-hostname-match = (\na = 1\n",
            'app.ini:2: if-hostname-match: "(": this is no pattern',
        ),
        ("app.ini", "[uwsgi]\nset = a\n", 'app.ini:2: set: "a": must be name=value'),
        ("app.ini", "[uwsgi]\nini = app.ini\n", "app.ini:2: app.ini: files include each other"),
        (
            "app.ini",
            "[uwsgi]\nini = http://host/x.ini\n",
            "app.ini:2: http://host/x.ini: only files",
        ),
        ("app.xml", "<uwsgi/>", "app.xml: this format is not read: write it as an ini file"),
        ("app.json", '{"uwsgi": {\n"a": }}', "app.json:2: this is not JSON: Expecting value"),
        ("app.json", "[" * 100_000, "app.json: this is nested too deep"),
        ("app.json", "[]", "app.json: must be an object such as"),
        ("app.json", '{"app": {}}', "app.json: there is no section [uwsgi], but app"),
        ("app.json", '{"uwsgi": {"a": {}}}', "app.json: a: must be a text, a number"),
    ],
)
def test_what_makes_no_sense_is_said_with_its_line(name: str, text: str, message: str) -> None:
    if not message:
        assert read(text, name=name) == []
        return
    with pytest.raises(MalformedError) as caught:
        read(text, name=name)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("uwsgi:\n  a: [\n", "app.yaml:3: this is not YAML: "),
        ("- a\n", "app.yaml: must begin with uwsgi:"),
        ("uwsgi:\n  a: 1\n  b: {c: d}\n", "app.yaml:3: must be a text, a number or a list"),
    ],
)
def test_yaml_that_makes_no_sense_is_said_with_its_line(text: str, message: str) -> None:
    pytest.importorskip("yaml")
    with pytest.raises(MalformedError) as caught:
        read(text, name="app.yaml")
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[uwsgi]\nini = none.ini\n", "app.ini:2: none.ini: there is no such file"),
        ("[uwsgi]\nini = %knone.ini\n", r"app.ini:2: \d+none.ini: there is no such file"),
        ("[uwsgi]\nx = @(none)\n", r"app.ini:2: @\(none\): it cannot be read"),
        ("[uwsgi]\nfor-readline = none\nx = 1\n", "app.ini:2: none: it cannot be read"),
    ],
)
def test_files_that_cannot_be_had_are_named(text: str, message: str) -> None:
    with pytest.raises(CannotReadError, match=message):
        read(text)


LINES = st.lists(
    st.one_of(
        st.sampled_from(
            ["if-env = HOME", "if-opt = a=1", "else", "endif", "for = a b", "endfor", "[uwsgi]"]
        ),
        st.builds(
            "{} = {}".format,
            st.sampled_from(["a", "b", "socket", "set", "for-times", "env", "include"]),
            st.text("%$@()ab:-/1 \\;#{}", max_size=12),
        ),
        st.text(max_size=12),
    ),
    max_size=12,
)


@settings(deadline=None, max_examples=30)
@given(LINES)
def test_whatever_a_file_says_is_read_or_refused(lines: list[str]) -> None:
    with suppress(MalformedError, CannotReadError):
        read("[uwsgi]\n" + "\n".join(lines))


SHOWN = """[uwsgi]
project = shop
base = /srv/%(project)
chdir = %(base)/%c
home = $(HOME)/venvs/%(project)$(NO_SUCH_VARIABLE)
if-env = HOME
env = H=%(_)
endif =
if-not-env = NO_SUCH_VARIABLE
processes = %k
endif =
if-opt = project=shop
env = P=%(_)
endif
for = one two
socket = /tmp/%(_).sock
endfor =
for-times = 2
route = %(_)
endfor =
set = harakiri=%(seconds * 2)
seconds = 15
ini = :more
ini = other.ini
log-format = %(addr) "%(method) %(uri)" 100%% %q
threads = 2 ; two
master
[more]
more = %x %n
"""


def test_uwsgi_shows_the_same(here: Path) -> None:
    uwsgi = shutil.which("uwsgi")
    if uwsgi is None:
        pytest.skip("uWSGI is not installed")
    (here / "other.ini").write_text("[uwsgi]\nother = %n of %N in %c, %(base)\n")
    ours = read(SHOWN, os.environ)
    shown = subprocess.run(
        [uwsgi, "--ini", "app.ini", "--show-config", "--plugins-list"],
        capture_output=True,
        text=True,
        check=False,
    )
    text = (shown.stdout + shown.stderr).split("[uwsgi]\n", 1)[1].split(";end of", 1)[0]
    theirs = [
        (key, value)
        for key, _, value in (line.partition(" = ") for line in text.splitlines() if line)
        if not acts(key) and key not in ("show-config", "plugins-list")
    ]
    assert [(key, cores(value)) for key, value in ours] == [
        (key.removesuffix(" ="), value) for key, value in theirs
    ]
