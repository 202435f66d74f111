"""The overview: is it well, and if not, what and since when."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as boards
from grafana_foundation_sdk.models import dashboard as models

from dashboards.panels import JOB, RATE, TAG, board, curves, number

_FAILED = f'provider_discord_api_operations_total{{{JOB},status!~"success|not_found|rate_limited"}}'
_ALL = f"provider_discord_api_operations_total{{{JOB}}}"


def overview() -> boards.Dashboard:
    """Return the dashboard."""
    made = board(
        "provider-discord / Overview",
        uid="provider-discord-overview",
        description="Health, errors, latency, limits, queue and objects of all guilds.",
    ).link(
        # By tag, and not by address: that breaks where Grafana is served below a path.
        boards.DashboardLink("Guild")
        .type(models.DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .keep_time(keep_time=True)
        .include_vars(include_vars=True)
    )
    for row in (_health, _objects, _discord, _limits, _work, _process):
        made = row(made)
    return made


def _health(made: boards.Dashboard) -> boards.Dashboard:
    last = f"max by (kind) (provider_discord_last_success_timestamp_seconds{{{JOB}}})"
    return (
        made.with_row(boards.Row("Health"))
        .with_panel(number("Copies up", f"sum(up{{{JOB}}})", fair=1, bad=0.5))
        .with_panel(
            number(
                "Discord",
                f'min(provider_discord_health_check_ok{{{JOB},check="discord"}})',
                fair=1,
                bad=0.5,
                text="0: calls about guilds or the bot itself keep failing, so that no pass gets anywhere.",
            )
        )
        .with_panel(
            number(
                "Tokens that work",
                f"sum(max by (provider_config) (provider_discord_token_valid{{{JOB}}}))"
                f" / count(max by (provider_config) (provider_discord_token_valid{{{JOB}}}))",
                unit="percentunit",
                fair=1,
                bad=0.5,
            )
        )
        .with_panel(
            number(
                "Failed calls",
                f"sum(rate({_FAILED}[{RATE}])) / sum(rate({_ALL}[{RATE}]))",
                unit="percentunit",
                fair=0.02,
                bad=0.1,
                text="Without not_found, which may be the answer that was looked for, and rate_limited, which is tried "
                "again: 429s have a panel of their own.",
            )
        )
        .with_panel(
            number(
                "Slowest kind: last success",
                f"max(time() - {last})",
                unit="s",
                fair=300,
                bad=600,
                text="How long ago the last pass over an object came to its end, of the kind where that is longest.",
            )
        )
        .with_panel(
            number(
                "Guilds held",
                f"sum(max by (cause) (provider_discord_guilds_held{{{JOB}}}))",
                fair=1,
                text="Only changed manifests are applied there until somebody releases the hold.",
            )
        )
    )


def _objects(made: boards.Dashboard) -> boards.Dashboard:
    objects = f"provider_discord_resources_total{{{JOB}"
    return (
        made.with_row(boards.Row("Objects"))
        .with_panel(
            curves(
                "Objects by kind",
                (f"sum by (kind) (max by (kind, ready, synced) ({objects}}}))", "{{kind}}"),
                stacked=True,
            )
        )
        .with_panel(
            curves(
                "Not Ready, not Synced",
                (
                    f'sum by (kind) (max by (kind, ready, synced) ({objects},ready!="True"}}))',
                    "{{kind}} not Ready",
                ),
                (
                    f'sum by (kind) (max by (kind, ready, synced) ({objects},synced!="True"}}))',
                    "{{kind}} not Synced",
                ),
                (f"max by (kind) (provider_discord_resources_paused{{{JOB}}})", "{{kind}} paused"),
                (f"max by (kind) (provider_discord_resources_held{{{JOB}}})", "{{kind}} held"),
            )
        )
        .with_panel(
            curves(
                "Drift",
                (f"sum by (kind) (increase(provider_discord_drift_total{{{JOB}}}[{RATE}]))", "{{kind}}"),
                text="Objects found changed at Discord although their manifest had not changed.",
            )
        )
        .with_panel(
            curves(
                "Time since the last success",
                (
                    f"time() - max by (kind) (provider_discord_last_success_timestamp_seconds{{{JOB}}})",
                    "{{kind}}",
                ),
                unit="s",
            )
        )
        .with_panel(
            curves(
                "From a new object to Ready",
                *(
                    (
                        (
                            f"histogram_quantile({share}, sum by (le) (increase("
                            f"crossplane_managed_resource_first_time_to_readiness_seconds_bucket{{{JOB}}}[1h])))"
                        ),
                        f"p{int(share * 100)}",
                    )
                    for share in (0.5, 0.95)
                ),
                unit="s",
            )
        )
        .with_panel(
            curves(
                "Holds, and fields left alone",
                (f"sum by (cause) (increase(provider_discord_holds_total{{{JOB}}}[{RATE}]))", "{{cause}}"),
                (f"max by (cause) (provider_discord_guilds_held{{{JOB}}})", "held: {{cause}}"),
            )
        )
    )


def _discord(made: boards.Dashboard) -> boards.Dashboard:
    buckets = f"provider_discord_api_duration_seconds_bucket{{{JOB}}}"
    return (
        made.with_row(boards.Row("Discord's API"))
        .with_panel(
            curves(
                "Calls by outcome",
                (f"sum by (status) (rate({_ALL}[{RATE}]))", "{{status}}"),
                unit="reqps",
                stacked=True,
            )
        )
        .with_panel(
            curves(
                "Failed calls by reason",
                (
                    f'sum by (status) (rate(provider_discord_api_operations_total{{{JOB},status!="success"}}[{RATE}]))',
                    "{{status}}",
                ),
                unit="reqps",
                text="All but success, rate_limited and not_found as well.",
            )
        )
        .with_panel(
            curves(
                "Latency",
                *(
                    (
                        f"histogram_quantile({share}, sum by (le) (rate({buckets}[{RATE}])))",
                        f"p{int(share * 100)}",
                    )
                    for share in (0.5, 0.95, 0.99)
                ),
                unit="s",
                text="Of calls, with waiting for rate limits and retries.",
            )
        )
        .with_panel(
            curves(
                "Latency by operation, p95",
                (
                    f"histogram_quantile(0.95, sum by (le, resource_type, operation) (rate({buckets}[{RATE}])))",
                    "{{operation}} {{resource_type}}",
                ),
                unit="s",
            )
        )
        .with_panel(
            curves(
                "Requests by kind of thing",
                (
                    f"sum by (resource_type, operation) (rate(provider_discord_requests_total{{{JOB}}}[{RATE}]))",
                    "{{operation}} {{resource_type}}",
                ),
                unit="reqps",
                stacked=True,
            )
        )
        .with_panel(
            curves(
                "Circuit breakers",
                (
                    (
                        f'max by (resource_type) (provider_discord_circuit_breaker_state{{{JOB},state="open"}})'
                        f' + 0.5 * max by (resource_type) (provider_discord_circuit_breaker_state{{{JOB},state="half-open"}})'
                    ),
                    "{{resource_type}}",
                ),
                text="0 closed, 0.5 half open, 1 open.",
            )
        )
    )


def _limits(made: boards.Dashboard) -> boards.Dashboard:
    waits = f"provider_discord_queue_wait_seconds_bucket{{{JOB}}}"
    return (
        made.with_row(boards.Row("Rate limits"))
        .with_panel(
            curves(
                "429 answers",
                (
                    f"sum by (scope) (increase(provider_discord_rate_limited_total{{{JOB}}}[{RATE}]))",
                    "{{scope}}",
                ),
            )
        )
        .with_panel(
            curves(
                "Requests left of 50 a second",
                (f"min(provider_discord_rate_limit_global_free{{{JOB}}})", "busiest token"),
            )
        )
        .with_panel(
            curves(
                "Wait for a turn, p95",
                (f"histogram_quantile(0.95, sum by (le, priority) (rate({waits}[{RATE}])))", "{{priority}}"),
                unit="s",
            )
        )
        .with_panel(
            curves(
                "Calls waiting and under way",
                (f"sum(provider_discord_queue_depth{{{JOB}}})", "wait for a limit"),
                (f"sum(provider_discord_requests_in_flight{{{JOB}}})", "under way"),
                (f"sum(provider_discord_rate_limit_parked{{{JOB}}})", "sub-limits used up"),
            )
        )
        .with_panel(
            curves(
                "Invalid requests in ten minutes",
                (f"max(provider_discord_invalid_requests{{{JOB}}})", "401, 403 and 429"),
                text="Discord bans an address at 10,000. At 1,000 polls stop here.",
            )
        )
        .with_panel(
            curves(
                "Retries",
                (f"sum by (reason) (rate(provider_discord_retries_total{{{JOB}}}[{RATE}]))", "{{reason}}"),
                unit="reqps",
            )
        )
    )


def _work(made: boards.Dashboard) -> boards.Dashboard:
    return (
        made.with_row(boards.Row("Work"))
        .with_panel(
            curves(
                "Objects due and waiting",
                (f"sum by (priority) (workqueue_depth{{{JOB}}})", "{{priority}}"),
                stacked=True,
            )
        )
        .with_panel(
            curves(
                "Wait for a worker, p95",
                (
                    f"histogram_quantile(0.95, sum by (le, priority) (rate(workqueue_queue_duration_seconds_bucket{{{JOB}}}[{RATE}])))",
                    "{{priority}}",
                ),
                unit="s",
            )
        )
        .with_panel(
            curves(
                "Passes by result",
                (
                    f"sum by (result) (rate(controller_runtime_reconcile_total{{{JOB}}}[{RATE}]))",
                    "{{result}}",
                ),
                unit="ops",
                stacked=True,
            )
        )
        .with_panel(
            curves(
                "Time of a pass, p95",
                (
                    f"histogram_quantile(0.95, sum by (le, controller) (rate(controller_runtime_reconcile_time_seconds_bucket{{{JOB}}}[{RATE}])))",
                    "{{controller}}",
                ),
                unit="s",
            )
        )
        .with_panel(
            curves(
                "Workers",
                (f"sum(controller_runtime_active_workers{{{JOB}}})", "at work"),
                (f"max(controller_runtime_max_concurrent_reconciles{{{JOB}}})", "there are"),
                (
                    f"max(workqueue_longest_running_processor_seconds{{{JOB}}})",
                    "the slowest has been at it, seconds",
                ),
            )
        )
        .with_panel(
            curves(
                "Errors and panics",
                (
                    f"sum by (controller) (rate(controller_runtime_reconcile_errors_total{{{JOB}}}[{RATE}]))",
                    "{{controller}}",
                ),
                (f"sum(rate(controller_runtime_reconcile_panics_total{{{JOB}}}[{RATE}]))", "panics"),
                unit="ops",
            )
        )
    )


def _process(made: boards.Dashboard) -> boards.Dashboard:
    return (
        made.with_row(boards.Row("Process"))
        .with_panel(
            curves(
                "Memory",
                (f"process_resident_memory_bytes{{{JOB}}}", "{{instance}}"),
                (f"provider_discord_memory_limit_bytes{{{JOB}}}", "{{instance}} limit"),
                unit="bytes",
            )
        )
        .with_panel(
            curves(
                "CPU",
                (f"rate(process_cpu_seconds_total{{{JOB}}}[{RATE}])", "{{instance}}"),
                unit="percentunit",
            )
        )
        .with_panel(
            curves(
                "Requests to the API server",
                (f"sum by (code) (rate(rest_client_requests_total{{{JOB}}}[{RATE}]))", "{{code}}"),
                unit="reqps",
            )
        )
    )
