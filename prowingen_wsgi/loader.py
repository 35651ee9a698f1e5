"""Finds the application that a command line names.

    module   module:attribute   module:dotted.attribute   module:factory("literal", key=1)

What goes wrong on the way is either the name (`TargetError`, `AppNotFoundError`: one line) or the
application's own code (`AppFailedError`: its traceback, without the frames of this server and of
Python's import system).
"""

from __future__ import annotations

import ast
import importlib
import inspect
import keyword
import pkgutil
import sys
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from .configuration.config import nearest

if TYPE_CHECKING:
    from types import ModuleType

    from _typeshed.wsgi import WSGIApplication

# PEP 3333 calls it application; Flask's tutorials call it app.
_USUAL_NAMES = ("application", "app")
_USUAL_FACTORIES = ("create_app", "make_app", "create_application", "make_application")
_FORMS = "it is given as module, module:attribute or module:factory()"


class TargetError(ValueError):
    """A text that names no application."""


class AppNotFoundError(Exception):
    """A module or attribute that is not there, or is not a WSGI application."""


class AppFailedError(Exception):
    """The application's code raised. The text says during what, `traceback` shows where."""

    def __init__(self, message: str, error: BaseException) -> None:
        super().__init__(message)
        self.traceback = user_traceback(error)


LOAD_ERRORS = (AppNotFoundError, AppFailedError)
"""What `Target.load` raises."""


def explain(error: BaseException) -> str:
    """An error as the command prints it: one line, and the traceback of an application's own."""
    return f"{error}:\n{error.traceback}" if isinstance(error, AppFailedError) else str(error)


def summary(error: BaseException) -> str:
    """The same in one line, whose end is that of the traceback."""
    if not isinstance(error, AppFailedError):
        return str(error)
    lines = error.traceback.strip().splitlines()
    return f"{error}: {lines[-1].strip()}" if lines else str(error)


@dataclass(frozen=True)
class Call:
    arguments: tuple[object, ...] = ()
    keywords: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Target:
    """Where an application is. Without attributes, the usual names are tried."""

    text: str
    module: str
    attributes: tuple[str, ...] = ()
    call: Call | None = None

    @classmethod
    def parse(cls, text: str) -> Target:
        """Raises TargetError. Evaluates nothing: a call's arguments are literals."""
        module, colon, expression = text.partition(":")
        if module.endswith(".py") or "/" in module:
            name = module.removesuffix(".py").removeprefix("./").replace("/", ".")
            raise TargetError(f'"{text}" names a file; give its module: {name}{colon}{expression}')
        names = module.split(".")
        if not all(name.isidentifier() and not keyword.iskeyword(name) for name in names):
            raise TargetError(f'"{module}" is no module name; {_FORMS}')
        if not colon:
            return cls(text, module)
        try:
            node = ast.parse(expression.strip(), mode="eval").body
        except (SyntaxError, ValueError):
            raise TargetError(f'"{expression}" is no attribute; {_FORMS}') from None
        call = None
        if isinstance(node, ast.Call):
            call = _literal_call(node, expression)
            node = node.func
        return cls(text, module, _dotted_name(node, expression), call)

    def load(self, *, factory: bool = False) -> WSGIApplication:
        """Imports the module and returns the application.

        factory: call what the target names, without arguments, if the target is not a call.
        Raises AppNotFoundError and AppFailedError.
        """
        module = self._import()
        found, name = self._find(module)
        call = self.call or (Call() if factory else None)
        if call is not None:
            found = self._call(found, name, call)
            name = f"what {name}() returned"
        if _is_command_line(found):
            hint = _application_hint(module, self.module)
            raise AppNotFoundError(f"{name} is a command line and no WSGI application{hint}")
        return _check_application(found, name)

    def _import(self) -> ModuleType:
        try:
            return importlib.import_module(self.module)
        except (Exception, SystemExit) as error:
            if _is_about(error, self.module) and not _user_frames(error):
                hint = nearest(self.module, _modules_here())
                raise AppNotFoundError(f'there is no module "{self.module}"{hint}') from None
            raise AppFailedError(f"importing {self.module} failed", error) from error

    def _find(self, module: ModuleType) -> tuple[object, str]:
        if not self.attributes:
            for name in _USUAL_NAMES:
                if hasattr(module, name):
                    return getattr(module, name), f"{self.module}:{name}"
            raise AppNotFoundError(
                f'module "{self.module}" has neither "application" nor "app"'
                + _application_hint(module, self.module)
            )
        found: object = module
        name = self.module
        for index, attribute in enumerate(self.attributes):
            try:
                child = getattr(found, attribute)
            except AttributeError:
                what = f'module "{name}"' if found is module else f'"{name}"'
                hint = nearest(attribute, (key for key in dir(found) if not key.startswith("__")))
                raise AppNotFoundError(f'{what} has no attribute "{attribute}"{hint}') from None
            except Exception as error:
                raise AppFailedError(f"reading {name}.{attribute} failed", error) from error
            found, name = child, f"{name}{'.' if index else ':'}{attribute}"
        return found, name

    def _call(self, found: object, name: str, call: Call) -> object:
        if not callable(found):
            raise AppNotFoundError(f"{name} cannot be called: it is {_kind(found)}")
        try:
            return found(*call.arguments, **call.keywords)
        except (Exception, SystemExit) as error:
            if isinstance(error, TypeError) and not _user_frames(error):
                raise AppNotFoundError(f"{name} cannot be called like this: {error}") from None
            raise AppFailedError(f"calling {name} failed", error) from error


