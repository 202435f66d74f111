"""The Grafana dashboards, built with grafana-foundation-sdk: `python -m dashboards`, from the folder `hack/`.

JSON is what Grafana wants and what nobody can review; here a panel is its title, its queries and its unit. The result
is checked in (`chart/provider-discord/files/dashboards`), and tests hold it against a real Prometheus.
"""

from __future__ import annotations

from dashboards.guild import guild
from dashboards.overview import overview
from dashboards.render import FOLDER, render

__all__ = ["FOLDER", "guild", "overview", "render"]
