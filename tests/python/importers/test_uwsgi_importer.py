"""What uWSGI's options become, and what is said of those that become nothing."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from importing import checked, loaded, run

from prowingen_wsgi.configuration.config import OPTIONS, Config
from prowingen_wsgi.importers.uwsgi import addresses, application
from prowingen_wsgi.importers.uwsgi.equivalents import ALIASES, BECOMES, DONE
from prowingen_wsgi.importers.uwsgi.families import FAMILIES
from prowingen_wsgi.importers.uwsgi.files import Entry
from prowingen_wsgi.importers.uwsgi.importer import convert, is_known
from prowingen_wsgi.importers.uwsgi.lacking import LACKING

if TYPE_CHECKING:
    from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def entries(text: str) -> list[Entry]:
    """Lines `key = value`, as an ini file's."""
    lines = [line.partition("=") for line in text.strip().splitlines()]
    return [
        Entry(key.strip(), value.strip(), f"app.ini:{number}")
        for number, (key, _, value) in enumerate(lines, 2)
    ]


def convert_alone(text: str) -> tuple[dict[str, Any], list[str]]:
    """The written values without uWSGI's defaults, and the remarks."""
    written, remarks = convert(entries(text))
    values = tomllib.loads(written)
    for name, value in {"workers": 1, "threads": 1, "preload": True, "access_log": "-"}.items():
        if values.get(name) == value:
            del values[name]
    return values, remarks


def test_a_site_behind_nginx_becomes_one_behind_a_proxy(tmp_path: Path) -> None:
    text, remarks = convert(
        entries("""
            module = shop.wsgi:application
            chdir = /srv/shop
            socket = /run/shop/shop.sock
            chmod-socket = 660
            chown-socket = shop:www-data
            uid = shop
            gid = www-data
            master = true
            processes = 5
            threads = 4
            enable-threads
            harakiri = 60
            max-requests = 1000
            max-requests-delta = 10
            reload-on-rss = 200
            worker-reload-mercy = 15
            buffer-size = 131072
            limit-post = 10485760
            listen = 1024
            vacuum = true
            die-on-term = true
            pidfile = /run/shop/shop.pid
            req-logger = file:/var/log/shop/access.log
            log-format = %(addr) - %(user) [%(ltime)] "%(method) %(uri) %(proto)" %(status) %(rsize)
        """)
    )
    app, config = loaded(tmp_path, text)
    assert app == "shop.wsgi:application"
    assert config == Config(
        bind=("unix:/run/shop/shop.sock",),
        forwarded_allow_ips=("unix",),
        chdir="/srv/shop",
        umask=0o007,
        user="shop",
        group="www-data",
        workers=5,
        threads=4,
        preload=True,
        request_timeout=60,
        max_requests=1000,
        max_requests_jitter=40,
        max_rss=200 * 2**20,
        graceful_timeout=15,
        max_header_bytes=131072,
        max_request_line=131072,
        max_body=10485760,
        backlog=1024,
        pidfile="/run/shop/shop.pid",
        access_log="/var/log/shop/access.log",
        access_log_format='%(h)s - %(u)s %(t)s "%(m)s %{target}x %(H)s" %(s)s %(B)s',
    )
    told = [(remark.split(": ")[1], remark) for remark in remarks]
    assert [name for name, _ in told[:-1]] == ["socket", "harakiri", "chmod-socket"]
    assert "app.ini:4: socket: " in remarks[0]
    assert "replace uwsgi_pass by proxy_pass" in remarks[0]
    assert remarks[-1] == (
        "chown-socket, master, enable-threads, vacuum, die-on-term: nothing to set: it is so anyhow"
    )