def user_traceback(error: BaseException) -> str:
    """The traceback that the user's code would show without a server around it."""
    report = traceback.TracebackException.from_exception(error)
    _prune(report)
    lines = report.format() if report.stack else report.format_exception_only()
    return "".join(lines).rstrip("\n")


def _literal_call(node: ast.Call, expression: str) -> Call:
    try:
        arguments = tuple(ast.literal_eval(argument) for argument in node.args)
        keywords = {word.arg: ast.literal_eval(word.value) for word in node.keywords}
    except ValueError:
        raise TargetError(f'"{expression}": the arguments must be literals') from None
    if None in keywords:
        raise TargetError(f'"{expression}": ** is not possible here')
    return Call(arguments, cast("dict[str, object]", keywords))


def _dotted_name(node: ast.expr, expression: str) -> tuple[str, ...]:
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        raise TargetError(f'"{expression}" is no attribute; {_FORMS}')
    return (node.id, *reversed(names))


def _check_application(found: object, name: str) -> WSGIApplication:
    if not callable(found):
        raise AppNotFoundError(f"{name} is no WSGI application: it is {_kind(found)}")
    called: Any = type(found).__call__
    if inspect.iscoroutinefunction(found) or inspect.iscoroutinefunction(called):
        raise AppNotFoundError(f"{name} is an ASGI application, and this server speaks WSGI")
    return cast("WSGIApplication", found)


def _kind(found: object) -> str:
    return "None" if found is None else f"of type {type(found).__name__}"


def _application_hint(module: ModuleType, name: str) -> str:
    """Where the application is, if the module has one or what makes one by a usual name; or by the
    name that a FlaskGroup in it, a program's own `flask`, makes its application by.
    """
    for usual in _USUAL_NAMES:
        if callable(getattr(module, usual, None)) and not _is_command_line(getattr(module, usual)):
            return f'; did you mean "{name}:{usual}"?'
    makers = [getattr(found, "create_app", None) for found in vars(module).values()]
    named = [key for key, found in vars(module).items() if found is not None and found in makers]
    for factory in (*_USUAL_FACTORIES, *named):
        if callable(getattr(module, factory, None)):
            return f'; did you mean "{name}:{factory}()"?'
    return ""


def _is_command_line(found: object) -> bool:
    """Whether it is click's, such as a FlaskGroup, which can be called and is no application."""
    click = sys.modules.get("click")
    return click is not None and isinstance(found, click.Command)


def _modules_here() -> list[str]:
    try:
        here = str(Path.cwd())
    except FileNotFoundError:  # it has been removed
        return []
    return [module.name for module in pkgutil.iter_modules([here])]


def _is_about(error: BaseException, module: str) -> bool:
    """Whether the error is that this module, or a package that it is in, is missing."""
    return (
        isinstance(error, ModuleNotFoundError)
        and error.name is not None
        and f"{module}.".startswith(f"{error.name}.")
    )


def _is_plumbing(frame: traceback.FrameSummary) -> bool:
    return frame.filename.startswith("<frozen importlib") or frame.filename in (
        __file__,
        importlib.__file__,
    )


def _user_frames(error: BaseException) -> list[traceback.FrameSummary]:
    frames = traceback.extract_tb(error.__traceback__)
    return [frame for frame in frames if not _is_plumbing(frame)]


def _prune(report: traceback.TracebackException) -> None:
    report.stack = traceback.StackSummary.from_list(
        [frame for frame in report.stack if not _is_plumbing(frame)]
    )
    for chained in (report.__cause__, report.__context__):
        if chained is not None:
            _prune(chained)
