"""``python -m provider_discord`` is ``provider-discord``."""

from __future__ import annotations

from provider_discord.cli import main

main()
