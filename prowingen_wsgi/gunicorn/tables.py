"""Each setting of gunicorn, in one of four tables; `settings` says what they mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .equivalents import BECOMES

if TYPE_CHECKING:
    from collections.abc import Callable

# Words of a text, so that they can be read.
_START = """
    config wsgi_app paste raw_paste_global_conf chdir pythonpath raw_env check_config print_config
"""
_PROCESSES = """
    bind backlog reuse_port workers worker_class preload_app daemon pidfile proc_name
    default_proc_name user group umask initgroups worker_tmp_dir reload reload_engine
    reload_extra_files control_socket control_socket_mode control_socket_disable dirty_apps
    dirty_workers dirty_timeout dirty_threads dirty_graceful_timeout
"""
_LOGS = """
    errorlog loglevel capture_output logger_class logconfig logconfig_dict logconfig_json
    syslog_addr syslog syslog_prefix syslog_facility disable_redirect_access_to_syslog
    enable_stdio_inheritance statsd_host dogstatsd_tags statsd_prefix enable_backlog_metric
"""
_HOOKS = """
    on_starting on_reload when_ready pre_fork post_fork post_worker_init worker_int worker_abort
    pre_exec child_exit worker_exit nworkers_changed on_exit on_dirty_starting dirty_post_fork
    dirty_worker_init dirty_worker_exit
"""
OWN = frozenset((_START + _PROCESSES + _LOGS + _HOOKS).split())

_OTHER_WORKERS = """
    asgi_loop asgi_lifespan asgi_disconnect_grace_period websocket_max_message_size root_path
    uwsgi_allow_ips tmp_upload_dir
"""
ELSEWHERE = frozenset(_OTHER_WORKERS.split())

# Options as `prowingen import-gunicorn` makes them, too.
_OPTIONS = """
    threads worker_connections keepalive graceful_timeout limit_request_line limit_request_fields
    limit_request_field_size
"""
_TLS = "certfile keyfile ca_certs cert_reqs ciphers"
_PROXIES = "forwarded_allow_ips secure_scheme_headers proxy_protocol proxy_allow_ips"
AS_OPTIONS = frozenset((_OPTIONS + _TLS + " " + _PROXIES).split())
_BY_THE_WORKER = """
    timeout max_requests max_requests_jitter accesslog access_log_format pre_request post_request
"""
MAPPED = AS_OPTIONS | frozenset(_BY_THE_WORKER.split())


@dataclass(frozen=True)
class Refusal:
    """Why a setting cannot be honoured and what to do; which other values than its default can."""

    way_out: str
    accepts: Callable[[Any], bool] = lambda _: False


_STRICT = "requests are parsed strictly, which has no exceptions; leave it unset"
_PYTHON_TLS = "it is about Python's ssl module, which is not used; leave it unset"
_HTTP2 = (
    "both versions of HTTP are spoken; leave it unset, and for one alone set the variable "
    "PROWINGEN_HTTP to 1.1 or 2"
)

REFUSED = {
    "spew": Refusal("it traces the main thread, where no application runs; leave it unset"),
    "http_parser": Refusal("there is one parser, a native one; leave it unset"),
    "protocol": Refusal("HTTP is all that is spoken; use proxy_pass in nginx, and leave it unset"),
    "sendfile": Refusal(
        "files are sent with sendfile(2) wherever that is possible; leave it and the variable "
        "SENDFILE unset",
        lambda use: use is not False,
    ),
    "permit_obsolete_folding": Refusal(_STRICT),
    "strip_header_spaces": Refusal(_STRICT),
    "permit_unconventional_http_method": Refusal(
        "every method that is a token is passed on; leave it unset"
    ),
    "permit_unconventional_http_version": Refusal(_STRICT),
    "casefold_http_method": Refusal("methods are case-sensitive (RFC 9110); leave it unset"),
    "header_map": Refusal("fields with an underscore in their names are dropped; set it to drop"),
    "forwarder_headers": Refusal(
        "fields with an underscore in their names are dropped; use names with hyphens, which reach "
        "the application as any other field",
        lambda names: set(names) <= {"SCRIPT_NAME", "PATH_INFO"},
    ),
    "ssl_context": Refusal(
        "connections are native, and none is wrapped in an ssl.SSLContext; leave it unset"
    ),
    "ssl_version": Refusal("gunicorn ignores it too; leave it unset"),
    "suppress_ragged_eofs": Refusal(_PYTHON_TLS),
    "do_handshake_on_connect": Refusal(_PYTHON_TLS),
    "http_protocols": Refusal(_HTTP2),
    "http2_cleartext": Refusal(_HTTP2),
    "http2_max_concurrent_streams": Refusal(_HTTP2),
    "http2_initial_window_size": Refusal(_HTTP2),
    "http2_max_frame_size": Refusal(_HTTP2),
    "http2_max_header_list_size": Refusal(_HTTP2),
}

GOVERNED = {becomes.option: setting for setting, becomes in BECOMES.items()}
"""Options of this server that gunicorn decides about, with the setting that does."""

WITHOUT_EFFECT = {
    "max_rss": "set max_requests instead",
    "env_file": "set raw_env instead",
    "redirect_http": "gunicorn opens the sockets: have what stands before it redirect",
    **dict.fromkeys(
        ("statsd_format", "statsd_interval"),
        "gunicorn's own statsd client is used: see statsd_host",
    ),
    "admin_bind": "gunicorn opens the sockets; health_path answers probes among the others",
    "admin_token_file": "there is no admin_bind under gunicorn that it could control by",
    **dict.fromkeys(
        ("acme_domain", "acme_email", "acme_directory", "acme_challenge", "acme_folder"),
        "its workers would all ask at once: set certfile, and have another program renew it",
    ),
    "control_socket": "gunicorn has one of its own: its setting control_socket, and gunicornc",
    "ipv6_only": "gunicorn opens the sockets, as the system's net.ipv6.bindv6only has it",
}
"""Further options that a process manager of this server's own would see to."""
