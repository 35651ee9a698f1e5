"""What granian's command line and variables become, and what is said of the rest."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from importing import checked, loaded, run

from prowingen_wsgi.configuration.config import OPTIONS, Config
from prowingen_wsgi.importers.command import MalformedError
from prowingen_wsgi.importers.granian.command_line import variables_of_file
from prowingen_wsgi.importers.granian.equivalents import BECOMES, DONE, LACKING
from prowingen_wsgi.importers.granian.importer import convert
from prowingen_wsgi.importers.granian.settings import FLAGS, SETTINGS, Takes
from prowingen_wsgi.importers.granian.static_files import NAMES as STATIC

if TYPE_CHECKING:
    from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

START = ("granian", "--interface", "wsgi", "shop:app")


def convert_alone(
    *words: str, environ: dict[str, str] | None = None
) -> tuple[dict[str, Any], list[str]]:
    """The written values without the application and granian's defaults, and the remarks but for
    the one about threads."""
    text, remarks = convert([*START, *words], environ or {})
    values = tomllib.loads(text)
    assert values.pop("app") == "shop:app"
    if values["workers"] == 1:
        del values["workers"]
    return values, [each for each in remarks if not each.startswith("--blocking-threads: not ")]


def test_a_command_becomes_a_file(tmp_path: Path) -> None:
    text, remarks = convert(
        [
            *("/srv/venv/bin/granian", "--interface", "wsgi", "--host", "0.0.0.0", "--port=8080"),
            *("--workers", "4", "--blocking-threads", "16", "--runtime-threads", "2"),
            *("--backlog", "512", "--backpressure", "256", "--http", "1", "--no-ws"),
            *("--http1-header-read-timeout", "5000", "--no-http1-keep-alive"),
            *("--ssl-certificate", "a.pem", "--ssl-keyfile", "a.key", "--ssl-ca", "ca.pem"),
            *("--ssl-crl", "one.pem", "--ssl-crl", "two.pem", "--ssl-client-verify"),
            *("--access-log", "--log-level", "warn", "--workers-max-rss", "300"),
            *("--workers-kill-timeout", "1m30s", "--working-dir", "/srv", "--pid-file", "/run/p"),
            *("--respawn-failed-workers", "--factory", "shop.wsgi:make"),
        ],
        {},
    )
    app, config = loaded(tmp_path, text)
    assert app == "shop.wsgi:make"
    assert "factory = true\n" in text
    assert config == Config(
        bind=("0.0.0.0:8080",),
        workers=4,
        threads=16,
        io_threads=2,
        backlog=512,
        max_connections=256,
        http="1.1",
        header_timeout=5,
        keep_alive_timeout=0,
        certfile=("a.pem",),
        keyfile=("a.key",),
        ca_certs="ca.pem",
        crl=("one.pem", "two.pem"),
        cert_reqs="required",
        tls_min_version="1.3",
        access_log="-",
        log_level="warning",
        max_rss=300 * 2**20,
        graceful_timeout=90,
        chdir="/srv",
        pidfile="/run/p",
    )
    assert remarks == ["--respawn-failed-workers: nothing to set: it is so anyhow"]


def test_defaults_that_differ_are_granians() -> None:
    text, remarks = convert(START, {})
    assert text == 'app = "shop:app"\nworkers = 1  # granian\'s default\n'
    assert remarks == [
        "--blocking-threads: not given: granian starts threads as they are needed, up to 512; here "
        "8 are there: set threads to more if requests wait much"
    ]


@pytest.mark.parametrize(
    ("words", "written"),
    [
        (["--host", "::1"], {"bind": ["[::1]:8000"]}),
        (["--uds", "/run/a.sock"], {"bind": ["unix:/run/a.sock"]}),
        (
            ["--uds", "a.sock", "--uds-permissions", "0660"],
            {"bind": ["unix:a.sock"], "umask": "007"},
        ),
        (["--uds", "a", "--uds-permissions", "432"], {"bind": ["unix:a"], "umask": "007"}),
        (["--port", "1", "--port", "2"], {"bind": ["127.0.0.1:2"]}),
        (["--workers", "2", "--no-factory"], {"workers": 2}),
        (["--threads", "3"], {"io_threads": 3}),
        (["--http", "2"], {"http": "2"}),
        (["--http1-buffer-size", "8192"], {}),
        (
            ["--http1-buffer-size", "200000"],
            {"max_header_bytes": 200_000, "max_request_line": 200_000},
        ),
        (["--http1-keep-alive"], {}),
        (["--http2-max-concurrent-streams", "50"], {"max_streams": 50}),
        (["--no-log"], {"log_level": "critical"}),
        (["--log-level", "notset"], {"log_level": "debug"}),
        (["--no-access-log"], {}),
        (
            ["--access-log-fmt", '[%(time)s] %(addr)s "%(method)s %(path)s" %(dt_ms).3f'],
            {"access_log_format": '[%{%Y-%m-%d %H:%M:%S %z}t] %(h)s "%(m)s %(U)s" %(M)s'},
        ),
        (["--access-log-fmt", "%(header{X-Id})s %%"], {"access_log_format": "%({X-Id}i)s %%"}),
        (["--ssl-certificate", "a", "--ssl-protocol-min", "tls1.2"], None),
        (["--env-files", ".env"], {"env_file": ".env"}),
        (
            ["--static-path-mount", "public"],
            {"static": ["/static=public"], "static_max_age": 86400.0},
        ),
        (
            ["--static-path-mount=/a", "--static-path-route=/b", "--static-path-expires", "2h"],
            {"static": ["/b=/a"], "static_max_age": 7200.0},
        ),
        (
            [
                *("--static-path-mount", "/srv/a", "--static-path-mount", "/srv/b=c"),
                *("--static-path-route", "/a", "--static-path-route", "/x=y"),
                *("--static-path-expires", "60"),
            ],
            {"static": ["/a=/srv/a", "/x%3Dy=/srv/b=c"]},
        ),
        (["--reload", "--reload-paths", "a"], {"reload": True, "reload_paths": ["a"]}),
    ],
)
def test_values_mean_what_they_mean_to_granian(words: list[str], written: Any) -> None:
    values, _ = convert_alone(*words)
    if written is None:
        written = {"certfile": ["a"], "tls_min_version": "1.2"}
    if words[:1] == ["--reload"]:
        assert "preload" not in values
    assert values == written


@pytest.mark.parametrize(
    ("words", "remark"),
    [
        (["--workers", "two"], '--workers: not taken over: "two": must be a whole number'),
        (["--workers", "0"], '--workers: not taken over: "0": must be 1 or more'),
        (["--port", "$PORT"], '--port: not taken over: "$PORT": must be a whole number'),
        (["--host", "a b"], "--host: not taken over: bind: "),
        (["--uds", "/a", "--port", "1"], "--port: not taken over: /a is served on"),
        (["--uds-permissions", "660"], "--uds-permissions: not taken over: it needs --uds"),
        (["--ssl-ca", "a"], "--ssl-ca: not taken over: it needs certfile"),
        (["--ssl-client-verify"], "--ssl-client-verify: not taken over: it needs certfile"),
        (["--access-log-fmt", "%(nope)s"], '--access-log-fmt: not taken over: "%(nope)s" is no'),
        (["--access-log-fmt", "%x"], '--access-log-fmt: not taken over: "%x" is no field'),
        (["--workers-kill-timeout", "1x"], '--workers-kill-timeout: not taken over: "1x": must'),
        (["--url-path-prefix", "/a"], "--url-path-prefix: applications are not mounted at paths"),
        (["--static-path-route", "/a"], "--static-path-route: not taken over: it needs --static-"),
        (["--static-path-dir-to-file", "a"], "--static-path-dir-to-file: not taken over: it needs"),
        (
            ["--static-path-expires", "9"],
            "--static-path-expires: not taken over: it needs --static",
        ),
        (
            ["--static-path-mount", "/a", "--static-path-mount", "/b"],
            "--static-path-mount: not taken over: folders: 2, routes: 0: granian does not start so",
        ),
        (
            ["--static-path-mount", "/a", "--static-path-route=/b", "--static-path-route=/c"],
            "--static-path-mount: not taken over: folders: 1, routes: 2: granian does not start so",
        ),
        (
            ["--static-path-mount", "/a", "--static-path-route", "b"],
            '--static-path-mount: not taken over: static: "b=/a": must begin with "/"',
        ),
        (
            ["--static-path-mount", "/a", "--static-path-expires", "0"],
            "--static-path-expires: granian says nothing of caching then",
        ),
        (
            ["--static-path-mount", "/a", "--static-path-expires", "x"],
            '--static-path-expires: not taken over: "x": must be a whole number',
        ),
        (
            ["--static-path-mount", "/a", "--static-path-dir-to-file", "index.html"],
            "--static-path-dir-to-file: nothing to set: it is so anyhow",
        ),
        (
            ["--static-path-mount", "/a", "--static-path-dir-to-file", "main.html"],
            "--static-path-dir-to-file: main.html: the page of a folder is its index.html",
        ),
        (["--metrics"], "--metrics: set admin_bind"),
        (["--workers-lifetime", "1h"], "--workers-lifetime: workers are not replaced by age"),
        (["--runtime-mode", "mt"], "--runtime-mode: there is no event loop"),
        (["--process-name", "a"], "--process-name: processes are not renamed"),
        (["--env-files", "a", "--env-files", "b"], "--env-files: not taken over: a, b: one file"),
        (["--env-files", "a"], "--env-files: it needs python-dotenv"),
        (["--reload"], "--reload: it needs watchfiles"),
        (["--reload-paths", "a"], "--reload-paths: not taken over: it needs reload"),
        (
            ["--ssl-certificate", "a", "--ssl-keyfile-password", "p"],
            "--ssl-keyfile-password: it is",
        ),
        (["--no-respawn-failed-workers"], "--no-respawn-failed-workers: a worker that ends is"),
        (["--host", "::"], "--host: [::]:8000: serves IPv4 too, as under granian"),
        (["--threads", "2", "--runtime-threads", "3"], "--threads: not taken over: --runtime-"),
    ],
)
def test_what_has_no_equivalent_is_listed_with_a_way_out(words: list[str], remark: str) -> None:
    _, remarks = convert_alone(*words)
    assert len(remarks) == 1
    assert remarks[0].startswith(remark)


def test_variables_count_where_the_command_line_is_silent() -> None:
    environ = {
        "GRANIAN_WORKERS": "2",
        "GRANIAN_PORT": "80",
        "GRANIAN_LOG_ACCESS_ENABLED": "true",
        "GRANIAN_SSL_CRL": "a.pem:b.pem",
        "GRANIAN_RELOAD_IGNORE_DIRS": "a b",
        "GRANIAN_WEBSOCKETS": "0",
        "GRANIAN_STATIC_PATH_MOUNT": "/srv/a:/srv/b",
        "GRANIAN_STATIC_PATH_ROUTE": "/a /b",
        "GRANIAN_STATIC_PATH_EXPIRES": "60",
        "GRANIAN_WORKER": "9",
        "GRANIAN_FACTORY": "",
        "WORKERS": "7",
    }
    values, remarks = convert_alone("--port", "81", environ=environ)
    assert values == {
        "workers": 2,
        "bind": ["127.0.0.1:81"],
        "access_log": "-",
        "static": ["/a=/srv/a", "/b=/srv/b"],
    }
    assert [each.partition(":")[0] for each in remarks] == [
        "GRANIAN_RELOAD_IGNORE_DIRS",
        "GRANIAN_SSL_CRL",
        "GRANIAN_WORKER",
    ]
    assert 'did you mean "GRANIAN_WORKERS"?' in remarks[-1]


@pytest.mark.parametrize(
    "line",
    [
        "web: granian --interface wsgi shop:app --port $PORT",
        "web: GRANIAN_PORT=81 exec poetry run granian --interface wsgi shop:app",
        'CMD ["granian", "--interface", "wsgi", "shop:app", "--port", "81"]',
        'ENTRYPOINT ["sh", "-c", "granian --interface wsgi shop:app --port ${PORT}"]',
        "CMD exec granian --interface wsgi --port ${NOPE:-81} shop:app",
        "ExecStart=-/srv/venv/bin/granian --interface wsgi shop:app --port 81",
        "cd /srv && python -m granian --interface wsgi shop:app --port 81 2>&1 | tee log &",
        "granian --interface wsgi \\\n  --port 81 \\\n  shop:app",
        "--interface wsgi --port 81 shop",
        "granian --interface wsgi --port 81 shop.py",
    ],
)
def test_a_line_can_be_pasted(line: str) -> None:
    text, _ = convert([line], {"PORT": "81"})
    values = tomllib.loads(text)
    assert (values["app"], values["bind"]) == ("shop:app", ["127.0.0.1:81"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["granian", "shop:app"], "--interface: not given, which is rsgi to granian: WSGI"),
        (["granian", "--interface", "asgi", "a:b"], '--interface: "asgi": WSGI applications alone'),
        (["granian", "--interface", "wsgi"], "which application? Name it"),
        ([*START, "--worker", "2"], '"--worker": granian has no such option; did you mean "--work'),
        ([*START, "--workers"], '"--workers": a value must follow'),
        ([*START, "--reload=1"], '"--reload=1": --reload takes no value'),
        ([*START, "other:app"], '"other:app": the application is "shop:app" already'),
        (["granian", "--interface", "wsgi", "my-shop:app"], '"my-shop" is no module name'),
        ([*START, "--factory", "--", "x"], '"x": the application is'),
        (["web: granian --interface wsgi --port $NOPE a:b"], "$NOPE: the variable is not set"),
        (['granian "a'], 'granian "a: this is no command: No closing quotation'),
        (['CMD ["granian", '], '["granian",: this is no list of words'),
        (['CMD ["granian", 3]'], '["granian", 3]: must be a list of texts'),
    ],
)
def test_a_command_that_makes_no_sense_is_refused(words: list[str], message: str) -> None:
    with pytest.raises(MalformedError) as caught:
        convert(words, {})
    assert str(caught.value).startswith(message)


def test_each_setting_has_one_place() -> None:
    special = {"host", "port", "uds", "interface", "factory", *STATIC}
    tables = [set(BECOMES), set(LACKING), set(DONE), special]
    assert sum(map(len, tables)) == len(set().union(*tables))
    assert set().union(*tables) == SETTINGS.keys()
    assert {becomes.option for becomes in BECOMES.values()} <= OPTIONS.keys()


def test_settings_are_granians() -> None:
    cli = pytest.importorskip("granian.cli").cli
    old = {"threads", "threading_mode", "loop_opt"}
    theirs = {each.name: each for each in cli.params if each.opts[0].startswith("--")}
    theirs.pop("version", None)
    assert theirs.keys() == SETTINGS.keys() - old
    for name, option in theirs.items():
        setting = SETTINGS[name]
        assert set(setting.flags) == {*option.opts, *option.secondary_opts}
        assert (setting.takes is Takes.SWITCH) == option.is_flag
        assert (setting.takes in (Takes.TEXTS, Takes.PATHS)) == option.multiple


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=10)
VALUES = st.one_of(TEXTS, st.integers(0, 2**40).map(str), st.sampled_from(["1h", "on", "tls1.2"]))


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.sampled_from(sorted(FLAGS)), VALUES), max_size=10))
def test_what_is_written_is_read(tmp_path_factory: Any, pairs: list[tuple[str, str]]) -> None:
    words = [
        flag if FLAGS[flag].takes is Takes.SWITCH else f"{flag}={value}"
        for flag, value in pairs
        if flag not in ("--interface", "--env-files")
    ]
    text, remarks = convert([*START, *words], {})
    loaded(tmp_path_factory.mktemp("written"), text)
    assert all("\n" not in remark for remark in remarks)


def test_a_file_of_variables_is_read(tmp_path: Path) -> None:
    path = tmp_path / "granian.env"
    path.write_text("# c\n\nexport GRANIAN_WORKERS=2\nGRANIAN_HOST=\"::1\"\nA='b c'\nB=\n")
    assert variables_of_file(path) == {
        "GRANIAN_WORKERS": "2",
        "GRANIAN_HOST": "::1",
        "A": "b c",
        "B": "",
    }


def test_the_command_writes_a_file_that_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text("def make(): return lambda environ, start_response: []\n")
    (tmp_path / "granian.env").write_text("GRANIAN_WORKERS=2\nGRANIAN_PORT=1\nHOST=::1\n")
    result = run(
        tmp_path,
        *("import-granian", "-o", "prowingen.toml", "--env-file", "granian.env", "--"),
        *("granian", "--interface", "wsgi", "--factory", "shop:make", "--blocking-threads", "3"),
        GRANIAN_PORT="0",
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    values = checked(tmp_path)
    assert (values["workers"], values["threads"]) == ("2", "3")
    assert values["bind"] == "127.0.0.1:0"
    assert values["app"] == "shop:make (function)"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "error: which command? Name it after --"),
        (["--", "granian", "a:b"], 2, "prowingen import-granian: --interface: not given"),
        (["--env-file", "none", "x"], 1, "prowingen import-granian: none: there is no such file"),
        (["--env-file", "bad", "x"], 2, "prowingen import-granian: bad:2: must be NAME=value"),
    ],
)
def test_what_cannot_be_understood_is_said(
    tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    (tmp_path / "bad").write_text("A=b\nno variable\n")
    result = run(tmp_path, "import-granian", *arguments)
    assert (result.returncode, result.stdout) == (code, "")
    assert message in result.stderr
