"""How close the limiter comes to what the limits allow: the benchmark's scenarios on virtual time.

The work, the floors and the server's limits are the benchmark's own; CPU, threads and the machine's mood play no part.
Besides the simulator's latency, which it has on the way back alone, networks with jitter on both ways are played.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from bench.ratelimit.jobs import Operation, Verb
from bench.ratelimit.perturbed import PERTURBED
from bench.ratelimit.scenarios import MEDIAN_SECONDS, P99_SECONDS, ROUTES, SCENARIOS, Guild, Scenario
from provider_discord.discord.answers import parse_refusal
from provider_discord.discord.priority import Priority
from provider_discord.discord.tickets import Demand, Refusal, Ticket
from provider_discord.discord.timings import DiscordTimings
from provider_discord.simulator.faults import Latency
from provider_discord.simulator.ratelimit import Arrival, RateLimiter
from tests.unit.discord.limiter_world import World

_WALL = 1_700_000_000.4567
_SCENARIOS = {one.name: one for one in (*SCENARIOS, *PERTURBED)}
_LATENCY = Latency(median_seconds=MEDIAN_SECONDS, p99_seconds=P99_SECONDS)
_GUILD = Guild("1", [str(n) for n in range(1_000, 1_100)], [str(n) for n in range(2_000, 2_310)])


class Simulated:
    """The simulator's limits as a server of the model."""

    def __init__(self, scenario: Scenario) -> None:
        self._limits = RateLimiter(scenario.limits)
        self.refused = 0

    def handle(self, demand: Demand, now: float) -> tuple[int, dict[str, str], Refusal | None]:
        arrival = Arrival(token="t", route=demand.route, major=demand.major)
        verdict = self._limits.arrive(arrival, now=now, wall=now + _WALL)
        headers = {name.lower(): value for name, value in verdict.headers.items()}
        if verdict.refusal is None:
            return 200, headers, None
        self.refused += 1
        headers |= {name.lower(): value for name, value in verdict.refusal.headers().items()}
        return 429, headers, parse_refusal(headers, verdict.refusal.body())


def demand_of(operation: Operation) -> Demand:
    """As the benchmark's contestant asks."""
    of_guild = operation.verb is Verb.EDIT_ROLE
    poll = operation.verb is Verb.GET_CHANNEL and not operation.user
    return Demand(
        ROUTES[operation.verb],
        "guild" if of_guild else operation.target,
        priority=Priority.POLL if poll else Priority.USER,
    )


Ways = Callable[[random.Random], tuple[Callable[[], float], Callable[[], float]]]


def simulated(rng: random.Random) -> tuple[Callable[[], float], Callable[[], float]]:
    """Loopback there, the simulator's latency back."""
    return lambda: rng.uniform(0.0005, 0.0025), lambda: _LATENCY.draw(rng)


def jittery(rng: random.Random) -> tuple[Callable[[], float], Callable[[], float]]:
    """Much of the latency is on the way there, and both ways jitter by a quarter."""
    return lambda: rng.uniform(0.03, 0.04), lambda: rng.uniform(0.04, 0.05)


def busy(rng: random.Random) -> tuple[Callable[[], float], Callable[[], float]]:
    """Both machines have something else to do: now and then everything takes long."""
    return (
        lambda: 0.0005 + rng.expovariate(1 / 0.008),
        lambda: _LATENCY.draw(rng) + rng.expovariate(1 / 0.008),
    )


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("ways", "name", "most"),
    [
        (simulated, "roles-fixed", 1.06),
        (simulated, "roles-sliding", 1.02),
        (simulated, "channels-cold", 1.1),
        (simulated, "channels-warm", 1.1),
        (simulated, "mixed", 1.07),
        (simulated, "changes-behind-polls", 1.1),
        (simulated, "roles-poisson", 1.1),
        (simulated, "channels-poisson", 1.1),
        (jittery, "roles-fixed", 1.06),
        (jittery, "channels-cold", 1.1),
        (jittery, "mixed", 1.07),
        (jittery, "changes-behind-polls", 1.1),
        (busy, "roles-fixed", 1.07),
        (busy, "roles-sliding", 1.03),
        (busy, "channels-cold", 1.14),
        (busy, "mixed", 1.09),
        (busy, "changes-behind-polls", 1.12),
    ],
)
def test_the_time_over_the_floor_without_a_single_429(ways: Ways, name: str, most: float, seed: int) -> None:
    scenario, rng = _SCENARIOS[name], random.Random(seed)  # noqa: S311 - a model, seeded
    server = Simulated(scenario)
    there, back = ways(rng)
    world = World(server, latency=there, back=back, timings=DiscordTimings())  # type: ignore[arg-type]
    begun = world.now
    guild = Guild(_GUILD.guild_id, _GUILD.roles[: scenario.roles], _GUILD.channels[: scenario.channels])
    operations = scenario.operations(guild, rng)
    users: list[tuple[Ticket, float]] = []
    for operation in operations:

        def ask(operation: Operation = operation) -> None:
            ticket = world.submit(demand_of(operation))
            if operation.user:
                users.append((ticket, world.now))

        world.at(begun + operation.at, ask)
    world.run()
    assert len(world.done) == len(operations)
    assert server.refused == 0
    assert max(world.done.values()) - begun <= most * scenario.floor(operations)
    if name == "changes-behind-polls":
        assert max(world.done[ticket] - at for ticket, at in users) < 0.3
