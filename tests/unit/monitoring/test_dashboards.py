"""The files for Prometheus and Grafana load in the real programs and speak of metrics that exist."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from monitoring.metric_names import GAUGES, METRICS
from monitoring.metric_store import MetricStore
from monitoring.metrics import RequestMetrics
from tests.unit.monitoring.calls import attempt, finished, told

DOCKER = Path(__file__).parents[3] / "docker"
PROMETHEUS = DOCKER / "prometheus"
DASHBOARD = DOCKER / "grafana" / "dashboards" / "llm-proxy.json"
PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed (Debian's prometheus package)")


def promtool(*arguments: str, cwd: Path = PROMETHEUS, given: bytes | None = None) -> None:
    done = subprocess.run([PROMTOOL, *arguments], check=False, cwd=cwd, input=given, capture_output=True)
    assert done.returncode == 0, (done.stdout + done.stderr).decode()


def expressions() -> list[str]:
    dashboard = json.loads(DASHBOARD.read_text())
    of_panels = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    rules = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"][0]["rules"]
    return of_panels + [rule["expr"] for rule in rules]


@needs_promtool
def test_prometheus_takes_the_configuration_and_the_rules(tmp_path):
    for file in PROMETHEUS.iterdir():
        text = file.read_text().replace("/etc/prometheus/metrics_token", str(tmp_path / "token"))
        (tmp_path / file.name).write_text(text)
    (tmp_path / "token").write_text("token")
    promtool("check", "config", "prometheus.yml", cwd=tmp_path)


@needs_promtool
def test_alerts_fire_when_they_should_and_not_before():
    promtool("test", "rules", "alerts_test.yml")


def test_every_alert_is_seen_to_fire():
    rules = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"][0]["rules"]
    cases = [
        case
        for each in yaml.safe_load((PROMETHEUS / "alerts_test.yml").read_text())["tests"]
        for case in each["alert_rule_test"]
    ]
    assert {rule["alert"] for rule in rules} == {case["alertname"] for case in cases if case["exp_alerts"]}


@needs_promtool
def test_what_we_expose_is_what_prometheus_reads(tmp_path):
    metrics = RequestMetrics(MetricStore(tmp_path, "family", gauges=GAUGES))
    metrics.observe(*told(finished(first_token_s=0.1, overhead_s=0.001, cost_nano_usd=5, input_tokens=3)))
    metrics.observe(*told(finished(attempts=(attempt("openai", "timeout"), attempt("cohere")))))
    promtool("check", "metrics", given=metrics.text())


@needs_promtool
def test_every_query_of_the_dashboard_is_valid(tmp_path):
    # As recording rules, because promtool checks those; Grafana's variables stand for what Grafana puts in.
    filled = [
        query.replace("$__rate_interval", "5m").replace("$provider", ".*").replace("${datasource}", "x")
        for query in expressions()
    ]
    rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(filled)]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    promtool("check", "rules", "rules.yml", cwd=tmp_path)


def test_queries_name_only_metrics_and_labels_that_exist():
    labels_of = {metric.name: {*metric.labels} for metric in METRICS}
    labels_of.update(
        {
            f"{metric.name}_{suffix}": {*metric.labels, "le"}
            for metric in METRICS
            if metric.kind == "histogram"
            for suffix in ("bucket", "sum", "count")
        }
    )
    for query in expressions():
        for name, selector in re.findall(r"\b(llm_proxy_[a-z_]+)(\{[^}]*\})?", query):
            assert name in labels_of, query
            for label in re.findall(r"([a-z_]+)\s*(?:=~|!~|!=|=)", selector):
                assert label in labels_of[name], query
        for grouped in re.findall(r"by \(([^)]*)\)", query):
            known = {"instance"}.union(*(labels_of[name] for name in re.findall(r"\bllm_proxy_[a-z_]+", query)))
            assert {label.strip() for label in grouped.split(",")} <= known, query


def test_every_metric_is_on_the_dashboard():
    text = " ".join(expressions())
    assert [metric.name for metric in METRICS if metric.name not in text] == []


def test_the_dashboard_is_what_grafana_imports():
    dashboard = json.loads(DASHBOARD.read_text())
    assert dashboard["title"] == "LLM Proxy API"
    numbers = [panel["id"] for panel in dashboard["panels"]]
    assert len(numbers) == len(set(numbers))
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells


def test_the_provisioning_names_the_data_source_the_dashboard_uses():
    provisioning = DOCKER / "grafana" / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())["datasources"]
    variables = {each["name"]: each for each in json.loads(DASHBOARD.read_text())["templating"]["list"]}
    assert variables["datasource"]["current"]["value"] == source["uid"]
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "llm-proxy.yml").read_text())["providers"]
    assert provider["type"] == "file"
