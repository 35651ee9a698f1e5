from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import flask.cli  # noqa: F401 - before the modules that a test imports, which are forgotten
import pytest

from prowingen_wsgi.loader import AppFailedError, AppNotFoundError, Call, Target, TargetError

Write = Callable[[str, str], None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes modules to the current directory, which is on the path; they are forgotten after."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def start(name: str, text: str) -> None:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(dedent(text))

    return start


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("site", Target("site", "site")),
        ("a.b:c", Target("a.b:c", "a.b", ("c",))),
        ("a:b.c.d", Target("a:b.c.d", "a", ("b", "c", "d"))),
        ("a:b()", Target("a:b()", "a", ("b",), Call())),
        ("a:b.c( )", Target("a:b.c( )", "a", ("b", "c"), Call())),
        (
            'a:b("x", -1, key=[None, {"y": 2.5}])',
            Target(
                'a:b("x", -1, key=[None, {"y": 2.5}])',
                "a",
                ("b",),
                Call(("x", -1), {"key": [None, {"y": 2.5}]}),
            ),
        ),
    ],
)
def test_a_target_is_read(text: str, target: Target) -> None:
    assert Target.parse(text) == target


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", '"" is no module name'),
        (":app", '"" is no module name'),
        ("a-b:app", '"a-b" is no module name'),
        ("a..b:app", '"a..b" is no module name'),
        ("class:app", '"class" is no module name'),
        ("hello.py", '"hello.py" names a file; give its module: hello'),
        ("./src/hello.py:app", "names a file; give its module: src.hello:app"),
        ("a:", '"" is no attribute'),
        ("a:1", '"1" is no attribute'),
        ("a:b[0]", '"b[0]" is no attribute'),
        ("a:b + c", '"b + c" is no attribute'),
        ("a:b()()", '"b()()" is no attribute'),
        ("a:b(", '"b(" is no attribute'),
        ("a:b(c)", '"b(c)": the arguments must be literals'),
        ("a:b(**{})", '"b(**{})": ** is not possible here'),
        ("a:b(__import__('os').abort())", "the arguments must be literals"),
    ],
)
def test_a_wrong_target_is_refused(text: str, message: str) -> None:
    with pytest.raises(TargetError) as refused:
        Target.parse(text)
    assert message in str(refused.value)


APP = """
def app(environ, start_response):
    return [b"app"]
"""


def test_a_module_alone_means_application_then_app(write: Write) -> None:
    write("only_app.py", APP)
    write("both.py", APP + "application = lambda environ, start_response: [b'application']")
    only_app, both = Target.parse("only_app").load(), Target.parse("both").load()
    assert list(only_app({}, None)) == [b"app"]  # type: ignore[arg-type]
    assert list(both({}, None)) == [b"application"]  # type: ignore[arg-type]


def test_a_factory_is_called_with_literals(write: Write) -> None:
    write(
        "made.py",
        """
        class Site:
            @staticmethod
            def make(name="default", *, suffix=""):
                return lambda environ, start_response: [(name + suffix).encode()]
        """,
    )

    def body(text: str, factory: bool = False) -> list[bytes]:
        app = Target.parse(text).load(factory=factory)
        return list(app({}, None))  # type: ignore[arg-type]

    assert body("made:Site.make()") == [b"default"]
    assert body("made:Site.make('x', suffix='!')") == [b"x!"]
    assert body("made:Site.make", factory=True) == [b"default"]
    assert body("made:Site.make('x')", factory=True) == [b"x"]


GROUP = """
import click, flask.cli

def make(name="x"):
    return flask.Flask(name)

cli = flask.cli.FlaskGroup(create_app=make)
"""


