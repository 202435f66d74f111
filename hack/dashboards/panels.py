"""What the dashboards are made of: numbers and curves, all on one data source and one job."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import common, prometheus, stat, timeseries
from grafana_foundation_sdk.builders import dashboard as boards
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import prometheus as prometheus_models

SOURCE: Final = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
RATE: Final = "$__rate_interval"
_JOB: Final = 'job="provider-discord"'
_WHERE: Final = ("cluster", "namespace")
JOB: Final = ",".join([_JOB, *(f'{label}=~"${label}"' for label in _WHERE)])
"""Which provider. One store may have those of several clusters; where a series has no such label, All is right."""
TAG: Final = "provider-discord"
HEIGHT: Final = 8
_GOOD, _FAIR, _BAD = "green", "orange", "red"


def board(title: str, *, uid: str, description: str) -> boards.Dashboard:
    """Return an empty dashboard."""
    made = (
        boards.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags([TAG, "discord", "crossplane"])
        .refresh("30s")
        .time("now-1h", "now")
        .timezone("browser")
        .readonly()
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .with_variable(boards.DatasourceVariable("datasource").label("Data source").type("prometheus"))
    )
    for label in _WHERE:
        made = made.with_variable(
            boards.QueryVariable(label)
            .label(label.capitalize())
            .datasource(SOURCE)
            .query(f"label_values(up{{{_JOB}}}, {label})")
            .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
            .sort(models.VariableSort.ALPHABETICAL_ASC)
            .include_all(include_all=True)
            .all_value(".*")
            .current(models.VariableOption(selected=True, text="All", value="$__all"))
        )
    return made


def number(
    title: str,
    query: str,
    *,
    unit: str = "short",
    fair: float | None = None,
    bad: float | None = None,
    span: int = 4,
    text: str = "",
) -> stat.Panel:
    """Return a number that turns orange from `fair` and red from `bad` on; where `bad` is less, below them."""
    steps = [models.Threshold(value=None, color=_GOOD)]
    if fair is not None and bad is not None and bad < fair:
        steps = [
            models.Threshold(value=None, color=_BAD),
            models.Threshold(value=bad, color=_FAIR),
            models.Threshold(value=fair, color=_GOOD),
        ]
    else:
        if fair is not None:
            steps.append(models.Threshold(value=fair, color=_FAIR))
        if bad is not None:
            steps.append(models.Threshold(value=bad, color=_BAD))
    return (
        stat.Panel()
        .title(title)
        .description(text)
        .datasource(SOURCE)
        .unit(unit)
        .height(4)
        .span(span)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .color_mode(common_models.BigValueColorMode.VALUE)
        .graph_mode(common_models.BigValueGraphMode.AREA)
        .thresholds(boards.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps))
        .with_target(_target(query, "", "A"))
    )


def curves(
    title: str,
    *queries: tuple[str, str],
    unit: str = "short",
    stacked: bool = False,
    span: int = 8,
    text: str = "",
) -> timeseries.Panel:
    """Return curves; each query comes with the legend of its series, such as `{{kind}}`."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(text)
        .datasource(SOURCE)
        .unit(unit)
        .height(HEIGHT)
        .span(span)
        .min(0)
        .line_width(1)
        .fill_opacity(30 if stacked else 8)
        .show_points(common_models.VisibilityMode.NEVER)
        .legend(
            common.VizLegendOptions()
            .display_mode(common_models.LegendDisplayMode.LIST)
            .placement(common_models.LegendPlacement.BOTTOM)
            .show_legend(show_legend=True)
        )
        .tooltip(common.VizTooltipOptions().mode(common_models.TooltipDisplayMode.MULTI))
    )
    if stacked:
        panel = panel.stacking(common.StackingConfig().mode(common_models.StackingMode.NORMAL).group("A"))
    for letter, (query, legend) in zip("ABCDEFGH", queries, strict=False):
        panel = panel.with_target(_target(query, legend, letter))
    return panel


def _target(query: str, legend: str, letter: str) -> prometheus.Dataquery:
    return (
        prometheus.Dataquery()
        .expr(query)
        .legend_format(legend)
        .ref_id(letter)
        .editor_mode(prometheus_models.QueryEditorMode.CODE)
        .range()
    )
