"""Every metric that dashboards, alerts and runbooks ask for exists, and labels stay bounded."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import pytest
from prometheus_client.parser import text_string_to_metric_families

from provider_discord.telemetry.metrics import Metrics


class Urgency(IntEnum):
    USER = 0


def value(metrics: Metrics, metric: str, /, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(metric, labels)


PROMISED = [
    # Our runbooks and the issue.
    "provider_discord_api_operations_total",
    "provider_discord_api_duration_seconds",
    "provider_discord_resources_total",
    "provider_discord_circuit_breaker_state",
    "provider_discord_rate_limited_total",
    # crossplane-runtime.
    "crossplane_managed_resource_exists",
    "crossplane_managed_resource_ready",
    "crossplane_managed_resource_synced",
    "crossplane_managed_resource_first_time_to_reconcile_seconds",
    "crossplane_managed_resource_first_time_to_readiness_seconds",
    "crossplane_managed_resource_deletion_seconds",
    "crossplane_managed_resource_drift_seconds",
    # controller-runtime and client-go.
    "controller_runtime_reconcile_total",
    "controller_runtime_reconcile_errors_total",
    "controller_runtime_terminal_reconcile_errors_total",
    "controller_runtime_reconcile_panics_total",
    "controller_runtime_reconcile_timeouts_total",
    "controller_runtime_reconcile_time_seconds",
    "controller_runtime_max_concurrent_reconciles",
    "controller_runtime_active_workers",
    "workqueue_depth",
    "workqueue_adds_total",
    "workqueue_queue_duration_seconds",
    "workqueue_work_duration_seconds",
    "workqueue_unfinished_work_seconds",
    "workqueue_longest_running_processor_seconds",
    "workqueue_retries_total",
    "rest_client_requests_total",
    "leader_election_master_status",
    "process_resident_memory_bytes",
    "process_cpu_seconds_total",
    "provider_discord_build_info",
]


@pytest.mark.parametrize("name", PROMISED)
def test_promised_names_are_exposed(name: str) -> None:
    lines = Metrics(version="1").render().decode().splitlines()
    assert any(line.startswith(f"# TYPE {name} ") for line in lines)


def test_the_exposition_can_be_parsed_and_has_no_created_series() -> None:
    metrics = Metrics(version="1.2.3")
    metrics.controller("managed/channel", workers=4)
    families = list(text_string_to_metric_families(metrics.render().decode()))
    assert families
    assert not [family.name for family in families if family.name.endswith("_created")]


def test_two_of_them_do_not_meet() -> None:
    first, second = Metrics(), Metrics()
    first.leader.labels(name="x").set(1)
    assert value(second, "leader_election_master_status", name="x") is None


def test_managed_resources_are_counted_by_state_and_what_is_gone_is_zero() -> None:
    metrics = Metrics()
    gvk = "channel.discord.crossplane.io/v1alpha1, Kind=Channel"
    metrics.set_resources(
        kind="Channel", gvk=gvk, states={("True", "True"): 3, ("False", "True"): 2, ("Unknown", "False"): 1}
    )
    assert value(metrics, "crossplane_managed_resource_exists", gvk=gvk) == 6
    assert value(metrics, "crossplane_managed_resource_ready", gvk=gvk) == 3
    assert value(metrics, "crossplane_managed_resource_synced", gvk=gvk) == 5
    assert (
        value(metrics, "provider_discord_resources_total", kind="Channel", ready="False", synced="True") == 2
    )
    metrics.set_resources(kind="Channel", gvk=gvk, states={})
    assert value(metrics, "crossplane_managed_resource_exists", gvk=gvk) == 0
    assert (
        value(metrics, "provider_discord_resources_total", kind="Channel", ready="False", synced="True") == 0
    )


def test_a_controllers_series_exist_before_anything_happens() -> None:
    metrics = Metrics()
    metrics.controller("managed/channel", workers=4)
    labels = {"controller": "managed/channel"}
    assert value(metrics, "controller_runtime_reconcile_total", result="error", **labels) == 0
    assert value(metrics, "controller_runtime_max_concurrent_reconciles", **labels) == 4


def test_a_queue_is_asked_at_each_scrape() -> None:
    metrics = Metrics()
    depth = {"change": 0, "poll": 7}
    working = [2.0, 5.0]
    queue = metrics.workqueue("managed/channel")
    queue.watch(depth=lambda: depth, processing_seconds=lambda: working)
    queue.added()
    queue.retried()
    queue.got(priority="change", waited_seconds=0.5)
    queue.finished(worked_seconds=0.25)
    labels = {"name": "managed/channel", "controller": "managed/channel"}
    assert value(metrics, "workqueue_depth", priority="poll", **labels) == 7
    assert value(metrics, "workqueue_unfinished_work_seconds", **labels) == 7
    assert value(metrics, "workqueue_longest_running_processor_seconds", **labels) == 5
    depth["poll"] = 8
    working.clear()
    assert value(metrics, "workqueue_depth", priority="poll", **labels) == 8
    assert value(metrics, "workqueue_longest_running_processor_seconds", **labels) == 0
    assert value(metrics, "workqueue_adds_total", **labels) == 1
    assert value(metrics, "workqueue_retries_total", **labels) == 1
    assert value(metrics, "workqueue_queue_duration_seconds_count", priority="change", **labels) == 1
    assert value(metrics, "workqueue_work_duration_seconds_sum", **labels) == 0.25


def test_calls_to_discord() -> None:
    metrics = Metrics()
    discord = metrics.discord
    discord.call_finished(resource_type="channel", operation="create", status="success", seconds=0.3)
    discord.request_sent(resource_type="channel", operation="create", status=201)
    discord.waited(priority=Urgency.USER, seconds=0.01)
    discord.rate_limited(scope="shared")
    discord.retried(reason="timeout")
    discord.watch_guard(count=lambda: 12, banned_for=lambda: 34.5)
    labels = {"resource_type": "channel", "operation": "create"}
    assert value(metrics, "provider_discord_api_operations_total", status="success", **labels) == 1
    assert value(metrics, "provider_discord_api_duration_seconds_count", **labels) == 1
    assert value(metrics, "provider_discord_requests_total", status="201", **labels) == 1
    assert value(metrics, "provider_discord_queue_wait_seconds_count", priority="user") == 1
    assert value(metrics, "provider_discord_rate_limited_total", scope="shared") == 1
    assert value(metrics, "provider_discord_retries_total", reason="timeout") == 1
    assert value(metrics, "provider_discord_invalid_requests") == 12
    assert value(metrics, "provider_discord_banned_seconds") == 34.5


@dataclass
class State:
    """How a client says that it stands."""

    in_flight: int = 0
    waiting: int = 0
    buckets: int = 0
    parked: int = 0
    global_free: int = 50
    circuits: dict[str, str] = field(default_factory=lambda: {"channel": "closed", "role": "closed"})
    token_rejected: bool = False


def test_what_tokens_share_is_a_sum_and_nothing_stays_of_a_closed_client() -> None:
    metrics = Metrics()
    one = State(in_flight=1, waiting=5, buckets=3, parked=1, global_free=7, token_rejected=True)
    two = State(in_flight=2, buckets=4, global_free=40)

    def gauges() -> list[float | None]:
        names = (
            "provider_discord_requests_in_flight",
            "provider_discord_queue_depth",
            "provider_discord_rate_limit_buckets",
            "provider_discord_rate_limit_parked",
            "provider_discord_rate_limit_global_free",
            "provider_discord_tokens_rejected",
        )
        return [value(metrics, name) for name in names]

    assert gauges() == [0, 0, 0, 0, None, 0], "without a token there is no limit to tell of"
    metrics.discord.client_opened(client="a", state=lambda: one)
    metrics.discord.client_opened(client="b", state=lambda: two)
    assert gauges() == [3, 5, 7, 1, 7, 1], "added up; of the free slots the fewest"
    metrics.discord.client_closed(client="a")
    assert gauges() == [2, 0, 4, 0, 40, 0]
    two.in_flight = 0
    assert gauges()[0] == 0, "asked at each scrape"


def test_a_circuit_is_open_if_that_of_any_token_is() -> None:
    metrics = Metrics()
    one, two = State(), State()
    metrics.discord.client_opened(client="a", state=lambda: one)
    metrics.discord.client_opened(client="b", state=lambda: two)

    def states(resource_type: str = "channel") -> list[float | None]:
        return [
            value(metrics, "provider_discord_circuit_breaker_state", state=state, resource_type=resource_type)
            for state in ("closed", "half-open", "open")
        ]

    assert states() == [1, 0, 0]
    one.circuits["channel"] = "open"
    assert states() == [0, 0, 1], "one of two is enough"
    assert states("role") == [1, 0, 0]
    assert metrics.discord.open_circuits() == ["channel"]
    two.circuits["channel"] = "half-open"
    assert states() == [0, 0, 1], "the worst counts"
    one.circuits["channel"] = "closed"
    assert states() == [0, 1, 0]
    assert metrics.discord.open_circuits() == [], "half open lets calls through"
    metrics.discord.only_while(lambda: False)
    assert states() == [None, None, None], "a copy that no longer leads cannot close it"
    metrics.discord.only_while(lambda: True)
    metrics.discord.client_closed(client="b")
    assert states() == [1, 0, 0]
    metrics.discord.client_closed(client="a")
    assert states() == [None, None, None], "a token that was replaced leaves nothing behind"
    assert metrics.discord.open_circuits() == []
