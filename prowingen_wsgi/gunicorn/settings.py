"""What becomes of each setting of gunicorn, and the configuration that they make.

Every setting is in exactly one of four tables:

    OWN        gunicorn's arbiter, worker base class, application or logger sees to it
    ELSEWHERE  it is about other worker classes, and without effect on gunicorn's WSGI ones too
    MAPPED     it becomes an option of this server, or the worker sees to it
    REFUSED    it cannot be honoured: set to something else than its default, it stops gunicorn

Options that gunicorn has no setting for come from the PROWINGEN_* variables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..configuration.config import OPTIONS, Config, ConfigError
from ..configuration.layers import environment_layer, unknown_variables
from ..configuration.sources import CONFIG_VARIABLE
from .equivalents import BECOMES, header_section
from .tables import (
    AS_OPTIONS,
    ELSEWHERE,
    GOVERNED,
    MAPPED,
    OWN,
    REFUSED,
    WITHOUT_EFFECT,
    Refusal,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_KNOWN = OWN | ELSEWHERE | MAPPED | REFUSED.keys()
_UNKNOWN = Refusal("this version of prowingen-wsgi does not know it; leave it unset")


def configure(cfg: Any, environ: Mapping[str, str]) -> Config:
    """The server's configuration.

    cfg: a `gunicorn.config.Config`.
    Raises ConfigError for a setting or a variable that is out of bounds.
    """
    values = {
        name: setting.value
        for name, setting in environment_layer(environ).items()
        if name not in GOVERNED and name not in WITHOUT_EFFECT
    }
    mapped = {
        becomes.option: OPTIONS[becomes.option].accept(_converted(cfg, setting), setting)
        for setting, becomes in BECOMES.items()
        if setting in AS_OPTIONS
    }
    values.setdefault("max_header_bytes", header_section(mapped))
    return Config.from_values(values | mapped)


def _converted(cfg: Any, setting: str) -> Any:
    value = getattr(cfg, setting)
    try:
        return BECOMES[setting].convert(value)
    except ValueError as error:
        raise ConfigError(f"{setting}: {_shown(value)}: {error}") from None


def unsupported(cfg: Any) -> list[str]:
    """A line for each setting that is set and cannot be honoured."""
    return [
        f"{name}: {_shown(value)}: {refusal.way_out}"
        for name, value, refusal in _changed(cfg)
        if not refusal.accepts(value)
    ]


def _changed(cfg: Any) -> Iterator[tuple[str, Any, Refusal]]:
    for name, setting in sorted(cfg.settings.items()):
        if type(setting).__module__ != "gunicorn.config":  # an application of gunicorn's adds it
            continue
        refusal = _refusal(name)
        if refusal is None:
            continue
        # Not that of `setting`: the variable SENDFILE counts too.
        value = getattr(cfg, name)
        if value != _default(setting):
            yield name, value, refusal


def _refusal(name: str) -> Refusal | None:
    return REFUSED.get(name) or (None if name in _KNOWN else _UNKNOWN)


def is_set(cfg: Any, name: str) -> bool:
    """Whether a setting is another than gunicorn's default."""
    setting = cfg.settings[name]
    return bool(setting.get() != _default(setting))


def _default(setting: Any) -> Any:
    return type(setting)().get()


def _shown(value: object) -> str:
    name = getattr(value, "__name__", "")
    return f"{name}()" if name else f'"{value}"'


def ignored_variables(environ: Mapping[str, str]) -> list[str]:
    """A warning for each PROWINGEN_* variable without effect."""
    warnings = unknown_variables(environ)
    for name in OPTIONS:
        if OPTIONS[name].env in environ and name in GOVERNED | WITHOUT_EFFECT:
            instead = WITHOUT_EFFECT.get(name) or f"gunicorn's setting is {GOVERNED[name]}"
            warnings.append(f"{OPTIONS[name].env} is without effect under gunicorn: {instead}")
    if CONFIG_VARIABLE in environ:
        warnings.append(f"{CONFIG_VARIABLE} is without effect under gunicorn: its file is config")
    return warnings


__all__ = ["ConfigError", "configure", "ignored_variables", "is_set", "unsupported"]
