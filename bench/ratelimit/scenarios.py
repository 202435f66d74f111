"""The scenarios as data, and the least time that their limits allow anybody.

The floor counts what the server's limits alone demand, perfectly known beforehand, and one median answer, since the
last request has to be answered too. Where answers to creates are lost, it counts one look into the audit log for each
of them, as a client does that looks each of them up by itself. It does not count what a client has to learn, nor
jitter. Latency is drawn at the server after the request was counted: half of the answers take longer than 80 ms, one
in a hundred longer than 100 ms.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.ratelimit.jobs import Operation, Verb
from provider_discord.simulator import BucketRule, Effect, Fault, Kind, LimitsConfig, Mode, SubLimit

MEDIAN_SECONDS, P99_SECONDS = 0.08, 0.1
GLOBAL_PER_SECOND = 50
CREATES, LOST_EVERY = 30, 5

ROUTES: dict[Verb, str] = {
    Verb.EDIT_ROLE: "PATCH /guilds/{guild_id}/roles/{role_id}",
    Verb.CREATE_ROLE: "POST /guilds/{guild_id}/roles",
    Verb.EDIT_CHANNEL: "PATCH /channels/{channel_id}",
    Verb.RENAME_CHANNEL: "PATCH /channels/{channel_id}",
    Verb.GET_CHANNEL: "GET /channels/{channel_id}",
    Verb.PUT_OVERWRITE: "PUT /channels/{channel_id}/permissions/{overwrite_id}",
}
AUDIT_LOG = "GET /guilds/{guild_id}/audit-logs"
_OF_GUILD = {Verb.EDIT_ROLE, Verb.CREATE_ROLE}


@dataclass(frozen=True, slots=True)
class Guild:
    """Ids of what there is before the start."""

    guild_id: str
    roles: Sequence[str]
    channels: Sequence[str]


@dataclass(frozen=True, slots=True)
class Disturbance:
    """What goes wrong for a while.

    Attributes:
        begins: Seconds after the first request.
        seconds: For how long.
        fault: What.
    """

    begins: float
    seconds: float
    fault: Fault


@dataclass(frozen=True, slots=True)
class Scenario:
    """One thing that contestants do.

    Attributes:
        name: For the command line.
        title: For the table.
        buckets: The limits besides the global one.
        operations: Makes the work; the generator is seeded by the run.
        warm_up: Makes what is done before.
        roles: How many roles the guild has.
        channels: How many channels.
        faults: What goes wrong.
        sublimits: Limits on single fields.
        disturbance: What goes wrong for a while; the floor is longer by as much.
        skew_seconds: How far the server's clock is ahead of the client's.
        jitter_seconds: Up to so much is added to each way; the floor is longer by what that is on average.
        foreign: Requests that somebody else wants from the first bucket in each of its windows; what he gets is in
            the floor.
        restart_at: Seconds after the first request at which the client's process is killed, and a new one does the rest.
        persistent: Callers come back after an error.
        unavoidable: 429s that nobody can avoid.
    """

    name: str
    title: str
    buckets: tuple[BucketRule, ...]
    operations: Callable[[Guild, random.Random], list[Operation]]
    warm_up: Callable[[Guild], list[Operation]] = lambda _: []
    roles: int = 1
    channels: int = 0
    faults: tuple[Fault, ...] = ()
    sublimits: tuple[SubLimit, ...] = ()
    disturbance: Disturbance | None = None
    skew_seconds: float = 0.0
    jitter_seconds: float = 0.0
    foreign: int = 0
    restart_at: float | None = None
    persistent: bool = False
    unavoidable: int = 0

    @property
    def limits(self) -> LimitsConfig:
        """The server's limits."""
        return LimitsConfig(
            mode=Mode.CUSTOM,
            buckets=self.buckets,
            sublimits=self.sublimits,
            global_per_second=GLOBAL_PER_SECOND,
        )

    def floor(self, operations: Sequence[Operation], *, taken: int = 0) -> float:
        """Return the least number of seconds in which anybody can have all of them answered.

        Args:
            operations: The work.
            taken: What others took from the first bucket meanwhile.
        """
        stays = [operation for operation in operations if operation.patience is None]
        least = max(*(operation.at for operation in stays), (len(stays) - 1) // GLOBAL_PER_SECOND)
        for n, rule in enumerate(self.buckets):
            lost = len(stays) // LOST_EVERY if self.faults and AUDIT_LOG in rule.routes else 0
            majors = (
                Counter({"": lost})
                if lost
                else Counter(
                    "" if operation.verb in _OF_GUILD else operation.target
                    for operation in stays
                    if ROUTES[operation.verb] in rule.routes
                )
            )
            for own in majors.values():
                count = own + (taken if n == 0 else 0)
                if rule.kind is Kind.FIXED:
                    wait = (count - 1) // rule.limit * rule.window_seconds
                else:
                    wait = max(0, count - rule.limit) * rule.window_seconds / rule.limit
                least = max(least, wait)
        for sublimit in self.sublimits:
            renamed = Counter(
                operation.target for operation in stays if operation.verb is Verb.RENAME_CHANNEL
            )
            for count in renamed.values():
                least = max(least, (count - 1) // sublimit.limit * sublimit.window_seconds)
        if self.disturbance is not None:
            least += self.disturbance.seconds
        return least + MEDIAN_SECONDS + self.jitter_seconds


def rule_of(*verbs: Verb, limit: int, window_seconds: float, kind: Kind = Kind.FIXED) -> BucketRule:
    """Return a bucket that these share."""
    return BucketRule(tuple(ROUTES[verb] for verb in verbs), limit, window_seconds, kind)


def edit_roles(guild: Guild, _: random.Random) -> list[Operation]:
    """Edit each role once."""
    return [Operation(n, Verb.EDIT_ROLE, role) for n, role in enumerate(guild.roles)]


def edit_channels(guild: Guild, _: random.Random) -> list[Operation]:
    """Edit two hundred channels once."""
    return [Operation(n, Verb.EDIT_CHANNEL, channel) for n, channel in enumerate(guild.channels[:200])]


def _one_channel_first(guild: Guild) -> list[Operation]:
    return [Operation(-1, Verb.EDIT_CHANNEL, guild.channels[200])]


def _mixed(guild: Guild, rng: random.Random) -> list[Operation]:
    wanted = [
        *((Verb.EDIT_ROLE, guild.roles[n]) for n in range(40)),
        *((Verb.EDIT_CHANNEL, guild.channels[n % 20]) for n in range(60)),
        *((Verb.GET_CHANNEL, guild.channels[n % 20]) for n in range(40)),
        *((Verb.PUT_OVERWRITE, guild.channels[n % 20]) for n in range(40)),
    ]
    rng.shuffle(wanted)
    return [
        Operation(n, verb, target, subject=guild.roles[n % 40]) for n, (verb, target) in enumerate(wanted)
    ]


def _changes_behind_polls(guild: Guild, rng: random.Random) -> list[Operation]:
    polls = [Operation(n, Verb.GET_CHANNEL, guild.channels[n]) for n in range(300)]
    changes = [
        Operation(300 + n, Verb.EDIT_CHANNEL, guild.channels[300 + n], at=rng.uniform(0.2, 5.0), user=True)
        for n in range(10)
    ]
    return polls + changes


def _create_roles(_: Guild, __: random.Random) -> list[Operation]:
    return [Operation(n, Verb.CREATE_ROLE, f"new-{n}") for n in range(CREATES)]


def _every_fifth_create(effect: Effect, status: int = 500) -> tuple[Fault, ...]:
    return tuple(
        Fault(effect, method="POST", skip=skip, times=1, status=status, after_commit=True)
        for skip in range(LOST_EVERY - 1, 100, LOST_EVERY)
    )


CHANNELS = rule_of(Verb.EDIT_CHANNEL, limit=5, window_seconds=5)
_POLLS = rule_of(Verb.GET_CHANNEL, limit=5, window_seconds=1, kind=Kind.SLIDING)
_CREATES = (
    rule_of(Verb.CREATE_ROLE, limit=10, window_seconds=2),
    BucketRule((AUDIT_LOG,), 5, 5),
)

SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        "roles-fixed",
        "100 role edits, fixed bucket (10 per 2 s)",
        (rule_of(Verb.EDIT_ROLE, limit=10, window_seconds=2),),
        edit_roles,
        roles=100,
    ),
    Scenario(
        "roles-sliding",
        "100 role edits, sliding bucket (10 per 2 s)",
        (rule_of(Verb.EDIT_ROLE, limit=10, window_seconds=2, kind=Kind.SLIDING),),
        edit_roles,
        roles=100,
    ),
    Scenario(
        "channels-cold",
        "200 channels edited, cold (5 per 5 s each)",
        (CHANNELS,),
        edit_channels,
        channels=200,
    ),
    Scenario(
        "channels-warm",
        "200 channels edited after one other (5 per 5 s each)",
        (CHANNELS,),
        edit_channels,
        warm_up=_one_channel_first,
        channels=201,
    ),
    Scenario(
        "mixed",
        "180 mixed operations: 40 role edits, 60 channel edits, 40 channel reads, 40 overwrites on 20 channels",
        (
            rule_of(Verb.EDIT_ROLE, limit=10, window_seconds=2),
            CHANNELS,
            _POLLS,
            rule_of(Verb.PUT_OVERWRITE, limit=10, window_seconds=15, kind=Kind.SLIDING),
        ),
        _mixed,
        roles=40,
        channels=20,
    ),
    Scenario(
        "changes-behind-polls",
        "10 user changes at random moments behind 300 polls",
        (CHANNELS, _POLLS),
        _changes_behind_polls,
        channels=310,
    ),
    *(
        Scenario(
            f"creates-{name}",
            f"30 creates, every 5th POST committed and then {title}",
            _CREATES,
            _create_roles,
            faults=_every_fifth_create(effect, status),
        )
        for name, title, effect, status in (
            ("500", "answered 500", Effect.STATUS, 500),
            ("502", "answered 502", Effect.STATUS, 502),
            ("504", "answered 504", Effect.STATUS, 504),
            ("drop", "dropped", Effect.DROP, 0),
        )
    ),
)