def test_defaults_that_differ_are_uwsgis(tmp_path: Path) -> None:
    text, remarks = convert(entries("http = 127.0.0.1:8000"))
    assert "threads = 1  # uWSGI's default" in text
    _, config = loaded(tmp_path, text)
    assert (config.workers, config.threads, config.preload) == (1, 1, True)
    assert config.access_log == "-"
    assert remarks == []


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("module = shop:app", {"app": "shop:app"}),
        ("wsgi = shop", {"app": "shop"}),
        ("module = shop\ncallable = site", {"app": "shop:site"}),
        ("module = shop:create_app()", {"app": "shop:create_app()"}),
        ("wsgi-file = shop/wsgi.py", {"app": "shop.wsgi"}),
        ("file = run.py\ncallable = app", {"app": "run:app"}),
        ("chdir = /srv\nwsgi-file = /srv/a/wsgi.py", {"app": "a.wsgi", "chdir": "/srv"}),
        ("wsgi-file = /srv/a/wsgi.py", {"app": "wsgi", "pythonpath": ["/srv/a"]}),
        (
            "pp = lib\nwsgi-file = my-site/wsgi.py",
            {"app": "wsgi", "pythonpath": ["lib", "my-site"]},
        ),
        ("mount = /=shop:app\nmanage-script-name = true", {"app": "shop:app"}),
        ("mount = /=shop.py\ncallable = app", {"app": "shop:app"}),
        ("mount = /b=b:app\nmount = /=shop:app", {"app": "shop:app"}),
        ("http = :8000\nprotocol = http", {"bind": [":8000"]}),
        ("socket = 127.0.0.1:3031\nprotocol = http", {"bind": ["127.0.0.1:3031"]}),
        ("http-socket = app.sock", {"bind": ["unix:app.sock"]}),
        ("http = unix:/run/a.sock", {"bind": ["unix:/run/a.sock"]}),
        ("http = *:80", {"bind": [":80"]}),
        ("http = fd://3", {"bind": ["fd://3"]}),
        ("processes = 4\nworkers = 2", {"workers": 2}),
        ("threads = 2 ; two", {"threads": 2}),
        ("processes = \0k", {"workers": "auto"}),
        ("reload-on-rss = 1.5", {"max_rss": 1572864}),
        ("lazy-apps = true", {"preload": None}),
        ("lazy-apps = false", {}),
        ("py-autoreload = 3", {"preload": None, "reload": True}),
        ("py-autoreload = 0", {}),
        ("http-keepalive", {}),
        ("http-keepalive = 1", {}),
        ("http-keepalive = 30", {"keep_alive_timeout": 30.0}),
        ("http-timeout = 90", {"body_timeout": 90.0, "write_timeout": 90.0}),
        ("http-headers-timeout = 7", {"header_timeout": 7.0}),
        ("buffer-size = 8192", {}),
        ("umask = 027", {"umask": "027"}),
        ("socket = /a\nchmod-socket = 664", {"umask": "002"}),
        ("socket = /a\nchmod-socket", {"umask": "000"}),
        ("socket = /a\nchmod-socket = 600", {"umask": "077"}),
        ("socket = 127.0.0.1:1\nchmod-socket = 664", {}),
        ("disable-logging = true", {"access_log": None}),
        ("disable-logging = true\nlogto = /a.log", {"access_log": None}),
        ("logger = main file:/a.log", {"access_log": "/a.log"}),
        ("logger = stdio", {}),
        ("enable-proxy-protocol = true", {"proxy_protocol": True}),
        (
            "https = :443,a.pem,a.key,HIGH,!ca.pem",
            {
                "bind": [":443"],
                "certfile": ["a.pem"],
                "keyfile": ["a.key"],
                "ciphers": "HIGH",
                "ca_certs": "ca.pem",
                "cert_reqs": "required",
            },
        ),
        (
            "https = :443,a.pem,a.key\nsni = b.org b.pem,b.key\nhttp-to-https = :80",
            {
                "bind": [":443"],
                "certfile": ["a.pem", "b.pem"],
                "keyfile": ["a.key", "b.key"],
                "redirect_http": [":80"],
            },
        ),
    ],
)
def test_values_mean_what_they_mean_to_uwsgi(text: str, written: dict[str, Any]) -> None:
    full, _ = convert(entries(text))
    all_values = tomllib.loads(full)
    for option in [name for name, value in written.items() if value is None]:
        assert option not in all_values
    values, _ = convert_alone(text)
    for option in ("bind", "forwarded_allow_ips", "forwarded_fields"):
        if option not in written:
            values.pop(option, None)
    assert values == {name: value for name, value in written.items() if value is not None}


