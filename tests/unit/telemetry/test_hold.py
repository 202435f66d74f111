"""What an alert sees of holds."""

from __future__ import annotations

from provider_discord.telemetry.hold import HoldInstruments
from provider_discord.telemetry.metrics import Metrics


def test_a_copy_that_lost_the_lead_knows_of_no_hold() -> None:
    """Another one leads, and may have seen the hold released: the alert goes by the greatest of all copies."""
    metrics, leads = Metrics(), True
    instruments = HoldInstruments(metrics, leads=lambda: leads)
    series = 'provider_discord_guilds_held{cause="MassDrift"}'
    assert f"{series} 0.0" in metrics.render().decode()
    instruments.held("MassDrift", guilds=2)
    assert f"{series} 2.0" in metrics.render().decode()
    leads = False
    assert f"{series} 0.0" in metrics.render().decode()
    instruments.held("MassDrift", guilds=1)  # A pass that was under way.
    assert f"{series} 0.0" in metrics.render().decode()
