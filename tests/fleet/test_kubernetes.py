"""deploy/kubernetes: by the schemas of Kubernetes itself, and by what this server does."""

from __future__ import annotations

import copy
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from prowingen_wsgi.configuration.config import OPTIONS

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy/kubernetes"
SIZES = {"Mi": 1 << 20, "Gi": 1 << 30}
OLDEST = (1, 28)
"""Of Kubernetes: the schemas of every version from it on are asked."""

Document = dict[str, Any]


def documents() -> dict[str, Document]:
    text = (FOLDER / "prowingen.yaml").read_text(encoding="utf-8")
    return {each["kind"]: each for each in yaml.safe_load_all(text)}


def monitor() -> Document:
    text = (FOLDER / "monitoring.yaml").read_text(encoding="utf-8")
    found: Document = yaml.safe_load(text)
    return found


def pod() -> Document:
    found: Document = documents()["Deployment"]["spec"]["template"]
    return found


def container() -> Document:
    (found,) = pod()["spec"]["containers"]
    assert isinstance(found, dict)
    return found


def seconds(name: str) -> float:
    """The value of one of the server's options there."""
    (value,) = re.findall(rf"^--{name}=(\d+)s$", "\n".join(container()["args"]), re.MULTILINE)
    return float(value)


def size(text: str) -> int:
    return int(text[:-2]) * SIZES[text[-2:]]


# ---- schemas


@pytest.mark.fleet
@pytest.mark.parametrize("kind", documents())
def test_it_is_what_kubernetes_takes(kind: str) -> None:
    schemas = pytest.importorskip("kubernetes_validate", reason="pip install kubernetes-validate")
    versions = [
        version
        for version in schemas.utils.all_versions()
        if tuple(int(part) for part in version.split(".")[:2]) >= OLDEST
    ]
    assert len(versions) > 5
    document = documents()[kind]
    for version in versions:
        schemas.validate(document, version, strict=True)
    wrong = copy.deepcopy(document)
    wrong["spec"]["selektor"] = {}
    with pytest.raises(schemas.ValidationError):
        schemas.validate(wrong, versions[-1], strict=True)


@pytest.mark.fleet
@pytest.mark.timeout(120)
def test_the_monitor_is_what_the_prometheus_operator_takes() -> None:
    models = pytest.importorskip(
        "cloudcoil.models.prometheus_operator.v1",
        reason="pip install cloudcoil-models-prometheus-operator",
    )
    document = monitor()
    read = models.PodMonitor.model_validate(document)
    # It leaves out what it does not know.
    assert read.model_dump(mode="json", by_alias=True, exclude_unset=True) == document
    del document["spec"]["selector"]
    with pytest.raises(ValueError, match="selector"):
        models.PodMonitor.model_validate(document)


# ---- what each says of the others


