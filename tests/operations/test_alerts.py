"""The alerting rules: promtool has them fire and resolve, and each tells a person what to do."""

from __future__ import annotations

import re
import subprocess
from typing import Any

import pytest
import yaml
from controlplane import Tool, find

from tests.conftest import REPOSITORY, require_tools

RULES = REPOSITORY / "chart/provider-discord/files/alerts.yaml"
CASES = REPOSITORY / "tests/operations/alerts/rules_test.yaml"
RUNBOOKS = REPOSITORY / "docs/operations/runbooks.md"
REQUIRED = {
    "ProviderDiscordDown",
    "ProviderDiscordHighErrorRate",
    "ProviderDiscordAPIUnhealthy",
    "ProviderDiscordHighLatency",
    "ProviderDiscordCircuitBreakerOpen",
    "ProviderDiscordReconciliationStuck",
    "ProviderDiscordMemoryUsageHigh",
    "ProviderDiscordRateLimitApproaching",
    "ProviderDiscordTokenInvalid",
    "ProviderDiscordInvalidRequestsNearLimit",
    "ProviderDiscordResourceBlocked",
    "ProviderDiscordGuildHeld",
}
RULE_LIST: list[dict[str, Any]] = [
    rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
]


def promtool(*arguments: str) -> None:
    require_tools([Tool.PROMTOOL])
    ended = subprocess.run(
        [str(find(Tool.PROMTOOL)), *arguments], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_rules_are_sound() -> None:
    promtool("check", "rules", "--lint=all", "--lint-fatal", str(RULES))


def test_every_alert_fires_and_resolves_where_it_shall() -> None:
    promtool("test", "rules", str(CASES))


def test_the_runbooks_alerts_are_there() -> None:
    assert {rule["alert"] for rule in RULE_LIST} == REQUIRED


@pytest.mark.parametrize("alert", sorted(REQUIRED))
def test_no_alert_is_without_a_case_that_fires_and_then_resolves(alert: str) -> None:
    seen: dict[str, list[tuple[float, bool]]] = {}
    for case in yaml.safe_load(CASES.read_text())["tests"]:
        for check in case.get("promql_expr_test", []):
            if f'alertname="{alert}"' in check["expr"]:
                seen.setdefault(case["name"], []).append(
                    (_minutes(check["eval_time"]), bool(check["exp_samples"]))
                )
        for check in case.get("alert_rule_test", []):
            if check["alertname"] == alert:
                seen.setdefault(case["name"], []).append(
                    (_minutes(check["eval_time"]), bool(check["exp_alerts"]))
                )
    runs = [[fires for _, fires in sorted(checks)] for checks in seen.values()]
    assert any(True in run and run[-1] is False for run in runs), f"{alert}: {seen}"


@pytest.mark.parametrize("rule", RULE_LIST, ids=lambda rule: str(rule["alert"]))
def test_every_alert_says_how_bad_it_is_and_where_to_read_on(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"warning", "critical"}
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    anchor = rule["alert"].lower()
    assert rule["annotations"]["runbook_url"].endswith(f"/docs/operations/runbooks.md#{anchor}")
    headings = {
        re.sub(r"[^a-z0-9]", "", line.lstrip("# ").lower())
        for line in RUNBOOKS.read_text().splitlines()
        if line.startswith("## ")
    }
    assert anchor in headings, f"{RUNBOOKS.name} has no section {rule['alert']}"


@pytest.mark.parametrize("rule", RULE_LIST, ids=lambda rule: str(rule["alert"]))
def test_every_selector_names_the_job(rule: dict[str, Any]) -> None:
    metrics = re.findall(
        r"\b(?:provider_discord|process|leader_election|workqueue|up)[a-z_]*\b(\{[^}]*\})?", rule["expr"]
    )
    assert metrics
    assert all('job="provider-discord"' in selector for selector in metrics), rule["expr"]


def _minutes(text: str) -> float:
    return float(text.removesuffix("m"))
