"""fork(2), and what a child must forget of its parent.

The child of `fork` does not return to its caller: it leaves through it, by an exception, up to
`run_children` at the bottom of the stack. So it ends as any Python program does, exit handlers
included, and nothing of the parent's is cleaned up twice: whoever catches exceptions on the way
lets `InChild` pass.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from ..forks import disown_children, sharing_descriptors
from ..originals import os, signal
from ..signals import pass_over

if TYPE_CHECKING:
    from collections.abc import Callable

_HANDLED = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGQUIT,
    signal.SIGHUP,
    signal.SIGCHLD,
    signal.SIGUSR1,
    signal.SIGTTIN,
    signal.SIGTTOU,
)
# What a terminal, or whoever signals a whole group, sends to every process, and the supervisor
# answers: it stops, reloads or has the logs reopened.
_LEFT_TO_PARENT = (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
# A shell that starts a server in the background has it ignore some.
_INHERITED = (*_LEFT_TO_PARENT, signal.SIGTERM, signal.SIGQUIT)
# Their handlers before the supervisor had any: what the application's own children have.
_found: dict[signal.Signals, Any] = dict.fromkeys(_INHERITED, signal.SIG_DFL)


class InChild(BaseException):
    """Raised in a new process: `main` is what it is there for, and returns its exit code."""

    def __init__(self, main: Callable[[], int]) -> None:
        super().__init__()
        self.main = main


def fork(main: Callable[[], int], forget: Callable[[], None]) -> int:
    """Forks and returns the child's process id; in the child, raises InChild.

    forget: closes in the child what is the parent's alone.
    The child passes over SIGINT, SIGHUP and SIGUSR1, which it may get as one of a group, and leaves
    them to its parent, unless it handles them later. Raises OSError if there can be no further
    process.
    """
    # A signal between the fork and the reset of its handler would be lost to the child.
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, _HANDLED)
    try:
        with sharing_descriptors():
            process = os.fork()
        if process == 0:
            signal.set_wakeup_fd(-1)
            for number in _HANDLED:
                ignored = _found.get(number) is signal.SIG_IGN
                signal.signal(number, signal.SIG_IGN if ignored else signal.SIG_DFL)
            pass_over({number: _found[number] for number in _LEFT_TO_PARENT})
            forget()
            _renew_hub()
            disown_children()
            raise InChild(main)
        return process
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _renew_hub() -> None:
    """As gevent's own fork() does: the hub of this thread, if the application has begun one in a
    template, would wait on a descriptor of epoll that is its parent's too."""
    if gevent := sys.modules.get("gevent"):
        gevent.reinit()


def run_children(parent: Callable[[], int]) -> int:
    """Runs `parent`, which handles no signals yet, and in every process that it forks, what that is
    there for."""
    _found.update({number: signal.getsignal(number) for number in _INHERITED})
    main = parent
    while True:
        try:
            return main()
        except InChild as child:  # noqa: PERF203  # once a process
            main = child.main
