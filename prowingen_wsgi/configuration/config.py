"""The options of a server, each written once.

A field of `Config` carries an `Option` in its metadata: what it means, its bounds and unit, and
whether the native side reads it. The command line, the PROWINGEN_* variables, `--check`,
docs/configuration.md and the C++ options struct are made from these, so that they cannot
disagree. Whatever reads this runs on a bare Python: nothing native is imported, here or below.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .addresses import anchored_address, parse_address, with_ipv4
from .codings import COMPRESSIBLE_TYPES, parse_coding, parse_media_type
from .domains import parse_domain
from .load_limits import parse_max_concurrency, parse_rate_limit
from .mounts import anchored_mount, parse_mount, parse_named_mount
from .networks import parse_forwarded_field, parse_network
from .option import ConfigError, Option, option_field
from .statsd import NamePrefix, StatsdAddress, parse_tag
from .time_limits import parse_time_limit
from .values import (
    Choice,
    Count,
    CountOrAuto,
    FilePath,
    Kind,
    Many,
    Octal,
    Seconds,
    Secret,
    Size,
    Switch,
    Text,
    UrlPath,
    anchored_path,
    path_text,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["OPTIONS", "Config", "ConfigError", "Option", "nearest"]

KIB = 1024
MIB = 1024 * 1024
GIB = 1024 * MIB
DAY = 86400.0

PROCESSES = "Processes"
"""The group of options that are about processes, and so the command's."""


def _limit(default: Any, kind: Kind, meaning: str) -> Any:
    return option_field(default, kind, meaning, group="Limits")


# What is gone to, and read, before any other path means something.
_EARLY_PATH = Text(metavar="PATH", ascii_only=False)
_PATH = FilePath()
_PATHS = Many(path_text, metavar="PATH", minimum=0, anchor_one=anchored_path, may_hold_commas=True)


def _load(default: Any, kind: Kind, meaning: str) -> Any:
    return option_field(default, kind, meaning, group="Load")


def _process(default: Any, kind: Kind, meaning: str) -> Any:
    return option_field(default, kind, meaning, group=PROCESSES, native=False)


def _tls(default: Any, kind: Kind, meaning: str) -> Any:
    return option_field(default, kind, meaning, group="TLS")


def _compression(default: Any, kind: Kind, meaning: str) -> Any:
    return option_field(default, kind, meaning, group="Compression")


def _proxy(default: Any, kind: Kind, meaning: str) -> Any:
    return option_field(default, kind, meaning, group="Behind a proxy")


def _statsd(default: Any, kind: Kind, meaning: str) -> Any:
    return option_field(default, kind, meaning, group="Statsd", native=False)


def _tracing(meaning: str) -> Any:
    return option_field(False, Switch(), meaning, group="Tracing")


def _timeout(default: float, minimum: float, meaning: str, native: bool = True) -> Any:
    return option_field(default, Seconds(minimum, DAY), meaning, group="Timeouts", native=native)


