"""Options that contradict each other, or do nothing without another."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from .config import OPTIONS, ConfigError
from .load_limits import plain_prefix
from .statsd import LONGEST_TAGS
from .time_limits import split_time_limit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .config import Config
    from .layers import ResolvedConfig

SHARES_UDP_PORTS = sys.platform == "linux"
"""Whether processes can share a UDP port and each have the datagrams of its connections."""

LEAST_CACHE = 64 * 1024

_NEED_WORKERS = ("preload", "max_requests", "max_requests_jitter", "max_rss", "worker_timeout")


_NEED_CERTIFICATE = (
    "keyfile_password",
    "ca_certs",
    "crl",
    "ocsp_file",
    "cert_reqs",
    "tls_profile",
    "tls_min_version",
    "ciphers",
    "http3",
    "redirect_http",
)


_NEED_ACME = ("acme_email", "acme_directory", "acme_challenge", "acme_folder")


_NEED_STATSD = ("statsd_prefix", "statsd_tags", "statsd_format", "statsd_interval")


def conflicts(config: Config) -> Iterator[tuple[str, str]]:
    """Each option that cannot stay as it is, with the reason."""
    for name in _NEED_WORKERS:
        if getattr(config, name) != OPTIONS[name].default and not config.workers:
            yield name, "it needs a supervisor: --workers 1 or more"
    encrypts = bool(config.certfile or config.https or config.acme_domain)
    for name in _NEED_CERTIFICATE:
        if getattr(config, name) != OPTIONS[name].default and not encrypts:
            yield name, "it needs certfile, or acme_domain"
    if config.keyfile and not config.certfile:
        yield "keyfile", "it needs certfile"
    yield from acme_conflicts(config)
    yield from statsd_conflicts(config)
    yield from _repeated_prefixes(config)
    if config.http3 and config.workers and not SHARES_UDP_PORTS:
        yield "http3", "with workers it needs Linux, where they can share a UDP port"
    if config.http3 and config.cert_reqs != "none":
        yield (
            "http3",
            "it does not go with cert_reqs: no client of HTTP/3 is asked for a certificate",
        )
    if config.alt_svc and not config.http3:
        yield "alt_svc", "it needs http3"
    if config.https and config.certfile:
        yield "https", "it does not go with certfile, by which HTTPS is spoken anyway"
    if config.https and config.acme_domain:
        yield "https", "it does not go with acme_domain, by which HTTPS is spoken anyway"
    if config.hsts and not (encrypts or config.forwarded_allow_ips):
        yield "hsts", "it needs certfile, or proxies that speak HTTPS: forwarded_allow_ips"
    if config.ca_certs and config.cert_reqs == "none":
        yield "ca_certs", "it needs cert_reqs, optional or required"
    if config.crl and config.cert_reqs == "none":
        yield "crl", "it needs cert_reqs, optional or required"
    if 0 < config.response_cache < LEAST_CACHE:
        yield "response_cache", "less than 64KiB holds no answers; such as 64MiB"
    if (
        config.response_cache_max_answer != OPTIONS["response_cache_max_answer"].default
        and not config.response_cache
    ):
        yield "response_cache_max_answer", "it needs response_cache, such as 64MiB"
    if config.trace_response and not config.trace_context:
        yield "trace_response", "it needs trace_context"
    limited = config.request_timeout or config.request_timeout_of
    for name in ("request_timeout_raise", "max_stuck"):
        if getattr(config, name) != OPTIONS[name].default and not limited:
            yield name, "it needs request_timeout, or request_timeout_of"
    yield from _warned_at_once(config)
    if config.max_requests_jitter and not config.max_requests:
        yield "max_requests_jitter", "it needs max_requests"
    if config.reload and config.preload:
        yield "preload", "it does not go with reload"
    if config.admin_token_file and not config.admin_bind:
        yield "admin_token_file", "it needs admin_bind, such as 127.0.0.1:9100"
    if config.reload_paths and not config.reload:
        yield "reload_paths", "it needs reload"


def _warned_at_once(config: Config) -> Iterator[tuple[str, str]]:
    """Requests that RequestTimeout would be raised in as soon as they began."""
    limits = {"request_timeout": config.request_timeout}
    limits |= {text: split_time_limit(text)[1] for text in config.request_timeout_of}
    for name, seconds in limits.items():
        if 0 < seconds <= config.request_timeout_raise:
            yield "request_timeout_raise", f"it must be shorter than {name}, which is {seconds:g} s"


def _repeated_prefixes(config: Config) -> Iterator[tuple[str, str]]:
    for name in ("rate_limit", "max_concurrency", "request_timeout_of"):
        seen: dict[str, str] = {}
        for text in getattr(config, name):
            prefix = plain_prefix(text)
            if prefix in seen:
                yield (
                    name,
                    f'"{seen[prefix]}" and "{text}" are about the same paths: one limit for each',
                )
            seen[prefix] = text


def acme_conflicts(config: Config) -> Iterator[tuple[str, str]]:
    """Those of the options acme_*."""
    for name in _NEED_ACME:
        if getattr(config, name) != OPTIONS[name].default and not config.acme_domain:
            yield name, "it needs acme_domain"
    if not config.acme_directory.startswith("https://"):
        yield "acme_directory", f'"{config.acme_directory}": must be a URL of https'
    if config.acme_challenge == "http-01" and not config.redirect_http:
        yield "acme_challenge", "http-01 needs redirect_http, such as :80"


def statsd_conflicts(config: Config) -> Iterator[tuple[str, str]]:
    """Those of the options statsd_*."""
    for name in _NEED_STATSD:
        if getattr(config, name) != OPTIONS[name].default and not config.statsd:
            yield name, "it needs statsd, such as 127.0.0.1:8125"
    if config.statsd_tags and config.statsd_format == "statsd":
        yield "statsd_tags", "it does not go with statsd_format statsd, which has no tags"
    if len(",".join(config.statsd_tags).encode()) > LONGEST_TAGS:
        yield "statsd_tags", f"together they are longer than {LONGEST_TAGS} bytes"


def check_together(resolved: ResolvedConfig) -> None:
    """Raises ConfigError for the first conflict, under the name that its user knows it by."""
    for name, why in conflicts(resolved.config):
        source = resolved.sources[name]
        names_it = source in (*OPTIONS[name].flags, OPTIONS[name].env)
        raise ConfigError(f"{source if names_it else f'{source}: {name}'}: {why}")