@pytest.mark.parametrize(
    ("text", "remark"),
    [
        ("harakiri = soon", 'app.ini:2: harakiri: not taken over: "soon": must be a number, alone'),
        ("threads = 0", 'app.ini:2: threads: not taken over: threads: "0": must be a whole number'),
        (
            "processes = $(N)",
            "app.ini:2: processes: not taken over: $(N): nothing is known of $(N)",
        ),
        ("chdir = %(base)/x", "app.ini:2: chdir: not taken over: %(base)/x: nothing is known of"),
        ("pythonpath = lib/*", 'app.ini:2: pythonpath: not taken over: "lib/*": name each folder'),
        ("module = my-shop", 'app.ini:2: module: not taken over: "my-shop" is no module name'),
        ("wsgi-file = a.wsgi", 'app.ini:2: wsgi-file: not taken over: "a.wsgi": Python imports no'),
        ("wsgi-file = a-b.py", 'app.ini:2: wsgi-file: not taken over: "a-b.py": this is no module'),
        ("callable = app", "app.ini:2: callable: not taken over: app: of which module?"),
        (
            "mount = /a/=shop:app",
            "app.ini:2: mount: /a/=shop:app: applications are not mounted at paths: put it there "
            """by werkzeug's DispatcherMiddleware(NotFound(), {"/a": app}), as docs/from_uwsgi."""
            'md shows; or have a proxy say "X-Forwarded-Prefix: /a", and name prefix in forwarded_',
        ),
        (
            "mount = a.test=shop",
            "app.ini:2: mount: a.test=shop: applications are not chosen by the",
        ),
        ("mount = /=a:b\nmount = /=c:d", "app.ini:3: mount: /=c:d: one application is served: "),
        ("mount = /=a:b\nmount = /c=c:d", "app.ini:3: mount: /c=c:d: applications are not mounted"),
        ("manage-script-name = 1", "app.ini:2: manage-script-name: no path is split by itself: "),
        ("http = @abstract", 'app.ini:2: http: not taken over: "@abstract": abstract sockets are'),
        ("http = =0", 'app.ini:2: http: not taken over: "=0": name the address itself'),
        ("http = :99999", 'app.ini:2: http: not taken over: ":99999": port must be 0–65535'),
        ("http = :80", "app.ini:2: http: :80: uWSGI believes X-Forwarded-Proto"),
        ("https = :443", 'app.ini:2: https: not taken over: ":443": a certificate and its key'),
        ("env = KEY=secret", "app.ini:2: env: KEY: write NAME=value lines to a file"),
        ("virtualenv = /v", "app.ini:2: virtualenv: /v: install prowingen-wsgi into that"),
        ("static-safe = /b", "app.ini:2: static-safe: set static, as /PREFIX=DIR"),
        ("static-map = a=/b", 'app.ini:2: static-map: not taken over: must begin with "/"'),
        ("cheaper = 2", "app.ini:2: cheaper: so many workers as there are serve"),
        ("gevent = 100", "app.ini:2: gevent: applications run in threads"),
        ("attach-daemon = run me", "app.ini:2: attach-daemon: run me: let systemd"),
        ("cron = -1 -1 -1 -1 -1 x", "app.ini:2: cron: -1 -1 -1 -1 -1 x: let cron or a systemd"),
        ("spooler = q", "app.ini:2: spooler: background work needs a queue"),
        ("touch-reload = x", "app.ini:2: touch-reload: no file is watched in production"),
        ("max-worker-lifetime = 60", "app.ini:2: max-worker-lifetime: workers are not replaced"),
        ("stats = :1717", "app.ini:2: stats: figures are for Prometheus"),
        ("post-buffering = 1", "app.ini:2: post-buffering: a body up to body_buffer"),
        ("ssl-option = 1", "app.ini:2: ssl-option: TLS is set up by"),
        (
            "logger = syslog:x",
            'app.ini:2: logger: not taken over: "syslog:x": a log goes to a file',
        ),
        ("daemonize = /a.log", "app.ini:2: daemonize: run it under systemd"),
        ("log-format = %(wid)", 'app.ini:2: log-format: not taken over: "%(wid)" is no field'),
        (
            "max_requests = 5",
            "app.ini:2: max_requests: unknown here: an option of uWSGI that needs",
        ),
        ("route = ^/a break:403", "app.ini:2: route: requests are not routed"),
        ("chown-socket = a:b", "app.ini:2: chown-socket: a:b: the socket's file is given to user"),
        ("chmod-socket = 9\nsocket = /a", 'app.ini:2: chmod-socket: not taken over: "9": must be'),
        ("vacuum = true", "vacuum: nothing to set: it is so anyhow"),
    ],
)
def test_what_has_no_equivalent_is_listed_with_a_way_out(text: str, remark: str) -> None:
    _, remarks = convert(entries(text))
    assert any(each.startswith(remark) for each in remarks), remarks


