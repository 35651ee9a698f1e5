"""Modules of the standard library as nobody has patched them.

What an application patches is patched for its whole process: gevent's `patch_all()`, eventlet's
`monkey_patch()`, a test's clock, a guard against sockets put functions of their own into `time`,
`socket` or `_thread`. The server must not wait on a hub, or by a clock that stands still. So what
it needs of these modules it takes from here, and a test sees to that:

    from .originals import os, time

These are instances of its own, which nobody else has: of a module in C another one is made as the
first import made it, and of one in Python there is a copy whose functions are those of the module
in C below it, which nobody patches. So it makes no difference whether the application's patches
come before this import, after it, or while it serves. `threads` has what `threading` is needed for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = [
    "Empty",
    "SimpleQueue",
    "os",
    "select",
    "selectors",
    "signal",
    "socket",
    "thread",
    "time",
]

if TYPE_CHECKING:
    import _thread as thread
    import os
    import select
    import selectors
    import signal
    import socket
    import time
    from queue import Empty, SimpleQueue
else:
    # Never patched themselves: what is public is built on them, and that is what is patched.
    import _signal
    import _socket
    import builtins
    import posix
    from _queue import Empty, SimpleQueue
    from importlib.machinery import BuiltinImporter, PathFinder
    from importlib.util import module_from_spec
    from types import BuiltinFunctionType, ModuleType

    def _anew(name, **needed):
        """Another instance of a module, made as its first import made it.

        needed: what it finds where it imports these.
        """
        spec = BuiltinImporter.find_spec(name) or PathFinder.find_spec(name)
        module = module_from_spec(spec)
        if needed:

            def find(wanted, *details):
                return needed[wanted] if wanted in needed else builtins.__import__(wanted, *details)

            vars(module)["__builtins__"] = {**vars(builtins), "__import__": find}
        spec.loader.exec_module(module)
        return module

    def _over(name, below, **further):
        """A copy of a module in Python, with the functions of the one in C that it is built on."""
        module = ModuleType(name)
        vars(module).update(vars(__import__(name)))
        functions = vars(below).items()
        vars(module).update(
            {key: value for key, value in functions if isinstance(value, BuiltinFunctionType)}
        )
        vars(module).update(further)
        return module

    class _Socket(_socket.socket):
        """What `socket.socket` adds, as far as it is used here."""

        __slots__ = ()

        def __enter__(self):
            return self

        def __exit__(self, *_error):
            self.close()

    thread = _anew("_thread")
    time = _anew("time")
    select = _anew("select")
    selectors = _anew("selectors", select=select)
    os = _over("os", posix)
    socket = _over("socket", _socket, socket=_Socket)
    # `_signal.signal` takes its own constants only, which are plain numbers.
    signal = _over("signal", _signal, SIG_DFL=_signal.SIG_DFL, SIG_IGN=_signal.SIG_IGN)
