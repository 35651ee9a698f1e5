"""What an administrator's address tells, read by the parsers of Prometheus's own Python library."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from prometheus_client import parser
from prometheus_client.openmetrics import parser as openmetrics_parser

from harness.site import address_of
from harness.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from harness.process import ServerProcess
    from harness.site import Site
    from harness.wire import Address, Response

OPEN_METRICS = "application/openmetrics-text; version=1.0.0"
PATH = "/-/metrics"

_Labels = frozenset[tuple[str, str]]


@dataclass
class Figures:
    """One page of them. samples: by name, and by labels."""

    families: dict[str, Any] = field(default_factory=dict)
    samples: dict[str, dict[_Labels, float]] = field(default_factory=dict)

    def __call__(self, name: str, **labels: str) -> float:
        """The sum of all samples of that name that have these labels among theirs."""
        wanted = set(labels.items())
        name = f"prowingen_{name}"
        assert name in self.samples or self._has_family(name), name
        return sum(
            value for have, value in self.samples.get(name, {}).items() if wanted <= set(have)
        )

    def _has_family(self, name: str) -> bool:
        return name.removesuffix("_total") in self.families

    def labels(self, name: str, label: str) -> set[str]:
        """What that label is, in the samples of that name."""
        return {dict(have)[label] for have in self.samples.get(f"prowingen_{name}", {})}

    def counters(self) -> Iterator[tuple[tuple[str, _Labels], float]]:
        """What must never decrease."""
        for name, values in self.samples.items():
            if name.endswith(("_total", "_bucket", "_count", "_sum")):
                for labels, value in values.items():
                    yield (name, labels), value


def read(text: str, *, open_metrics: bool = False) -> Figures:
    """Raises ValueError for what is not in that form."""
    parse = (
        openmetrics_parser.text_string_to_metric_families
        if open_metrics
        else parser.text_string_to_metric_families
    )
    figures = Figures()
    for family in parse(text):
        assert family.name not in figures.families, f"{family.name} comes twice"
        figures.families[family.name] = family
        for sample in family.samples:
            values = figures.samples.setdefault(sample.name, {})
            labels = frozenset(sample.labels.items())
            assert labels not in values, f"{sample} comes twice"
            values[labels] = float(sample.value)
    return figures


def ask_admin(address: Address, path: str = PATH, *fields: str, method: str = "GET") -> Response:
    """By one connection, without TLS, as it is there."""
    with Wire(address) as wire:
        return wire.ask(path, "Connection: close", *fields, method=method)


def scrape(address: Address, *, open_metrics: bool = False) -> Figures:
    fields = [f"Accept: {OPEN_METRICS}"] if open_metrics else []
    answer = ask_admin(address, PATH, *fields)
    assert answer.status == 200
    return read(answer.text, open_metrics=open_metrics)


def admin_of(server: Site | ServerProcess) -> Address:
    """Where a server tells its figures."""
    if hasattr(server, "server"):
        return address_of(server.server.admins[0])
    said = server.wait_for_line(r"telling administrators on \S+")
    found = re.search(r"\S+$", said)
    assert found is not None
    return address_of(found[0])
