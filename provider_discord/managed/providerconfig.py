"""ProviderConfigs: see `sessions` for the seam to kinds."""

from __future__ import annotations

from provider_discord.managed.sessions import Identity, Session, SessionFactory, TokenRejected

__all__ = ["Identity", "Session", "SessionFactory", "TokenRejected"]