@dataclass(frozen=True)
class Config:
    """The options of one server, checked. Raises ConfigError (a ValueError) for a wrong value.

    A field also accepts the text that its command-line option accepts: `Config(max_body="10MiB")`.
    Sizes are bytes, durations are seconds.
    """

    bind: tuple[str, ...] = option_field(
        ("127.0.0.1:8000",),
        Many(parse_address, metavar="ADDRESS", anchor_one=anchored_address, may_hold_commas=True),
        "where to listen: host:port, [v6]:port, :port, host, unix:/path, fd://N, or systemd or "
        "systemd:NAME for the sockets it passes, tcp://host:port for a host of one of these names; "
        "may be given several times",
        group="Server",
        native=False,
        short="-b",
    )
    ipv6_only: bool = option_field(
        False,
        Switch(),
        "[::] is IPv6's every address alone, and not IPv4's too",
        group="Server",
        native=False,
    )
    engine: str = option_field(
        "auto",
        Choice(("auto", "embedded", "proxygen")),
        "what speaks HTTP; auto is embedded, the faster one",
        group="Server",
    )
    http: str = option_field(
        "auto",
        Choice(("auto", "1.1", "2")),
        "the version of HTTP that is spoken; auto is both, as a client agrees on it in TLS, or "
        "begins with it where there is none",
        group="Server",
    )
    http3: bool = option_field(
        False,
        Switch(),
        "HTTP/3 too, as an experiment, on the UDP ports of the same numbers; needs TLS and the "
        "proxygen engine",
        group="Server",
    )
    alt_svc: str = option_field(
        "",
        Text(),
        "value of the Alt-Svc field, by which HTTP/1.1 and 2 tell of HTTP/3; empty: that it is on "
        "the port of the same number",
        group="Server",
    )
    threads: int = option_field(
        8,
        Count(1, 4096),
        "worker threads, which run the application",
        group="Server",
        short="-t",
    )
    long_lived_threads: int = option_field(
        256,
        Count(0, 65536),
        "further worker threads, made when needed, for requests that live long: upgraded "
        "connections, event streams, answers that take longer than long_lived_after; beyond that, "
        "what would begin one is answered 503",
        group="Server",
    )
    long_lived_after: float = option_field(
        5.0,
        Seconds(0.0, DAY),
        "time after which an answer that is still being written gets a thread of its own; 0: never",
        group="Server",
    )
    io_threads: int = option_field(
        1, Count(1, 256), "native threads for the connections", group="Server"
    )
    backlog: int = option_field(
        2048,
        Count(1, 2**16 - 1),
        "connections that the kernel holds until they are accepted",
        group="Server",
        native=False,
    )
    max_connections: int = option_field(
        65536,
        Count(1, 2**24),
        "open connections; further ones wait in the backlog",
        group="Server",
    )
    queue_size: int = option_field(
        4096,
        Count(1, 2**20),
        "requests that wait for a worker; further ones are answered 503",
        group="Server",
    )

    workers: int | str = _process(
        0,
        CountOrAuto(0, 1024),
        "processes that serve, under a supervisor that restarts and reloads them; auto: one for "
        "each core; 0: this process serves by itself",
    )
    preload: bool = _process(
        False,
        Switch(),
        "load the application once, before the workers are forked, so that they share its memory",
    )
    max_requests: int = _process(
        0, Count(0, 2**31 - 1), "requests after which a worker is replaced; 0: no limit"
    )
    max_requests_jitter: int = _process(
        0, Count(0, 2**31 - 1), "up to so many requests, by chance, are added to max_requests"
    )
    max_rss: int = _process(
        0, Size(0, 2**50), "resident memory beyond which a worker is replaced; 0: no limit"
    )
    worker_timeout: float = _process(
        0.0,
        Seconds(0.0, DAY),
        "a worker is killed, its stacks logged, when for so long all its threads have been in the "
        "same requests, or none has taken the next one; 0: never",
    )
    reload: bool = _process(
        False,
        Switch(),
        "for development: reload when a Python file, or one of reload_paths, changes",
    )
    reload_paths: tuple[str, ...] = _process(
        (),
        _PATHS,
        "further files and folders to watch with reload",
    )
    user: str = _process(
        "", Text(metavar="NAME"), "user, by name or number, that serves once the sockets are open"
    )
    group: str = _process("", Text(metavar="NAME"), "group, by name or number, likewise")
    umask: int = _process(
        -1, Octal(), "mask of the modes of files that are made; -1: as it is inherited"
    )
    pidfile: str = _process("", _PATH, "where this process writes its number")
    control_socket: str = _process(
        "",
        _PATH,
        "Unix socket that `prowingen ctl` asks this server by, its user's and root's alone",
    )
    admin_token_file: str = _process(
        "",
        _PATH,
        "file with a token, at least 16 letters and digits; who asks with it may control this "
        "server on admin_bind: POST /-/control",
    )
    chdir: str = _process("", _EARLY_PATH, "folder to go to before anything else is opened")
    pythonpath: tuple[str, ...] = _process(
        (),
        _PATHS,
        "folders that modules are looked for in first",
    )
    env_file: str = _process(
        "", _EARLY_PATH, "file of NAME=value lines; variables that are not set yet are set from it"
    )

    proxy_protocol: bool = _proxy(
        False,
        Switch(),
        "each connection from proxy_allow_ips begins with a PROXY protocol header, version 1 or 2",
    )
    proxy_allow_ips: tuple[str, ...] = _proxy(
        ("127.0.0.0/8", "::1", "unix"),
        Many(parse_network, metavar="NETWORK", minimum=0),
        "who may send that header: addresses, networks such as 10.0.0.0/8, unix, or * for all",
    )
    forwarded_allow_ips: tuple[str, ...] = _proxy(
        (),
        Many(parse_network, metavar="NETWORK", minimum=0),
        "proxies whose forwarded_header is believed: addresses, networks, unix, or * for all",
    )
    forwarded_header: str = _proxy(
        "x-forwarded",
        Choice(("x-forwarded", "forwarded")),
        "what the proxies set: the X-Forwarded-* fields, or Forwarded (RFC 7239)",
    )
    forwarded_fields: tuple[str, ...] = _proxy(
        ("for", "proto"),
        Many(parse_forwarded_field, metavar="NAME", minimum=0),
        "which of them the proxies set, and no client can: for, proto, host, port, prefix",
    )

    request_start_header: bool = _tracing(
        "tell the application by X-Request-Start when the request came, as agents read it, unless "
        "a proxy of forwarded_allow_ips does",
    )
    trace_context: bool = _tracing(
        "see that each request has a well-formed traceparent (W3C Trace Context)",
    )
    trace_response: bool = _tracing(
        "name a request's trace in its answer too, by traceparent; needs trace_context",
    )
    request_id: bool = _tracing(
        "name each request by X-Request-ID, unless a proxy of forwarded_allow_ips does, and its "
        "answer too",
    )

    static: tuple[str, ...] = option_field(
        (),
        Many(
            parse_mount,
            metavar="PREFIX=DIR",
            minimum=0,
            anchor_one=anchored_mount,
            may_hold_commas=True,
        ),
        "path prefix and the folder whose files are served under it without the application, such "
        "as /static=public/static; auto: those of Flask or Django; may be given several times",
        group="Static files",
        native=False,
    )
    static_max_age: float = option_field(
        60.0,
        Seconds(0.0, 3650 * DAY),
        "for so long a client need not ask again for such a file; those with a hash in their names "
        "are for a year; 0: it is to ask each time",
        group="Static files",
    )

    sendfile: tuple[str, ...] = option_field(
        (),
        Many(
            parse_named_mount,
            metavar="PREFIX=DIR",
            minimum=0,
            anchor_one=anchored_mount,
            may_hold_commas=True,
        ),
        "folder whose files the application may answer with by naming one: X-Sendfile with its "
        "path, or X-Accel-Redirect with PREFIX and the rest of it; may be given several times",
        group="Static files",
        native=False,
    )

    compress: bool = _compression(
        False,
        Switch(),
        "compress answers of the application, as their clients accept it",
    )
    compress_codings: tuple[str, ...] = _compression(
        ("zstd", "br", "gzip"),
        Many(parse_coding, metavar="CODING[:LEVEL]"),
        "by which codings, and at which levels: zstd, br, gzip; of those that a client likes as "
        "much, the first",
    )
    compress_min_size: int = _compression(
        500,
        Size(0, GIB),
        "shorter answers are sent as they are",
    )
    compress_types: tuple[str, ...] = _compression(
        COMPRESSIBLE_TYPES,
        Many(parse_media_type, metavar="TYPE"),
        "media types that are compressed; in each there may be a *",
    )

    response_cache: int = option_field(
        0,
        Size(0, 2**50, cpp_type="std::uint64_t"),
        "memory of each process for answers that the application lets be kept, by Cache-Control: "
        "s-maxage, and that are given again without it; 0: none is kept",
        group="Response cache",
    )
    response_cache_max_answer: int = option_field(
        MIB,
        Size(1, 2**30),
        "longest answer that is kept there, its fields included",
        group="Response cache",
    )

    certfile: tuple[str, ...] = _tls(
        (),
        _PATHS,
        "certificate chain (PEM), or a PKCS#12 file; with it every address speaks HTTPS; given "
        "several times, a client gets the one of the name that it asks for, or else the first",
    )
    keyfile: tuple[str, ...] = _tls(
        (),
        _PATHS,
        "private key (PEM): one for each certfile, in the same order; none: they are in certfile",
    )
    keyfile_password: str = _tls("", Secret(), "password of encrypted private keys")
    https: bool = option_field(
        False,
        Switch(),
        "for development: HTTPS by the certificate of `prowingen dev-cert`, which is made if there "
        "is none",
        group="TLS",
        native=False,
    )
    acme_domain: tuple[str, ...] = option_field(
        (),
        Many(parse_domain, metavar="NAME", minimum=0),
        "name to have a certificate issued for, and renewed, by the authority of acme_directory; "
        "that agrees to its terms; may be given several times",
        group="TLS",
        native=False,
    )
    acme_email: str = option_field(
        "",
        Text(metavar="ADDRESS"),
        "where that authority reaches you; empty: nowhere",
        group="TLS",
        native=False,
    )
    acme_directory: str = option_field(
        "https://acme-v02.api.letsencrypt.org/directory",
        Text(metavar="URL"),
        "an authority that speaks ACME (RFC 8555): the URL of its directory",
        group="TLS",
        native=False,
    )
    acme_challenge: str = option_field(
        "auto",
        Choice(("auto", "tls-alpn-01", "http-01")),
        "how it is shown that a name leads here: by TLS on port 443, or by HTTP on port 80, where "
        "redirect_http listens; auto: by TLS, and if that fails by HTTP",
        group="TLS",
        native=False,
    )
    acme_folder: str = _tls(
        "",
        _PATH,
        "where the account's key, certificates and their keys are kept; empty: acme in systemd's "
        "StateDirectory, or else in prowingen where this user's state is",
    )
    redirect_http: tuple[str, ...] = option_field(
        (),
        Many(parse_address, metavar="ADDRESS", minimum=0, anchor_one=anchored_address),
        "where to listen without TLS too, as in bind, to send clients on to HTTPS by 308",
        group="TLS",
        native=False,
    )
    hsts: float = _tls(
        0.0,
        Seconds(0.0, 3650 * DAY),
        "for so long a browser is to come by HTTPS alone, as answers by HTTPS tell it "
        "(Strict-Transport-Security), unless the application does; 0: they do not",
    )
    ca_certs: str = _tls("", _PATH, "certificates (PEM) that a client's certificate must lead to")
    crl: tuple[str, ...] = _tls(
        (), _PATHS, "lists (PEM) of client certificates that are revoked, by their authorities"
    )
    ocsp_file: tuple[str, ...] = _tls(
        (), _PATHS, "OCSP response (DER) about one of the certificates, sent along with it"
    )
    cert_reqs: str = _tls(
        "none",
        Choice(("none", "optional", "required")),
        "whether clients are asked for a certificate, and whether they have to have one",
    )
    tls_profile: str = _tls(
        "intermediate",
        Choice(("modern", "intermediate", "old")),
        "what is spoken, after Mozilla's guideline: modern: TLS 1.3 alone; intermediate: 1.2 too; "
        "old: what clients of the last decade have",
    )
    tls_min_version: str = _tls(
        "auto",
        Choice(("auto", "1.2", "1.3")),
        "oldest version that is spoken; auto: as tls_profile says",
    )
    ciphers: str = _tls(
        "", Text(), "cipher suites of TLS 1.2, in OpenSSL's notation; empty: as tls_profile says"
    )

    max_request_line: int = _limit(8192, Size(64, MIB), "longest request line; beyond it 414")
    max_header_bytes: int = _limit(
        64 * KIB, Size(256, 16 * MIB), "longest header section; beyond it 431"
    )
    max_header_fields: int = _limit(100, Count(1, 65536), "most header fields; beyond it 431")
    max_field_line: int = _limit(
        0,
        Size(0, 16 * MIB),
        "longest field line; beyond it 431; 0: as long as the header section may be",
    )
    max_body: int = _limit(
        0,
        Size(0, 2**50, cpp_type="std::uint64_t"),
        "longest request body; beyond it 413; 0: no limit",
    )
    max_chunk_extension: int = _limit(
        256, Size(0, 64 * KIB), "longest extension of one chunk; beyond it 400"
    )
    max_trailer_bytes: int = _limit(
        8192, Size(0, 16 * MIB), "longest trailer section; beyond it 431"
    )
    allow_connect: bool = _limit(
        False,
        Switch(),
        "hand CONNECT requests to the application, which may answer with a tunnel; else 501",
    )
    pipeline_depth: int = _limit(
        16, Count(1, 1024), "pipelined requests that one connection may have under way"
    )

    max_streams: int = _limit(
        128,
        Count(1, 10_000),
        "streams of HTTP/2 or 3 that one connection may have side by side",
    )
    stream_window: int = _limit(
        256 * KIB,
        Size(16 * KIB, 64 * MIB),
        "bytes of a body that a stream of HTTP/2 may have on its way, not taken yet; over a long "
        "way it bounds how fast a client can send: one window in each round trip",
    )

    body_buffer: int = option_field(
        MIB,
        Size(0, 2**30),
        "a request body up to this size arrives whole before a worker is taken; a longer one is "
        "streamed",
        group="Buffers",
    )
    chunked_body: str = option_field(
        "spool",
        Choice(("spool", "stream")),
        "a request body without a Content-Length: spool: it arrives whole before a worker is "
        "taken, and the application is told its length; stream: the application reads while it "
        "arrives, and may answer meanwhile",
        group="Buffers",
    )
    spool_dir: str = option_field(
        "",
        _PATH,
        "where large request bodies are kept until a worker is taken, in files "
        "without a name; empty: the system's temporary directory",
        group="Buffers",
    )
    max_spool: int = option_field(
        0,
        Size(0, 2**50, cpp_type="std::uint64_t"),
        "most that these files may take together, for each process; beyond it a body without a "
        "length is answered 507; 0: as much as they leave free on the disk",
        group="Buffers",
    )
    write_high_water: int = option_field(
        MIB,
        Size(1, 2**30),
        "answer bytes handed to the engine before a worker waits for the client",
        group="Buffers",
    )
    drain_limit: int = option_field(
        256 * KIB,
        Size(0, 2**30),
        "unread request body that is read and thrown away; beyond it the connection is closed",
        group="Buffers",
    )

    memory_budget: int = option_field(
        0,
        Size(0, 2**50, cpp_type="std::uint64_t"),
        "memory of one process for unfinished requests and unread answers; beyond it the greediest "
        "and slowest clients are cut; 0: an eighth of what the machine or container has, shared by "
        "the workers",
        group="Buffers",
    )

    header_timeout: float = _timeout(15.0, 0.001, "time for a whole request head to arrive")
    keep_alive_timeout: float = _timeout(
        75.0, 0.0, "time for the next request on an idle connection; 0: none is waited for"
    )
    body_timeout: float = _timeout(30.0, 0.001, "time without a byte of a request body that is due")
    write_timeout: float = _timeout(
        30.0, 0.001, "time without the client taking a byte of an answer"
    )
    queue_timeout: float = _timeout(
        0.0,
        0.0,
        "time that a request may wait for a worker, after which it is answered 503; 0: as long as "
        "it takes",
    )
    request_timeout: float = _timeout(
        0.0,
        0.0,
        "time that the application may take for a request, after which its client is answered 504, "
        "or its answer broken off, and another thread takes its thread's place; 0: as long as it "
        "takes",
    )
    request_timeout_of: tuple[str, ...] = option_field(
        (),
        Many(parse_time_limit, metavar="PREFIX=SECONDS", minimum=0, may_hold_commas=True),
        "request_timeout of requests beneath a path, such as /reports=5m; the longest such prefix "
        "counts; may be given several times",
        group="Timeouts",
        native=False,
    )
    request_timeout_raise: float = _timeout(
        0.0,
        0.0,
        "so long before request_timeout RequestTimeout is raised in the application's thread; 0: "
        "never",
    )
    max_stuck: int = option_field(
        32,
        Count(0, 10_000),
        "threads that may be in requests which took longer than request_timeout; when there are "
        "more, a worker process is replaced",
        group="Timeouts",
    )
    min_rate: int = option_field(
        240,
        Size(0, 2**30),
        "bytes a second that a client has to send of a request, and to take of an answer, while it "
        "is waited for; 0: any",
        group="Timeouts",
    )
    min_rate_window: float = _timeout(10.0, 0.05, "time over which min_rate is measured")
    graceful_timeout: float = _timeout(
        30.0, 0.0, "time for what runs to finish when the server stops", native=False
    )

    rate_limit: tuple[str, ...] = _load(
        (),
        Many(parse_rate_limit, metavar="[PREFIX=]RATE", minimum=0),
        "requests that each client may send, such as 100/s, 600/m or 100/s burst 200, or beneath a "
        "path prefix /login=5/m; the longest prefix counts; those beyond are answered 429; may be "
        "given several times",
    )
    max_concurrency: tuple[str, ...] = _load(
        (),
        Many(parse_max_concurrency, metavar="PREFIX=N", minimum=0),
        "path prefix, and how many worker threads of a process may be in requests beneath it at a "
        "time; further ones wait, and hold up no others; may be given several times",
    )
    queue_target: float = _load(
        0.0,
        Seconds(0.0, DAY),
        "while requests have been waiting without a break for longer than twenty of it, those that "
        "wait for longer than this are answered 503; 0: never",
    )

    health_path: str = option_field(
        "",
        UrlPath(),
        "path beneath which probes are answered natively: PATH/live and PATH/ready; empty: they "
        "are the application's",
        group="Health",
    )
    health_stall: float = option_field(
        10.0,
        Seconds(0.1, DAY),
        "time without a request taken or ended, while all worker threads are busy, after which "
        "the server is not ready",
        group="Health",
    )
    admin_bind: tuple[str, ...] = option_field(
        (),
        Many(
            parse_address,
            metavar="ADDRESS",
            minimum=0,
            anchor_one=anchored_address,
            may_hold_commas=True,
        ),
        "where to answer administrators natively, as in bind, by HTTP without TLS: a page at /-/, "
        "/-/live, /-/ready, /-/metrics, /-/stacks and /-/control; not for strangers",
        group="Health",
        native=False,
    )
    drain_delay: float = option_field(
        0.0,
        Seconds(0.0, DAY),
        "time that it goes on serving after SIGTERM, while probes are told that it is not ready",
        group="Health",
        native=False,
    )

    statsd: str = _statsd(
        "",
        StatsdAddress(),
        "where to push figures to by UDP, or by datagrams of a Unix socket: host:port, [v6]:port, "
        "host, or unix:/path; empty: nowhere",
    )
    statsd_prefix: str = _statsd("prowingen.", NamePrefix(), "what the names of figures begin with")
    statsd_tags: tuple[str, ...] = _statsd(
        (),
        Many(parse_tag, metavar="TAG", minimum=0),
        "tags of all figures, in DogStatsD's form, such as env:prod,service:shop; may be given "
        "several times",
    )
    statsd_format: str = _statsd(
        "auto",
        Choice(("auto", "statsd", "dogstatsd")),
        "dogstatsd has labels as tags, statsd as parts of names; auto is dogstatsd if there are "
        "statsd_tags",
    )
    statsd_interval: float = _statsd(
        10.0, Seconds(0.1, DAY), "time from one push to the next; as that of the daemon's own"
    )

    server_header: str = option_field(
        "prowingen", Text(), "value of the Server field; empty: no such field", group="Answers"
    )
    date_header: bool = option_field(True, Switch(), "send a Date field", group="Answers")

    access_log: str = option_field(
        "",
        FilePath(words=("-",)),
        "where a line for each request goes: a path, or - for standard output; empty: nowhere",
        group="Logs",
    )
    access_log_format: str = option_field(
        "combined",
        Text(metavar="FORMAT"),
        "common, combined, json, or a format with the usual % fields",
        group="Logs",
    )
    log_level: str = option_field(
        "info",
        Choice(("debug", "info", "warning", "error", "critical")),
        "least severe messages that the command shows; a program that embeds a server sets up "
        "logging itself",
        group="Logs",
        native=False,
    )

    def __post_init__(self) -> None:
        for option in OPTIONS.values():
            checked = option.accept(getattr(self, option.name), option.name)
            object.__setattr__(self, option.name, checked)

    @classmethod
    def from_values(cls, values: Mapping[str, object]) -> Config:
        """Makes a Config of options by name. Raises TypeError for a name that is no option."""
        for name in values:
            if name not in OPTIONS:
                raise TypeError(f'no option is called "{name}"{nearest(name, OPTIONS)}')
        accepted: dict[str, Any] = dict(values)
        return cls(**accepted)

    @classmethod
    def embedded(cls, values: Mapping[str, object]) -> Config:
        """The same for a server in a program of its own: raises ConfigError for an option of the
        command's, which would do nothing here."""
        config = cls.from_values(values)
        config.check_embedded()
        return config.anchored()

    def anchored(self, folder: Path = Path()) -> Config:
        """The same with absolute paths, so that none is another when the application goes to
        another directory: files are opened anew after a rotation, and read anew by each worker.

        folder: where relative ones begin; the current directory without it.
        Raises ConfigError if there is a relative path and no current directory any more.
        """
        absolute: dict[str, Any] = {
            name: option.anchored(getattr(self, name), folder) for name, option in OPTIONS.items()
        }
        return replace(self, **absolute)

    def check_embedded(self) -> None:
        """Raises ConfigError for an option of the command's that is set."""
        for name, option in OPTIONS.items():
            if option.group == PROCESSES and getattr(self, name) != option.default:
                raise ConfigError(f"{name}: it is an option of the command prowingen alone")

    @property
    def places(self) -> tuple[str, ...]:
        """What is listened on for each address of `bind`, in the same order."""
        return self.bind if self.ipv6_only else with_ipv4(self.bind)

    @property
    def redirect_places(self) -> tuple[str, ...]:
        """The same for each address of `redirect_http`."""
        return self.redirect_http if self.ipv6_only else with_ipv4(self.redirect_http)

    @property
    def admin_places(self) -> tuple[str, ...]:
        """The same for each address of `admin_bind`."""
        return self.admin_bind if self.ipv6_only else with_ipv4(self.admin_bind)

    def native_options(self) -> dict[str, object]:
        """What the native side is given: every option of its own, by name."""
        return {name: getattr(self, name) for name, option in OPTIONS.items() if option.native}


OPTIONS: Mapping[str, Option] = {
    entry.name: replace(entry.metadata["option"], name=entry.name, default=entry.default)
    for entry in fields(Config)
}


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: `; did you mean "threads"?`, or nothing."""
    import difflib  # few are misspelt

    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f'; did you mean "{found[0]}"?' if found else ""
