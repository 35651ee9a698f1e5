"""Every configuration of every page, read by the program that it is for."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import yaml
from blocks.pages import NOT_RUN, ROOT, Block, blocks
from blocks.shell import SYSTEM, variables
from harness.certificates import authority
from harness.proxies import program

from prowingen_wsgi.configuration.file import read_config_file

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def of(*languages: str) -> pytest.MarkDecorator:
    found = [block for block in blocks(*languages) if NOT_RUN not in block.comments]
    assert found
    return pytest.mark.parametrize("block", found, ids=lambda block: block.name)


@of("toml")
def test_toml_is_what_its_reader_takes(block: Block, tmp_path: Path) -> None:
    parsed = tomllib.loads(block.text)
    if not {"project", "tool"} & set(parsed):
        (tmp_path / "prowingen.toml").write_text(block.text)
        assert read_config_file(tmp_path).layer
        return
    for group, names in parsed.get("project", {}).get("entry-points", {}).items():
        assert group == "prowingen_wsgi.server_factories"
        for name, value in names.items():
            assert EntryPoint(name, value, group).attr
    if "tool" in parsed:
        (tmp_path / "pyproject.toml").write_text(block.text)
        assert read_config_file(tmp_path).layer


def nginx_accepts(text: str, folder: Path) -> None:
    """`nginx -t` on a whole file, or on a part in the sections that it belongs to."""
    if not re.search(r"^\s*(http|stream) \{", text, re.MULTILINE):
        if not re.search(r"^\s*server \{", text, re.MULTILINE):
            text = f"server {{\n{text}\n}}\n"
        text = f"http {{\naccess_log off;\n{text}\n}}\n"
    if not re.search(r"^events \{", text, re.MULTILINE):
        text = f"events {{}}\n{text}"
    (folder / "nginx.conf").write_text(_with_files_here(text, folder))
    command = [program("nginx"), "-t", "-p", str(folder), "-e", "stderr", "-c", "nginx.conf"]
    command += ["-g", f"pid {folder}/nginx.pid;"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "[warn]" not in done.stderr, done.stderr


def haproxy_accepts(text: str, folder: Path) -> None:
    """`haproxy -c` on a whole file, or on a part with what each file has to have."""
    if "defaults" not in text:
        text = (
            "defaults\n  mode http\n  timeout connect 5s\n  timeout client 30s\n"
            f"  timeout server 30s\n{text}"
        )
    if not re.search(r"^(frontend|listen) ", text, re.MULTILINE):
        backend = re.search(r"^backend (\S+)", text, re.MULTILINE)
        assert backend is not None
        text += f"frontend front\n  bind 127.0.0.1:8000\n  default_backend {backend[1]}\n"
    (folder / "haproxy.cfg").write_text(_with_files_here(text, folder))
    done = subprocess.run(
        [program("haproxy"), "-c", "-f", "haproxy.cfg"],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    assert "WARNING" not in done.stderr, done.stderr


def _with_files_here(text: str, folder: Path) -> str:
    """Certificates are made where the text says that they are, below the folder."""
    pem = authority().issue_cert("localhost").private_key_and_cert_chain_pem.bytes()

    def made(found: re.Match[str]) -> str:
        path = folder / found.group(0).lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix in (".pem", ".key"):
            path.write_bytes(pem)
        return str(path)

    for each in sorted(set(SYSTEM.findall(text)), key=len, reverse=True):
        here = made(re.fullmatch(".*", each))  # type: ignore[arg-type]
        text = re.sub(rf"(?<![\w./]){re.escape(each)}(?![\w./-])", here, text)
    return text


@of("nginx")
def test_nginx_accepts_it(block: Block, tmp_path: Path) -> None:
    nginx_accepts(block.text, tmp_path)


@of("haproxy")
def test_haproxy_accepts_it(block: Block, tmp_path: Path) -> None:
    haproxy_accepts(block.text, tmp_path)


KUBERNETES_KINDS = {"Deployment": "apps/v1", "Service": "v1"}


@of("yaml")
def test_the_server_accepts_what_kubernetes_would_give_it(block: Block, tmp_path: Path) -> None:
    """The command of each container, checked; and that a Service finds its Pods and ports."""
    documents = {each["kind"]: each for each in yaml.safe_load_all(block.text)}
    assert {kind: each["apiVersion"] for kind, each in documents.items()} == KUBERNETES_KINDS
    pod = documents["Deployment"]["spec"]["template"]
    assert documents["Service"]["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    (container,) = pod["spec"]["containers"]
    named = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert documents["Service"]["spec"]["ports"][0]["targetPort"] in named
    for probe in ("readinessProbe", "livenessProbe"):
        ((_, asked),) = [(k, v) for k, v in container[probe].items() if isinstance(v, dict)]
        assert asked["port"] in named

    (tmp_path / "mymodule.py").write_text("def app(environ, start_response): pass\n")
    env = variables(tmp_path) | {each["name"]: each["value"] for each in container.get("env", [])}
    done = subprocess.run(
        [*container["command"], *container.get("args", []), "--check"],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert str(named["http"]) in done.stdout
    # What a stop may take is less than what Kubernetes waits before it kills.
    grace = re.search(r"^graceful_timeout +(\d+)s", done.stdout, re.MULTILINE)
    assert grace is not None
    delay = re.search(r"^drain_delay +(\d+)s", done.stdout, re.MULTILINE)
    assert delay is not None
    assert int(grace[1]) + int(delay[1]) < pod["spec"]["terminationGracePeriodSeconds"]
    # Who sends to it has noticed by then.
    ready = container["readinessProbe"]
    assert ready["periodSeconds"] * (ready["failureThreshold"] + 1) < int(delay[1])
    health = re.search(r"^health_path +(\S+)", done.stdout, re.MULTILINE)
    assert health is not None
    paths = [container[kind]["httpGet"]["path"] for kind in ("readinessProbe", "livenessProbe")]
    assert paths == [f"{health[1]}/ready", f"{health[1]}/live"]


@pytest.mark.skipif(shutil.which("apache2") is None, reason="apache2 is missing")
@of("apache")
def test_apache_accepts_it(block: Block, tmp_path: Path) -> None:
    """`apache2 -t`, with the modules that the pages ask for and what each file has to have."""
    apache = Path(shutil.which("apache2") or "")
    folder = apache.parents[1] / "lib" / "apache2" / "modules"
    lines = [
        f"LoadModule {name}_module {folder}/mod_{name}.so"
        for name in ("mpm_event", "authz_core", "proxy", "proxy_http", "headers")
    ]
    lines += ["ServerName localhost", "Listen 127.0.0.1:8080", "ErrorLog error.log"]
    (tmp_path / "apache.conf").write_text("\n".join([*lines, block.text]))
    done = subprocess.run(
        [apache, "-t", "-d", tmp_path, "-f", tmp_path / "apache.conf", "-e", "warn"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.strip() == "Syntax OK"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is missing")
@of("systemd")
def test_systemd_accepts_it(block: Block, tmp_path: Path) -> None:
    text = re.sub(r"^(ExecStart=)\S+", rf"\g<1>{sys.executable}", block.text, flags=re.MULTILINE)
    text = re.sub(r"^(WorkingDirectory=)\S+", rf"\g<1>{tmp_path}", text, flags=re.MULTILINE)
    if "[Unit]" in text:
        unit = tmp_path / "app.service"
        unit.write_text(text)
    else:
        unit = _with_drop_in(text, tmp_path)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert [line for line in done.stderr.splitlines() if str(tmp_path) in line] == []
    assert not [line for line in done.stderr.splitlines() if line.startswith(unit.name)]


def _with_drop_in(text: str, folder: Path) -> Path:
    """The unit of deploy/ that has this section, with the text as `systemctl edit` keeps it."""
    for kind in ("service", "socket"):
        shipped = (ROOT / f"deploy/prowingen@.{kind}").read_text()
        shipped = re.sub(
            r"^(ExecStart=)\S+", rf"\g<1>{sys.executable}", shipped, flags=re.MULTILINE
        )
        (folder / f"prowingen@.{kind}").write_text(shipped)
    (section,) = re.findall(r"^\[(\w+)\]$", text, re.MULTILINE)
    unit = folder / f"prowingen@shop.{section.lower()}"
    drop_ins = Path(f"{unit}.d")
    drop_ins.mkdir()
    (drop_ins / "override.conf").write_text(text)
    return unit
