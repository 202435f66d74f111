"""One guild: what somebody responsible for it wants to know, and nothing of the others."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as boards
from grafana_foundation_sdk.models import dashboard as models

from dashboards.panels import JOB, RATE, SOURCE, TAG, board, curves, number

_OBJECTS = f'provider_discord_guild_resources{{{JOB},guild="$guild"'


def guild() -> boards.Dashboard:
    """Return the dashboard."""
    state = "max by (kind, ready, synced)"
    drift = f'provider_discord_guild_drift_total{{{JOB},guild="$guild"}}'
    last = f'max(provider_discord_guild_last_success_timestamp_seconds{{{JOB},guild="$guild"}})'
    all_, synced = f"sum({state} ({_OBJECTS}}}))", f'sum({state} ({_OBJECTS},synced="True"}}))'
    ready = f'sum({state} ({_OBJECTS},ready="True"}}))'
    return (
        board(
            "provider-discord / Guild",
            uid="provider-discord-guild",
            description="One Guild object and everything in it.",
        )
        .link(
            boards.DashboardLink("Overview")
            .type(models.DashboardLinkType.DASHBOARDS)
            .tags([TAG])
            .keep_time(keep_time=True)
            .include_vars(include_vars=True)
        )
        .with_variable(
            boards.QueryVariable("guild")
            .label("Guild")
            .datasource(SOURCE)
            .query(f"label_values(provider_discord_guild_resources{{{JOB}}}, guild)")
            .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
            .sort(models.VariableSort.ALPHABETICAL_ASC)
        )
        .with_panel(number("Objects", all_))
        .with_panel(number("Ready", f"({ready} or vector(0)) / {all_}", unit="percentunit", fair=1, bad=0.9))
        .with_panel(
            number("Synced", f"({synced} or vector(0)) / {all_}", unit="percentunit", fair=1, bad=0.9)
        )
        .with_panel(number("Last success", f"time() - {last}", unit="s", fair=300, bad=600))
        .with_panel(
            number(
                "Drift in the time shown",
                f"sum(max by (kind) (increase({drift}[$__range])))",
                fair=1,
                text="Objects found changed at Discord although their manifest had not changed.",
            )
        )
        .with_panel(
            number(
                "Objects held",
                f'sum(max by (kind) (provider_discord_guild_resources_held{{{JOB},guild="$guild"}}))',
                fair=1,
                text="Differ at Discord and are not put back, because this guild is held. Its condition Held says why.",
            )
        )
        .with_panel(
            curves("Objects by kind", (f"sum by (kind) ({state} ({_OBJECTS}}}))", "{{kind}}"), stacked=True)
        )
        .with_panel(
            curves(
                "By condition",
                (f"sum by (ready, synced) ({state} ({_OBJECTS}}}))", "Ready={{ready}} Synced={{synced}}"),
                stacked=True,
            )
        )
        .with_panel(
            curves("Drift", (f"sum by (kind) (max by (kind) (increase({drift}[{RATE}])))", "{{kind}}"))
        )
        .with_panel(
            curves(
                "Not Synced by kind",
                (
                    (
                        f"sum by (kind) ({state} ({_OBJECTS}}})) - "
                        f'(sum by (kind) ({state} ({_OBJECTS},synced="True"}})) or 0 * sum by (kind) ({state} ({_OBJECTS}}})))'
                    ),
                    "{{kind}}",
                ),
                span=12,
            )
        )
        .with_panel(
            curves(
                "Not Ready by kind",
                (
                    (
                        f"sum by (kind) ({state} ({_OBJECTS}}})) - "
                        f'(sum by (kind) ({state} ({_OBJECTS},ready="True"}})) or 0 * sum by (kind) ({state} ({_OBJECTS}}})))'
                    ),
                    "{{kind}}",
                ),
                span=12,
            )
        )
        .with_panel(curves("Time since the last success", (f"time() - {last}", "$guild"), unit="s", span=24))
    )
