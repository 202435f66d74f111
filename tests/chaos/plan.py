"""What a seed stands for: everything random about one run, drawn before it begins.

Seeds come in families, told by their thousands: so a seed's number says what it is about.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from provider_discord.managed.tools import CHECKPOINTS
from provider_discord.simulator.permissions import Permission, parse
from tests.chaos.beyond import no_room, trial_of

RESOLVERS: Final = ("resolve.before", "resolve.found", "resolve.persisted")
ADOPTERS: Final = ("adopt.before-persist", "adopt.persisted")
STORMY: Final = (*(label for label in CHECKPOINTS if label not in ADOPTERS), "update.persisted")
"""Labels for the lives of the storm; of an update there is seldom something to remember."""
EARLY: Final = tuple(label for label in STORMY if not label.startswith(("update.", "delete.")))
"""Labels that a first life can come to, when nothing is there yet."""
DELETING: Final = (*(label for label in CHECKPOINTS if label.startswith("delete.")), "status.before")
"""Labels for the lives in which half of the manifests are deleted and nothing else happens."""
_ORDINARY: Final = (
    "VIEW_CHANNEL",
    "MANAGE_CHANNELS",
    "MANAGE_ROLES",
    "MANAGE_GUILD",
    "SEND_MESSAGES",
    "CONNECT",
    "ADD_REACTIONS",
    "EMBED_LINKS",
)


class Family(StrEnum):
    """What a seed is about."""

    GENERAL = "general"
    NO_AUDIT = "no audit log"
    COMMAND = "installed command"
    RESTART = "API server restarts"
    BEYOND = "beyond the thresholds"
    CONTROL = "control: the same chaos"
    AIMED = "control: aimed at the gap"
    UNDELETED = "control: nothing is deleted"


FAMILIES: Final = (
    Family.GENERAL,
    Family.NO_AUDIT,
    Family.COMMAND,
    Family.RESTART,
    Family.BEYOND,
    Family.CONTROL,
    Family.AIMED,
    Family.UNDELETED,
)
"""By a seed's thousands."""
BROKEN_IN: Final = {
    Family.CONTROL: "create-again",
    Family.AIMED: "create-again",
    Family.UNDELETED: "delete-nothing",
}
"""What the negative controls switch off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """How a life ends.

    Attributes:
        label: at this checkpoint; "" not at one.
        hit: when it comes there for the n-th time.
        ambush: `kube` or `discord`: at a request to there; "" not at one.
        after: with an ambush: once the request was carried out, not before it was sent.
        method: with an ambush: at such a request.
        seconds: if nothing of that comes, after this time.
    """

    label: str = ""
    hit: int = 1
    ambush: str = ""
    after: bool = False
    method: str = ""
    seconds: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One seed's run.

    Attributes:
        seed: the seed.
        drawn_as: the seed that everything random is drawn by: of a control the general seed whose chaos it has.
        family: what it is about.
        deaths: how each life of the provider ends.
        channels, roles: how many of each the first manifests have.
        act_seconds: the longest pause between two acts.
        by_hand: the share of acts that are the moderator's.
        deletes_by_hand: whether the moderator deletes managed things.
        budget: how many managed objects the moderator may make differ.
        adoption: the ProviderConfig's `adoption`; "" leaves it out.
        bot_permissions: what the bot may do.
        behaviour: answers of the simulated Discord to what no document settles.
        kube_rate, discord_rate: the share of requests that something befalls.
        watch_seconds: the longest life of a watch; 0: as long as it likes.
        faults: how often a fault is armed in the simulated Discord, in seconds.
        rotations: how often the token is changed.
        restarts: how often the API server is restarted.
        leases: whether the provider needs a Lease.
        broken: what a negative control switches off.
        begins_calm: whether the first manifests become true before the storm begins.
        watches_idle: whether the end of the run is watched for needless writes.
    """

    seed: int
    drawn_as: int
    family: Family
    deaths: tuple[Death, ...]
    channels: int
    roles: int
    act_seconds: float
    by_hand: float
    deletes_by_hand: bool
    budget: int
    adoption: str
    bot_permissions: int
    behaviour: dict[str, Any] = field(default_factory=dict)
    kube_rate: float
    discord_rate: float
    watch_seconds: float
    faults: float
    rotations: int
    restarts: int
    leases: bool
    broken: str
    begins_calm: bool
    watches_idle: bool


