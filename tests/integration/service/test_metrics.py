"""What is exported is documented, and rules and dashboard ask for nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import promql_parser
import pytest
import yaml
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from tests.integration.service.conftest import Deployment

DOCUMENT = Path("docs/metrics.md").read_text()
RUNBOOK = Path("docs/operations.md").read_text()
RULES = Path("observability/prometheus/rules.yml")
RULE_TESTS = Path("observability/prometheus/rules_test.yml")
DASHBOARD = Path("observability/grafana/dashboards/alteraser.json")
ROW = re.compile(r"^\| `((?:alteraser|process)_\w+)` \| (\w+) \|\s*(.*?)\s*\| (.+) \|$", re.MULTILINE)
OF_PROMETHEUS = {"up": {"job", "instance"}}
OF_EVERY_TARGET = {"job", "instance"}
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ("",), "info": ("_info",)}
GRAFANA_VARIABLES = {"$__rate_interval": "1m"}

DOCUMENTED = {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels, _ in ROW.findall(DOCUMENT)}
SAMPLES = {name + suffix: labels for name, (kind, labels) in DOCUMENTED.items() for suffix in SUFFIXES[kind]}


def rules() -> dict[str, dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def queries_of_the_dashboard() -> list[str]:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel.get("targets", [])]


def families(deployment: Deployment) -> dict[str, Metric]:
    text = deployment.client.get("/metrics", headers=deployment.key("ops:read")).raise_for_status().text
    return {family.name: family for family in text_string_to_metric_families(text)}


def selectors(node: promql_parser.Expr) -> Iterator[promql_parser.VectorSelector]:
    """Every selector in a parsed expression."""
    if isinstance(node, promql_parser.VectorSelector):
        yield node
        return
    children = [getattr(node, name, None) for name in ("expr", "lhs", "rhs", "param", "vector_selector")]
    for child in (*children, *(getattr(node, "args", None) or ())):
        if isinstance(child, promql_parser.Expr):
            yield from selectors(child)


def parsed(query: str) -> promql_parser.Expr:
    for variable, value in GRAFANA_VARIABLES.items():
        query = query.replace(variable, value)
    return promql_parser.parse(query)


@pytest.fixture(scope="module")
def busy(serving: Deployment) -> dict[str, Metric]:
    """The families that a process exports which has answered calls."""
    families(serving)
    serving.items("7")
    return families(serving)


def test_every_exported_metric_is_documented_with_its_type_and_no_other(busy: dict[str, Metric]) -> None:
    exported = {name: family.type for name, family in busy.items()}
    exported["alteraser_build"] = exported.pop("alteraser_build_info").replace("gauge", "info")
    assert exported == {name: kind for name, (kind, _) in DOCUMENTED.items()}


def test_every_sample_has_the_labels_that_are_documented(busy: dict[str, Metric]) -> None:
    for family in busy.values():
        for sample in family.samples:
            assert sample.labels.keys() - {"le"} == SAMPLES[sample.name], sample


def test_names_follow_the_conventions_of_prometheus() -> None:
    for name, (kind, _) in DOCUMENTED.items():
        assert re.fullmatch(r"(alteraser|process)(_[a-z]+)+", name)
        assert not name.endswith(("_total", "_count", "_sum", "_bucket")), name
        if re.search(r"_(age|lag_s\w*|silence|duration|read|due_in)(_|$)", name):
            assert name.endswith("_seconds"), name
        if kind == "histogram":
            assert name.endswith("_seconds")


@pytest.mark.parametrize("query", [*(rule["expr"] for rule in rules().values()), *queries_of_the_dashboard()])
def test_every_query_asks_for_what_is_exported(query: str) -> None:
    asked = list(selectors(parsed(query)))
    assert asked
    for selector in asked:
        labels = (SAMPLES | OF_PROMETHEUS)[selector.name]
        assert {matcher.name for matcher in selector.matchers.matchers} <= labels | OF_EVERY_TARGET | {"le"}


@pytest.mark.parametrize(("alert", "rule"), rules().items())
def test_every_alert_says_how_bad_it_is_and_where_to_read_on(alert: str, rule: dict[str, Any]) -> None:
    assert rule["labels"].keys() == {"severity"}
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["runbook_url"] == f"docs/operations.md#{alert.lower()}"
    assert f"\n### {alert}\n" in RUNBOOK


def test_every_alert_is_shown_to_fire_and_not_to_fire() -> None:
    shown: dict[str, set[bool]] = {}
    for group in yaml.safe_load(RULE_TESTS.read_text())["tests"]:
        for case in group["alert_rule_test"]:
            shown.setdefault(case["alertname"], set()).add(bool(case["exp_alerts"]))
    assert shown == {alert: {True, False} for alert in rules()}


def test_the_dashboard_is_provisioned_from_the_datasource_it_names() -> None:
    (datasource,) = yaml.safe_load(Path("observability/grafana/provisioning/datasources/prometheus.yml").read_text())[
        "datasources"
    ]
    board = json.loads(DASHBOARD.read_text())
    named = {target["datasource"]["uid"] for panel in board["panels"] for target in panel.get("targets", [])}
    assert named == {datasource["uid"]}
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    assert all(panel["title"] for panel in board["panels"])
