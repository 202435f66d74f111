"""A Discord to try things on: an HTTP server that behaves as Discord's REST API v10 does.

`SimulatorServer` runs one; `ControlClient` acts on it as the people of a guild do, injects faults and reads what
was asked of it. It imports no other room of this project, so that a mistake in one is not repeated in the other.
"""

from provider_discord.simulator.behaviour import (
    BadEntry,
    Behaviour,
    Checked,
    Community,
    ForeignGuild,
    HiddenGet,
    HiddenList,
    Inapplicable,
    NewRole,
    OnCreate,
    Positions,
    Punctuation,
    Spaces,
    Unset,
)
from provider_discord.simulator.config import DEFAULT_PORT, DEFAULT_TOKEN, SimulatorConfig
from provider_discord.simulator.control_client import ControlClient, ControlFailure
from provider_discord.simulator.faults import Effect, Fault, Latency
from provider_discord.simulator.permissions import Permission
from provider_discord.simulator.ratelimit import BucketRule, Kind, LimitsConfig, Mode, SubLimit
from provider_discord.simulator.server import SimulatorServer, StartError

__all__ = [
    "DEFAULT_PORT",
    "DEFAULT_TOKEN",
    "BadEntry",
    "Behaviour",
    "BucketRule",
    "Checked",
    "Community",
    "ControlClient",
    "ControlFailure",
    "Effect",
    "Fault",
    "ForeignGuild",
    "HiddenGet",
    "HiddenList",
    "Inapplicable",
    "Kind",
    "Latency",
    "LimitsConfig",
    "Mode",
    "NewRole",
    "OnCreate",
    "Permission",
    "Positions",
    "Punctuation",
    "SimulatorConfig",
    "SimulatorServer",
    "Spaces",
    "StartError",
    "SubLimit",
    "Unset",
]
