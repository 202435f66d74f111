"""How a simulator is started."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from provider_discord.simulator.behaviour import Behaviour
from provider_discord.simulator.faults import Latency
from provider_discord.simulator.permissions import Permission
from provider_discord.simulator.ratelimit import LimitsConfig

DEFAULT_TOKEN = "simulator-token"  # noqa: S105 - it opens nothing but a simulator
DEFAULT_PORT = 8585


@dataclass(frozen=True, slots=True)
class SimulatorConfig:
    """How a simulator is started.

    Attributes:
        host: the address to listen on; the control API answers loopback clients only, whatever it is.
        port: the port; 0 takes a free one.
        token: the token of the first bot; "" for no bot and no guild.
        bot_name: the first bot's name.
        guild_name: the name of the first guild, which the bot is in; "" for none.
        guild_id: its id; None for a new one.
        bot_permissions: what the bot's own role in it may do.
        features: the guild's features.
        behaviour: the answers to what no document settles.
        limits: the rate limits.
        latency: how long answers take.
        state_file: where the state is kept over restarts; None for nowhere. Where it exists the first bot and
            guild come from it.
        seed: of everything random.
        request_log_size: how many requests the log remembers.
    """

    host: str = "127.0.0.1"
    port: int = 0
    token: str = field(default=DEFAULT_TOKEN, repr=False)
    bot_name: str = "provider-discord"
    guild_name: str = "Simulated Guild"
    guild_id: str | None = None
    bot_permissions: int = int(Permission.ADMINISTRATOR)
    features: tuple[str, ...] = ()
    behaviour: Behaviour = field(default_factory=Behaviour)
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    latency: Latency = field(default_factory=Latency)
    state_file: Path | None = None
    seed: int = 0
    request_log_size: int = 100_000
