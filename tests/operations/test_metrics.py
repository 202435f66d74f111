"""The page of metrics is what the code says, and holds what the alerts and the runbooks ask for."""

from __future__ import annotations

import re

from provider_discord.telemetry.metrics import Metrics
from provider_discord.telemetry.reference import LABELS, described, render
from tests.conftest import REPOSITORY

PAGE = REPOSITORY / "docs/operations/metrics.md"
RUNBOOKS = REPOSITORY / "docs/operations/runbooks.md"
RULES = REPOSITORY / "chart/provider-discord/files/alerts.yaml"
PROMISED = {
    "provider_discord_api_operations_total": ("counter", {"status", "resource_type", "operation"}),
    "provider_discord_api_duration_seconds": ("histogram", {"resource_type", "operation"}),
    "provider_discord_circuit_breaker_state": ("gauge", {"state", "resource_type"}),
    "provider_discord_resources_total": ("gauge", {"kind", "ready", "synced"}),
    "process_resident_memory_bytes": ("gauge", set()),
}
_NAME = r"\b(?:provider_discord|process|leader_election|workqueue|crossplane|controller_runtime)_[a-z_]+\b"


def test_the_page_is_not_stale() -> None:
    assert PAGE.read_text() == render(), "run `make generate` and commit the result"


def test_what_operators_query_has_exactly_its_name_and_labels() -> None:
    there = {one.name: (one.type, set(one.labels)) for one in described(Metrics())}
    assert {name: there.get(name) for name in PROMISED} == PROMISED


def test_every_label_is_explained_and_none_is_explained_that_is_not_there() -> None:
    assert {label for one in described(Metrics()) for label in one.labels} == set(LABELS)


def test_alerts_and_runbooks_name_metrics_that_there_are() -> None:
    there = {one.name for one in described(Metrics())}
    queries = "\n".join(
        [RULES.read_text(), *re.findall(r"```promql\n(.*?)```", RUNBOOKS.read_text(), re.DOTALL)]
    )
    named = {re.sub(r"_(bucket|sum|count)$", "", name) for name in re.findall(_NAME, queries)}
    assert named
    assert named <= there
