"""The reference page of the metrics, made from the instruments themselves.

Each collector describes its families without a series, and each instrument knows its labels, so that nothing has to
run for the page. What the labels hold is written here, and a label without an entry is an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from provider_discord.telemetry.metrics import Metrics

__all__ = ["Series", "described", "render"]

LABELS: Final = {
    "cause": "`MassDrift` or `IncidentActions`",
    "check": "a line of `/healthz`: `ping`, `cache-channels`, `watch-channels`, `discord`, `tokens`, `leader` ...",
    "code": "HTTP status; `<error>` for no answer",
    "controller": "`managed/channel.channel.discord.crossplane.io` and so on; of queues, the queue's name",
    "generation": "of Python's garbage collector",
    "guild": "`namespace/name` of the Guild object; empty where none stands for the guild",
    "gvk": "`group/version, Kind=Kind`",
    "host": "the API server's host",
    "implementation": "of Python",
    "kind": "`Guild`, `Channel`, `Role` ...",
    "major": "of Python's version",
    "method": "HTTP method",
    "minor": "of Python's version",
    "name": "of the queue, or of the lease",
    "operation": "`get`, `list`, `create`, `update`, `delete`",
    "patchlevel": "of Python's version",
    "priority": "`change` (or `user`) before `retry` before `poll`",
    "provider_config": "name of the ProviderConfig",
    "ready": "status of the condition Ready: `True`, `False`, `Unknown`",
    "reason": "a few words for what went wrong",
    "resolution": "what became of a create whose answer was lost",
    "resource_type": "`guild`, `channel`, `role`, `member`, `user`, `application`, `audit_log`, `message`",
    "result": "`success`, `error`, `requeue`, `requeue_after`",
    "scope": "of a 429: `user`, `global`, `shared`, `sublimit`",
    "state": "`closed`, `half-open`, `open`",
    "status": "of calls: `success`, `bad_request`, `unauthorized`, `forbidden`, `not_found`, `rate_limited`, "
    "`circuit_open`, `unavailable`, `ambiguous`, `banned`; of requests: the HTTP status, `0` for no answer",
    "synced": "status of the condition Synced: `True`, `False`, `Unknown`",
    "version": "of the build; of Python",
}

_GROUPS: Final = (
    ("provider_discord_guild_", "A single guild"),
    ("provider_discord_", "The provider and Discord"),
    ("crossplane_", "Managed resources, as Crossplane's dashboards query them"),
    ("controller_runtime_", "Controllers, by controller-runtime's names"),
    ("workqueue_", "The work queue, by client-go's names"),
    ("", "The process and the API server"),
)

_HEAD: Final = """\
# Metrics

Generated from the code by `make generate`; `provider-discord metrics` prints it too. The provider serves them at
`/metrics` on port 8080. Every label is bounded: kinds, reasons and route templates, names of ProviderConfigs and of
Guild objects; never an id, a message or a URL. Histograms have `_bucket`, `_sum` and `_count`.

Of two replicas both tell about objects, since both watch them: take `max`, not `sum`. Only the one that leads tells
about passes, tokens, circuits and limits. The alerts are in `chart/provider-discord/files/alerts.yaml`, what to do
about them in [runbooks.md](runbooks.md).

## Scraping

Alerts, dashboards and runbooks go by `job="provider-discord"`. With the Prometheus operator the chart's ServiceMonitor
(`metrics.serviceMonitor.enabled`), or for the Crossplane package `deploy/crossplane/monitoring.yaml`, sees to that. A
Prometheus that finds pods by the annotation `prometheus.io/scrape` calls the job something like `kubernetes-pods`:
there, add this to the `relabel_configs` of that job, else ProviderDiscordDown fires for ever and nothing else at all.

```yaml
relabel_configs:
- source_labels: [__meta_kubernetes_pod_label_app]
  regex: (provider-discord)
  target_label: job
```
"""


@dataclass(frozen=True, slots=True, order=True)
class Series:
    """One metric.

    Attributes:
        name: As Prometheus shows it, a counter with its `_total`.
        type: counter, gauge, histogram ...
        labels: Their names.
        text: What it tells.
    """

    name: str
    type: str
    labels: tuple[str, ...]
    text: str


def described(metrics: Metrics) -> list[Series]:
    """Return every metric of a registry, by name."""
    return sorted(set(_series(metrics.registry)))


def render() -> str:
    """Return the page, as Markdown."""
    series = described(Metrics(version="x"))
    parts = [_HEAD]
    left = list(series)
    for prefix, title in _GROUPS:
        group = [one for one in left if one.name.startswith(prefix)]
        left = [one for one in left if one not in group]
        parts.append(
            f"## {title}\n\n| metric | type | labels | tells |\n| --- | --- | --- | --- |\n{_rows(group)}"
        )
    used = sorted({label for one in series for label in one.labels})
    rows = "".join(f"| `{label}` | {LABELS[label]} |\n" for label in used)
    parts.append(f"## Labels\n\n| label | holds |\n| --- | --- |\n{rows}")
    return "\n".join(parts)


def _rows(group: Iterable[Series]) -> str:
    return "".join(
        f"| `{one.name}` | {one.type} | {', '.join(f'`{label}`' for label in one.labels)} | {one.text} |\n"
        for one in group
    )


def _series(registry: CollectorRegistry) -> Iterator[Series]:
    collectors: Any = registry._collector_to_names  # noqa: SLF001 - the only way to them
    for collector in list(collectors):
        if isinstance(collector, MetricWrapperBase):
            labels = tuple(collector._labelnames)  # noqa: SLF001 - no child, no sample, no other place
            family = next(iter(collector.describe()))
            yield _one(family.name, family.type, labels, family.documentation)
            continue
        described = list(collector.describe()) if hasattr(collector, "describe") else []
        for family in described or collector.collect():
            labels = tuple(getattr(family, "_labelnames", ()))
            if not labels and family.samples:
                labels = tuple(family.samples[0].labels)
            yield _one(family.name, family.type, labels, family.documentation)


def _one(name: str, type_: str, labels: tuple[str, ...], text: str) -> Series:
    full = f"{name}_total" if type_ == "counter" else name
    return Series(full, type_, labels, " ".join(text.split()).replace("<", "&lt;"))