@pytest.mark.parametrize(
    "text", ["vacuum = false", "cheaper = 0", "memory-report = off", "spooler = no", "master = 0"]
)
def test_what_is_turned_off_needs_no_word(text: str) -> None:
    assert convert_alone(text) == ({}, [])


def test_variables_that_something_refers_to_need_no_word() -> None:
    _, remarks = convert(entries("base = /srv\nunused = 1\nchdir = /srv"), {"base"})
    assert len(remarks) == 1
    assert remarks[0].startswith("app.ini:3: unused: unknown here")


def test_secrets_are_in_no_report() -> None:
    _, remarks = convert(
        entries("env = KEY=geheim\nenv = KEY=$(NOPE)geheim\nroute-run = basicauth:x,me:geheim")
    )
    assert len(remarks) == 3
    assert "geheim" not in "".join(remarks)


@pytest.mark.parametrize(
    ("text", "remark"),
    [
        ("pidfile = a\npidfile2 = b", "app.ini:3: pidfile2: not taken over: pidfile decides"),
        (
            "reload-on-rss = 1\nevil-reload-on-rss = 2",
            "app.ini:3: evil-reload-on-rss: not taken over: reload-on-rss decides",
        ),
        ("umask = 022\nchmod-socket = 660\nsocket = /a", "app.ini:3: chmod-socket: not taken over"),
        ("https = :1,a,b\nhttp = :2", "app.ini:3: http: :2: not taken over: with a certificate"),
        ("http-to-https = :80", "app.ini:2: http-to-https: not taken over: it needs https"),
        ("module = a:b\ncallable = c", "app.ini:3: callable: not taken over: module decides"),
        ("module = a\nwsgi-file = b.py", "app.ini:3: wsgi-file: not taken over: b.py: module"),
        ("max-requests-delta = 5", "app.ini:2: max-requests-delta: not taken over: it needs max_"),
        ("chdir = /a\nlogto = x.log", "app.ini:3: logto: x.log: relative paths begin at chdir"),
        ("harakiri = 9", "app.ini:2: harakiri: 9: the client is answered 504"),
    ],
)
def test_what_does_not_go_together_is_said(text: str, remark: str) -> None:
    _, remarks = convert(entries(text))
    assert any(each.startswith(remark) for each in remarks), remarks


@pytest.mark.parametrize(
    ("text", "proxies", "fields"),
    [
        ("http = 127.0.0.1:80", ("127.0.0.1", "::1"), ("proto",)),
        ("http-socket = 127.0.0.1:80", ("127.0.0.1", "::1"), ("proto",)),
        ("socket = /a.sock\nprotocol = http", ("unix",), ("proto",)),
        ("socket = /a.sock", ("unix",), ("for", "proto")),
        ("http = localhost:80\nsocket = /a.sock", ("127.0.0.1", "::1", "unix"), ("for", "proto")),
        ("http = :80", (), ("for", "proto")),
    ],
)
def test_proxies_that_only_this_machine_can_be_are_believed(
    tmp_path: Path, text: str, proxies: tuple[str, ...], fields: tuple[str, ...]
) -> None:
    _, config = loaded(tmp_path, convert(entries(text))[0])
    assert (config.forwarded_allow_ips, config.forwarded_fields) == (proxies, fields)


