"""Which user and group a process runs as: given up once, for good, before the application's code
is loaded."""

from __future__ import annotations

import grp
import pwd
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from ..configuration.config import ConfigError
from ..originals import os

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..configuration.config import Config
    from ..listeners import Listener

_Entry = TypeVar("_Entry")


@dataclass(frozen=True)
class Identity:
    """Whom to become; None: nobody else."""

    user: int | None
    group: int | None
    name: str | None
    """The user's name, whose further groups are taken over."""
    home: str | None

    @classmethod
    def of(cls, config: Config) -> Identity:
        """Raises ConfigError for names that the system does not know, or if this process may not
        become them."""
        user, name, group, home = None, None, None, None
        if config.user:
            entry = _find("user", config.user, pwd.getpwnam, pwd.getpwuid)
            user = int(config.user) if entry is None else entry.pw_uid
            if entry is not None:
                name, group, home = entry.pw_name, entry.pw_gid, entry.pw_dir
            elif not config.group:  # as in a container: a number that is nobody's
                raise ConfigError(f'user: "{config.user}" has no group of its own: set group too')
        if config.group:
            group_entry = _find("group", config.group, grp.getgrnam, grp.getgrgid)
            group = int(config.group) if group_entry is None else group_entry.gr_gid
        identity = cls(user, group, name, home)
        if os.geteuid() != 0 and not identity.is_ours:
            option = "user" if config.user else "group"
            raise ConfigError(
                f'{option}: "{getattr(config, option)}": only root can become somebody else; '
                f"this process is user {os.geteuid()}"
            )
        return identity

    @property
    def is_ours(self) -> bool:
        """Whether this process has it already."""
        return self.user in (None, os.geteuid()) and self.group in (None, os.getegid())

    @property
    def numbers(self) -> tuple[int, int]:
        """Of the user and the group, as chown(2) takes them."""
        return -1 if self.user is None else self.user, -1 if self.group is None else self.group

    def own(self, listeners: list[Listener]) -> None:
        """Gives the files of Unix sockets to whom this will be, so that they can be replaced."""
        if not self.is_ours:
            for listener in listeners:
                if listener.file is not None:
                    os.chown(listener.file, *self.numbers)

    def assume(self) -> None:
        """Becomes it."""
        if self.is_ours:
            return
        if self.group is not None:
            if self.name is not None:
                os.initgroups(self.name, self.group)
            else:
                os.setgroups([self.group])
            os.setgid(self.group)
        if self.user is not None:
            os.setuid(self.user)
            if self.home is not None:
                os.environ["HOME"] = self.home  # which programs expect to be their user's


def _find(
    option: str, text: str, by_name: Callable[[str], _Entry], by_number: Callable[[int], _Entry]
) -> _Entry | None:
    """The system's entry; None for a number that has none. Raises ConfigError for such a name."""
    try:
        return by_number(int(text)) if text.isdecimal() else by_name(text)
    except (KeyError, OverflowError):
        if text.isdecimal():
            return None
        raise ConfigError(f'{option}: "{text}": this system knows no such {option}') from None