def test_everything_is_about_the_same_pods() -> None:
    all_of_them = documents()
    labels = pod()["metadata"]["labels"].items()
    selectors = [
        all_of_them["Deployment"]["spec"]["selector"]["matchLabels"],
        all_of_them["Service"]["spec"]["selector"],
        all_of_them["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        monitor()["spec"]["selector"]["matchLabels"],
        *(
            each["labelSelector"]["matchLabels"]
            for each in pod()["spec"]["topologySpreadConstraints"]
        ),
    ]
    assert all(selector and selector.items() <= labels for selector in selectors)
    deployment = all_of_them["Deployment"]
    scaled = all_of_them["HorizontalPodAutoscaler"]["spec"]
    assert scaled["scaleTargetRef"] == {
        "apiVersion": deployment["apiVersion"],
        "kind": "Deployment",
        "name": deployment["metadata"]["name"],
    }
    assert "replicas" not in deployment["spec"], "each `kubectl apply` would set them back"
    # A budget that no Pod may be missing of would stop every node from being emptied.
    budget = all_of_them["PodDisruptionBudget"]["spec"]["maxUnavailable"]
    assert 0 < budget < scaled["minReplicas"]
    assert "cpu" in container()["resources"]["requests"], "there is nothing to take per cent of"


def test_ports_are_named_where_they_are_taken() -> None:
    ports = {each["name"]: each["containerPort"] for each in container()["ports"]}
    (served,) = documents()["Service"]["spec"]["ports"]
    probed = [
        container()[f"{name}Probe"]["httpGet"] for name in ("startup", "readiness", "liveness")
    ]
    assert {served["targetPort"], *(probe["port"] for probe in probed)} <= ports.keys()
    assert f"--bind=0.0.0.0:{ports['http']}" in container()["args"]
    (path,) = [each.partition("=")[2] for each in container()["args"] if "health-path" in each]
    assert [probe["path"] for probe in probed] == [f"{path}/live", f"{path}/ready", f"{path}/live"]


def test_times_fit_each_other() -> None:
    ready, alive = (container()[f"{name}Probe"] for name in ("readiness", "liveness"))
    # Who sends to it has noticed that it stops, before it does.
    noticed = ready["periodSeconds"] * ready["failureThreshold"] + ready["timeoutSeconds"]
    assert noticed < seconds("drain-delay")
    grace = pod()["spec"]["terminationGracePeriodSeconds"]
    assert seconds("drain-delay") + seconds("graceful-timeout") + 5 < grace
    # A busy Pod is first given no more, and much later started anew.
    assert alive["periodSeconds"] * alive["failureThreshold"] > 2 * noticed


def test_it_may_do_no_more_than_it_has_to() -> None:
    outside, inside = pod()["spec"]["securityContext"], container()["securityContext"]
    assert outside["runAsNonRoot"]
    made = (ROOT / "deploy/container/Containerfile").read_text(encoding="utf-8")
    assert f"USER {outside['runAsUser']}:{outside['runAsGroup']}" in made
    assert inside["readOnlyRootFilesystem"]
    assert not inside["allowPrivilegeEscalation"]
    assert inside["capabilities"] == {"drop": ["ALL"]}


def test_what_is_spooled_has_a_place_and_fits() -> None:
    mounts = {each["name"]: each["mountPath"] for each in container()["volumeMounts"]}
    volumes = {each["name"]: each["emptyDir"] for each in pod()["spec"]["volumes"]}
    assert mounts.keys() == volumes.keys()
    arguments = dict(each[2:].split("=", 1) for each in container()["args"] if "=" in each)
    assert arguments["spool-dir"] == mounts["spool"]
    # Beyond the volume's size the Pod is evicted; a worker's replacement spools beside it.
    most = size(arguments["max-spool"].removesuffix("B"))
    processes = int(arguments["workers"]) + 1
    assert most * processes < size(volumes["spool"]["sizeLimit"])


def test_the_server_takes_its_options(tmp_path: Path) -> None:
    (tmp_path / "mymodule.py").write_text("def app(environ, start_response): pass\n")
    arguments = [each.replace("=/spool", f"={tmp_path}") for each in container()["args"]]
    assert container()["command"] == ["prowingen"]
    done = subprocess.run(
        [sys.executable, "-m", "prowingen_wsgi", *arguments, "--check"],
        cwd=tmp_path,
        env={"PYTHONPATH": f"{tmp_path}:{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_monitor_asks_where_metrics_are() -> None:
    if "admin_bind" not in OPTIONS:
        pytest.skip("this server has no --admin-bind")
    text = (FOLDER / "monitoring.yaml").read_text(encoding="utf-8")
    (endpoint,) = monitor()["spec"]["podMetricsEndpoints"]
    assert endpoint["path"] == "/-/metrics"
    (name, port) = re.findall(r"\{name: (\w+), containerPort: (\d+)\}", text)[0]
    assert endpoint["port"] == name
    assert f"--admin-bind=0.0.0.0:{port}" in text