def test_each_option_has_one_place() -> None:
    special = {*addresses.NAMES, *application.NAMES, "protocol"}
    quiet = {"logto", "logto2", "logger", "req-logger", "daemonize", "daemonize2"}
    assert not BECOMES.keys() & DONE.keys()
    assert not LACKING.keys() & DONE.keys()
    assert LACKING.keys() & BECOMES.keys() == quiet
    assert not special & (BECOMES.keys() | LACKING.keys() | (DONE.keys() - {"protocol"}))
    assert not ALIASES.keys() & (BECOMES.keys() | LACKING.keys() | DONE.keys() | special)
    assert {becomes.option for becomes in BECOMES.values()} <= OPTIONS.keys()
    for beginning in FAMILIES:
        assert is_known(beginning)


def test_every_option_of_uwsgi_has_a_place() -> None:
    uwsgi = shutil.which("uwsgi")
    if uwsgi is None:
        pytest.skip("uWSGI is not installed")
    shown = subprocess.run([uwsgi, "--help"], capture_output=True, text=True, check=False)
    words = (line.split() for line in (shown.stdout + shown.stderr).splitlines())
    names = {word[2:] for line in words for word in line[:2] if word.startswith("--")}
    assert len(names) > 500
    assert {name for name in names if not is_known(name)} == set()


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NAMES = sorted({*BECOMES, *LACKING, *DONE, *ALIASES, *addresses.NAMES, *application.NAMES, "own"})
VALUES = st.one_of(
    TEXTS,
    st.integers(-1, 2**40).map(str),
    st.sampled_from(
        ["/a.sock", ":80", "a:b", "/x=a:b", "file:/a", "660", "x y.pem,z.key", "a,b,c"]
    ),
)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.sampled_from(NAMES), VALUES), max_size=12))
def test_what_is_written_is_read(tmp_path_factory: Any, pairs: list[tuple[str, str]]) -> None:
    text, remarks = convert(Entry(name, value, "app.ini:1") for name, value in pairs)
    loaded(tmp_path_factory.mktemp("written"), text)
    assert all("\n" not in remark for remark in remarks)


def test_the_command_writes_a_file_that_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "pages.py").write_text("def application(environ, start_response): ...\n")
    (tmp_path / "app.ini").write_text(
        "[uwsgi]\n"
        "project = shop\n"
        "chdir = %d%(project)\n"
        "module = pages\n"
        "if-env = WORKERS\nprocesses = %(_)\nendif =\n"
        "http-socket = 127.0.0.1:0\n"
        "threads = 3\n"
        "env = A=b\n"
    )
    result = run(tmp_path, "import-uwsgi", "app.ini", "-o", "prowingen.toml", WORKERS="2")
    assert (result.returncode, result.stdout) == (0, "")
    assert result.stderr == (
        "app.ini:10: env: A: write NAME=value lines to a file, and name it in env_file\n"
    )
    values = checked(tmp_path)
    assert (values["workers"], values["threads"]) == ("2", "3")
    assert values["bind"] == "127.0.0.1:0"
    assert values["chdir"] == f"{tmp_path}/shop"
    assert values["app"].startswith("pages ")
    again = run(tmp_path, "import-uwsgi", "app.ini", "-o", "prowingen.toml")
    assert again.returncode == 1
    assert "--force replaces it" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["bad.ini"], 2, 'prowingen import-uwsgi: bad.ini:2: "= 1": must be key = value\n'),
        (["none.ini"], 1, "prowingen import-uwsgi: none.ini: there is no such file\n"),
        (["bad.ini:x"], 2, 'prowingen import-uwsgi: bad.ini:2: "= 1": must be key = value\n'),
        (["latin.ini"], 2, "prowingen import-uwsgi: latin.ini: it cannot be read: 'utf-8' codec"),
        (["/"], 1, "prowingen import-uwsgi: /: it cannot be read: Is a directory\n"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_line(
    tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    (tmp_path / "bad.ini").write_text("[uwsgi]\n= 1\n")
    (tmp_path / "latin.ini").write_bytes(b"[uwsgi]\nchdir = /\xe9\n")
    result = run(tmp_path, "import-uwsgi", *arguments)
    assert (result.returncode, result.stdout) == (code, "")
    assert result.stderr.startswith(message)
    assert len(result.stderr.splitlines()) == 1