def family_of(seed: int) -> Family:
    """Return a seed's family. Raises ValueError: there is none for it."""
    if not 0 <= seed // 1000 < len(FAMILIES):
        msg = f"there is no seed {seed}: they go from 0 to {len(FAMILIES) * 1000 - 1}"
        raise ValueError(msg)
    return FAMILIES[seed // 1000]


def plan_of(seed: int, *, lives: int | None = None) -> Plan:
    """Draw a seed's plan.

    Args:
        seed: the seed.
        lives: how many lives end in it; None: as many as its family has.
    """
    family = family_of(seed)
    drawn_as = seed % 1000 if family is Family.CONTROL else seed
    rand = random.Random(drawn_as)  # noqa: S311 - a seed must repeat
    broken = BROKEN_IN.get(family, "")
    usual = {Family.COMMAND: 10, Family.RESTART: 6, Family.BEYOND: 3}
    count = lives or usual.get(family, 12)
    audit_log = family is not Family.NO_AUDIT
    permissions = int(Permission.ADMINISTRATOR)
    if not audit_log or rand.random() < 0.25:
        permissions = parse([*_ORDINARY, "VIEW_AUDIT_LOG"] if audit_log else list(_ORDINARY))
    adoption = rand.choice(["", "Refuse", "CreateNew", "CreateNew", "ByName"])
    if family is Family.BEYOND:
        adoption = ""
    elif family is Family.NO_AUDIT:
        adoption = rand.choice(["", "CreateNew"])
    elif family in {Family.AIMED, Family.UNDELETED}:
        # The check of the name would keep a careless create from making a second one.
        adoption = "CreateNew"
    calm = rand.random() < 0.5
    ties = family is Family.BEYOND and trial_of(seed)[0] is no_room
    plan = Plan(
        seed=seed,
        drawn_as=drawn_as,
        family=family,
        deaths=_deaths(rand, family, count, calm=calm),
        channels=10 if family is Family.BEYOND else rand.randrange(2, 7),
        roles=0 if ties else rand.randrange(1, 4),
        act_seconds=rand.choice([0.15, 0.3, 0.6]),
        by_hand=rand.choice([0.15, 0.3]),
        deletes_by_hand=audit_log,
        budget=4,
        adoption=adoption,
        bot_permissions=permissions,
        behaviour={**_behaviour(rand), **({"new_role": "ties"} if ties else {})},
        kube_rate=rand.choice([0.0, 0.03, 0.08, 0.15]),
        discord_rate=rand.choice([0.0, 0.03, 0.08, 0.15]),
        watch_seconds=rand.choice([0.0, 0.0, 1.0, 3.0]),
        faults=rand.choice([0.3, 0.8, 2.0]),
        rotations=rand.choice([0, 0, 1, 2]),
        restarts=3 if family is Family.RESTART else 0,
        leases=rand.random() < 0.3,
        broken=broken,
        begins_calm=calm,
        watches_idle=rand.random() < 0.2,
    )
    assert len(plan.deaths) == count
    return plan


def last_of(count: int) -> int:
    """Return how many of a seed's lives end while half of the manifests are deleted."""
    return max(1, count // 6)


def _deaths(rand: random.Random, family: Family, count: int, *, calm: bool) -> tuple[Death, ...]:
    """Draw how the lives end: most at a label, the others at a request or anywhere."""
    if family is Family.AIMED:
        return tuple(Death(label="create.sent", seconds=rand.uniform(5.3, 6.6)) for _ in range(count))
    deaths: list[Death] = []
    for number in range(count):
        deleting = number >= count - last_of(count)
        if family is Family.COMMAND:
            # It has no checkpoints, and takes its time to start.
            if rand.random() < 0.7:
                deaths.append(_ambush(rand, seconds=rand.uniform(2.5, 4.5), deleting=deleting))
            else:
                deaths.append(Death(seconds=rand.uniform(1.5, 3.5)))
            continue
        kind, seconds = rand.random(), rand.uniform(0.3, 1.6)
        if kind < 0.82:
            label = _label(rand, number, deaths, calm=calm, deleting=deleting)
            deaths.append(Death(label=label, hit=rand.choice([1, 1, 1, 2]), seconds=4.0 + seconds))
        elif kind < 0.94:
            deaths.append(_ambush(rand, seconds=2.0 + seconds, deleting=deleting))
        else:
            deaths.append(Death(seconds=seconds))
    return tuple(deaths)


def _label(rand: random.Random, number: int, before: list[Death], *, calm: bool, deleting: bool) -> str:
    """Choose the label for a life that is the so-many-th of its seed."""
    if deleting:
        return rand.choice(DELETING)
    if number == 0 and not calm:
        return rand.choice(ADOPTERS)  # The guild is adopted in the first life.
    if before and before[-1].label == "create.sent" and rand.random() < 0.7:
        return rand.choice(RESOLVERS)  # A death leads to the next.
    return rand.choice(EARLY if number < 2 and not calm else STORMY)


def _ambush(rand: random.Random, *, seconds: float, deleting: bool) -> Death:
    side = rand.choice(["kube", "discord", "discord"])
    methods = {"kube": ["PUT", "POST"], "discord": ["POST", "POST", "PATCH", "DELETE"]}[side]
    if deleting:
        methods = {"kube": ["PUT"], "discord": ["DELETE"]}[side]
    return Death(
        ambush=side,
        after=rand.random() < 0.6,
        method=rand.choice(methods),
        hit=rand.choice([1, 1, 2, 4]),
        seconds=seconds,
    )


def _behaviour(rand: random.Random) -> dict[str, Any]:
    """Draw answers under which nobody has to help; `beyond.no_room` is about the one where somebody must."""
    return {
        "channel_positions": rand.choice(["renumbered", "verbatim"]),
        "unset_fields": rand.choice(["omitted", "shown"]),
        "audit_of_reorder": rand.random() < 0.3,
        "audit_log_lag_seconds": rand.choice([0.0, 0.0, 0.0, 0.5, 2.0]),
    }
