"""deploy/prometheus and deploy/grafana: read by promtool, and of figures that there are."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ALERTS = ROOT / "deploy/prometheus/alerts.yml"
DASHBOARD = ROOT / "deploy/grafana/prowingen.json"

ON = 'job="prowingen",instance="host1"'
FIRING: dict[str, tuple[int, dict[str, str]]] = {
    "ProwingenHostDown": (2, {f"up{{{ON}}}": "0x30"}),
    "ProwingenErrors": (
        12,
        {
            f'prowingen_requests_total{{{ON},status="5xx"}}': "0+5x30",
            f'prowingen_requests_total{{{ON},status="2xx"}}': "0+95x30",
        },
    ),
    "ProwingenSlow": (
        20,
        {
            f'prowingen_request_duration_seconds_bucket{{{ON},le="2.5"}}': "0+90x30",
            f'prowingen_request_duration_seconds_bucket{{{ON},le="5"}}': "0+100x30",
            f'prowingen_request_duration_seconds_bucket{{{ON},le="+Inf"}}': "0+100x30",
        },
    ),
    "ProwingenQueue": (
        12,
        {
            f'prowingen_queue_wait_seconds_bucket{{{ON},le="0.5"}}': "0+90x30",
            f'prowingen_queue_wait_seconds_bucket{{{ON},le="1"}}': "0+100x30",
            f'prowingen_queue_wait_seconds_bucket{{{ON},le="+Inf"}}': "0+100x30",
        },
    ),
    "ProwingenRejections": (
        12,
        {f'prowingen_queue_rejections_total{{{ON},cause="queue_full"}}': "0+1x30"},
    ),
    "ProwingenStuck": (1, {f'prowingen_stalled_seconds{{{ON},worker="7"}}': "60x30"}),
    "ProwingenWorkersEnd": (
        5,
        {f'prowingen_worker_ends_total{{{ON},cause="crash"}}': "0 0 1x20"},
    ),
    "ProwingenWorkersMissing": (
        8,
        {f"prowingen_workers{{{ON}}}": "1x30", f"prowingen_workers_wanted{{{ON}}}": "2x30"},
    ),
    "ProwingenMemory": (5, {f"prowingen_memory_cut_total{{{ON}}}": "0 0 3x20"}),
    "ProwingenLogLinesLost": (5, {f"prowingen_access_log_lines_lost_total{{{ON}}}": "0 0 9x20"}),
}
"""For each alert: after so many minutes of these samples, one a minute, it fires."""


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return found


def queries() -> list[str]:
    """Those of the dashboard, with what Grafana writes in place of its variables."""
    found = [each["expr"] for panel in dashboard()["panels"] for each in panel["targets"]]
    here = {"$__rate_interval": "5m", "$job": ".*", "$instance": ".*"}
    for name, value in here.items():
        found = [each.replace(name, value) for each in found]
    return found


def promtool(*arguments: str) -> None:
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is missing (Debian: prometheus)")
    done = subprocess.run([found, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_takes_the_rules() -> None:
    promtool("check", "rules", str(ALERTS))


def test_prometheus_takes_the_queries_of_the_dashboard(tmp_path: Path) -> None:
    assert len(queries()) > len(dashboard()["panels"])
    recorded = [{"record": f"a:{n}", "expr": each} for n, each in enumerate(queries())]
    path = tmp_path / "queries.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": recorded}]}))
    promtool("check", "rules", str(path))


@pytest.mark.parametrize("alert", [each["alert"] for each in rules()])
def test_it_fires_when_it_is_meant_to_and_not_without(alert: str, tmp_path: Path) -> None:
    minutes, samples = FIRING[alert]
    (rule,) = [each for each in rules() if each["alert"] == alert]
    # Annotations are checked by `promtool check rules`: here it is whether it fires.
    plain = {key: value for key, value in rule.items() if key != "annotations"}
    plain["expr"] = f"count({rule['expr']}) > 0"
    alone = tmp_path / "alone.yml"
    alone.write_text(yaml.safe_dump({"groups": [{"name": "alone", "rules": [plain]}]}))
    quiet = {series: "0x30" for series in samples if not series.startswith("up{")}
    fires = {"exp_labels": {"severity": rule["labels"]["severity"]}}

    def case(series: dict[str, str], alerts: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "interval": "1m",
            "input_series": [{"series": k, "values": v} for k, v in series.items()],
            "alert_rule_test": [
                {"eval_time": f"{minutes}m", "alertname": alert, "exp_alerts": alerts}
            ],
        }

    tests = {"rule_files": [str(alone)], "tests": [case(samples, [fires]), case(quiet, [])]}
    path = tmp_path / "tests.yml"
    path.write_text(yaml.safe_dump(tests))
    promtool("test", "rules", str(path))


def test_every_figure_is_one_that_the_server_has() -> None:
    page = ROOT / "docs/metrics.md"
    if not page.exists():
        pytest.skip("this server has no metrics")
    there = set(re.findall(r"^\| `(prowingen_\w+)`", page.read_text(), re.MULTILINE))
    asked = set(re.findall(r"prowingen_\w+", " ".join([*queries(), *(r["expr"] for r in rules())])))
    assert len(asked) > 15
    assert {re.sub("_(bucket|sum|count)$", "", each) for each in asked} <= there


def test_panels_lie_side_by_side() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert max(x for x, _ in cells) < 24, panel["title"]
        assert not cells & taken, panel["title"]
        taken |= cells