@pytest.mark.parametrize(
    ("text", "target", "message"),
    [
        (GROUP, "program", 'neither "application" nor "app"; did you mean "program:make()"?'),
        (
            GROUP,
            "program:cli",
            'program:cli is a command line and no WSGI application; did you mean "program:make()"?',
        ),
        (GROUP + "app = make()", "program:cli", 'did you mean "program:app"?'),
        (
            GROUP + "app = cli",
            "program",
            'program:app is a command line and no WSGI application; did you mean "program:make()"?',
        ),
        (
            "import click\n@click.command\ndef main(): pass\n",
            "program:main",
            "program:main is a command line and no WSGI application",
        ),
    ],
)
def test_a_command_line_is_no_application_and_leads_to_one(
    write: Write, text: str, target: str, message: str
) -> None:
    write("program.py", text)
    with pytest.raises(AppNotFoundError) as raised:
        Target.parse(target).load()
    assert str(raised.value).endswith(message)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("helo:app", 'there is no module "helo"; did you mean "hello"?'),
        ("qqqqqq:app", 'there is no module "qqqqqq"'),
        ("hello.sub:app", 'there is no module "hello.sub"'),
        ("hello:ap", 'module "hello" has no attribute "ap"; did you mean "app"?'),
        ("hello:site.ap", '"hello:site" has no attribute "ap"; did you mean "app"?'),
        ("hello:nothing", "hello:nothing is no WSGI application: it is None"),
        ("hello:text", "hello:text is no WSGI application: it is of type str"),
        ("hello:text()", "hello:text cannot be called: it is of type str"),
        (
            "hello:returns_none()",
            "what hello:returns_none() returned is no WSGI application: it is",
        ),
        ("hello:create_app(1)", "hello:create_app cannot be called like this: create_app() takes"),
        ("hello:asgi", "hello:asgi is an ASGI application, and this server speaks WSGI"),
        ("hello:asgi_object", "hello:asgi_object is an ASGI application"),
        (
            "factory",
            'module "factory" has neither "application" nor "app"; '
            'did you mean "factory:create_app()"?',
        ),
    ],
)
def test_what_is_not_there_is_said_in_one_line(write: Write, target: str, message: str) -> None:
    write(
        "hello.py",
        APP
        + """
class Site:
    app = staticmethod(app)
site = Site()
nothing = None
text = "text"
def returns_none(): pass
def create_app(): return app
async def asgi(scope, receive, send): pass
class Asgi:
    async def __call__(self, scope, receive, send): pass
asgi_object = Asgi()
""",
    )
    write("factory.py", "def create_app(): pass")
    with pytest.raises(AppNotFoundError) as missing:
        Target.parse(target).load()
    assert str(missing.value).startswith(message)
    assert "\n" not in str(missing.value)


def failure(target: str) -> AppFailedError:
    with pytest.raises(AppFailedError) as failed:
        Target.parse(target).load()
    return failed.value


def frames(trace: str) -> list[str]:
    """The functions and files that a traceback names, without its source lines."""
    lines = [line.split('"') for line in trace.splitlines() if line.startswith('  File "')]
    return [
        Path(file).name + place.rpartition(" in ")[1] + place.rpartition(" in ")[2]
        for _, file, place in lines
    ]


def test_an_import_error_shows_the_users_frames_alone(write: Write) -> None:
    write("broken.py", "def start():\n    import also_broken\nstart()\n")
    write("also_broken.py", "import no_such_library\n")
    error = failure("broken:app")
    assert str(error) == "importing broken failed"
    assert frames(error.traceback) == [
        "broken.py in <module>",
        "broken.py in start",
        "also_broken.py in <module>",
    ]
    assert error.traceback.startswith("Traceback (most recent call last):\n")
    assert error.traceback.endswith("ModuleNotFoundError: No module named 'no_such_library'")


def test_a_missing_part_of_a_package_is_the_users_error(write: Write) -> None:
    write("package/__init__.py", "import package.missing\n")
    assert frames(failure("package:app").traceback) == ["__init__.py in <module>"]
    assert frames(failure("package.missing:app").traceback) == ["__init__.py in <module>"]


def test_a_chain_of_errors_is_shown_whole(write: Write) -> None:
    write(
        "chained.py",
        """
        try:
            import no_such_library
        except ImportError as error:
            raise RuntimeError("needs a library") from error
        """,
    )
    trace = failure("chained").traceback
    assert frames(trace) == ["chained.py in <module>"] * 2
    assert "The above exception was the direct cause" in trace
    assert "importlib" not in trace


def test_a_syntax_error_shows_its_place(write: Write) -> None:
    write("wrong.py", "def app(:\n")
    trace = failure("wrong").traceback
    assert 'wrong.py", line 1' in trace
    assert "SyntaxError" in trace
    assert "importlib" not in trace


def test_a_module_that_exits_has_failed(write: Write) -> None:
    write("script.py", "import sys\nsys.exit('usage: script')\n")
    trace = failure("script").traceback
    assert frames(trace) == ["script.py in <module>"]
    assert trace.endswith("SystemExit: usage: script")


def test_a_factory_that_raises_shows_the_users_frames_alone(write: Write) -> None:
    write("factory.py", "def create_app():\n    return len(3)\n")
    error = failure("factory:create_app()")
    assert str(error) == "calling factory:create_app failed"
    assert frames(error.traceback) == ["factory.py in create_app"]


def test_what_is_not_there_is_said_in_one_line_in_a_folder_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(AppNotFoundError, match=r'^there is no module "qqqqqq"$'):
        Target.parse("qqqqqq:app").load()
