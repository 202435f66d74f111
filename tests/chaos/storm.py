"""The storm: both actors at work while the provider is killed again and again and nothing can be relied on.

One thread does all of it, in small steps, so that what a seed draws is drawn in one order.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from provider_discord.simulator import Effect, Fault
from tests.chaos.incarnation import Life
from tests.chaos.moderator import Moderator
from tests.chaos.plan import RESOLVERS, Death, Plan
from tests.chaos.processes import Zygote, wait_dead
from tests.chaos.team import Team
from tests.chaos.weather import Ambush, Mishap, Weather
from tests.chaos.world import World

_STEP_SECONDS: Final = 0.01
_WISHES: Final = {
    "create": "create",
    "resolve": "create",
    "adopt": "create",
    "finalizer": "create",
    "update": "update",
    "delete": "delete",
}
"""What the team had better do for a label of the kind to be come to."""
_METHODS: Final = {"POST": "create", "PUT": "create", "PATCH": "update", "DELETE": "delete"}
"""The same for an ambush at a request."""


class Storm:
    """One seed's storm.

    Args:
        world: where it rages.
        plan: the seed's plan.
        team, moderator: the actors.
        processes: the provider.
        life: what each life is given, but for how it ends.
        rand: of when things happen.
    """

    def __init__(
        self,
        *,
        world: World,
        plan: Plan,
        team: Team,
        moderator: Moderator,
        processes: Zygote,
        life: Life,
        rand: random.Random,
    ) -> None:
        self._world = world
        self._plan = plan
        self._team = team
        self._moderator = moderator
        self._processes = processes
        self._life = life
        self._rand = rand
        self.kills: Counter[str] = Counter()
        """Lives that SIGKILL ended, by where that was."""
        self.faults: Counter[str] = Counter()
        """Faults that this storm itself let loose."""
        self.story: list[str] = []
        """What happened when, for whoever looks into a seed that failed."""
        self.exits: list[str] = []
        """Lives that ended by themselves, which none should."""
        self._ends: list[tuple[float, Weather]] = []
        self._next_fault = 0.0
        self._next_act = 0.0
        self._rotations = sorted(self._lives_to_pick(plan.rotations))
        self._restarts = sorted(self._lives_to_pick(plan.restarts))

    def rage(self, deaths: tuple[Death, ...], *, acts: bool = True) -> None:
        """Let one life after the other end as it is its fate."""
        world, plan = self._world, self._plan
        for side, rate in ((world.kube, plan.kube_rate), (world.discord_side, plan.discord_rate)):
            side.rate, side.watch_seconds = rate, plan.watch_seconds if side is world.kube else 0.0
        for number, death in enumerate(deaths):
            if acts and number in self._rotations:
                world.rotate_token(self._rand)
                self.faults["token changed"] += 1
                self.tell("the token is changed")
            if acts and number in self._restarts:
                world.restart_api_server(kill=self._rand.random() < 0.5)
                self.faults["API server restarted"] += 1
                self.tell("the API server has been restarted")
            self._live_and_die(death, acts=acts)
        self._weather_breaks()

    def _live_and_die(self, death: Death, *, acts: bool) -> None:
        processes = self._processes
        processes.start(replace(self._life, label=death.label, hit=death.hit))
        side = {"kube": self._world.kube, "discord": self._world.discord_side}.get(death.ambush)
        if side is not None:
            mishap = Mishap.KILL_AFTER if death.after else Mishap.KILL_BEFORE
            side.lay(Ambush(mishap=mishap, method=death.method, count=death.hit))
        if death.label == "create.failed":
            self._arm(Fault(effect=Effect.RATE_LIMIT, method="POST", times=1, seconds=2.0))
        if death.label in RESOLVERS:
            self._arm(Fault(effect=Effect.DROP, method="POST", times=1, after_commit=True))
        wish = _WISHES.get(death.label.partition(".")[0]) or _METHODS.get(death.method, "")
        if death.label == "update.persisted":
            wish = "tags"
        self.tell(f"a life begins that shall end at {death}")
        for _ in range(2 if acts and wish else 0):
            self.tell(self._team.act(wish))
        over = time.monotonic() + death.seconds
        while processes.alive() and time.monotonic() < over:
            self._step(wish, acts=acts)
            time.sleep(_STEP_SECONDS)
        came = not processes.alive()
        processes.kill()
        wait_dead(processes)
        for one in (self._world.kube, self._world.discord_side):
            one.lay(None)
        code = processes.end_code()
        self.tell(f"it ended with {code}, {'as it should' if came else 'somewhere else'}")
        if code != -9:
            self.exits.append(f"a life ended by itself with exit code {code}")
        elif not came:
            self.kills["anywhere"] += 1
        else:
            self.kills[death.label or f"at a {death.method} to {death.ambush}"] += 1

    def _step(self, wish: str, *, acts: bool) -> None:
        now, rand = time.monotonic(), self._rand
        for at, side in self._ends:
            if at <= now:
                side.down = False
        self._ends = [(at, side) for at, side in self._ends if at > now]
        if acts and now >= self._next_act:
            self._next_act = now + rand.uniform(0.02, self._plan.act_seconds)
            if rand.random() < self._plan.by_hand:
                self.tell(self._moderator.act(deletes=self._plan.deletes_by_hand))
            elif self._plan.adoption == "ByName" and rand.random() < 0.05:
                name = f"found-{rand.randrange(10**6)}"
                self._moderator.create_named(name)
                self._team.adopt(name)
                self.tell(f"{name} is made by hand and shall be adopted")
            else:
                self.tell(self._team.act(wish if rand.random() < 0.8 else ""))
        if now >= self._next_fault:
            self._next_fault = now + rand.uniform(0.0, 2 * self._plan.faults)
            self._let_loose()

    def _let_loose(self) -> None:
        """Arm a fault in the simulated Discord, or break a connection or a whole side."""
        rand, kind = self._rand, self._rand.random()
        if kind < 0.04:
            side = rand.choice([self._world.kube, self._world.discord_side])
            side.down = True
            self._world.cut(side)
            self._ends.append((time.monotonic() + rand.uniform(0.1, 0.8), side))
            self.faults["a side away"] += 1
            self.tell("a side is away")
        elif kind < 0.1:
            self._world.cut(rand.choice([self._world.kube, self._world.discord_side]))
            self.faults["all connections reset"] += 1
            self.tell("all connections of a side are reset")
        else:
            self._arm(self._fault())

    def _fault(self) -> Fault:
        rand = self._rand
        method = rand.choice(["POST", "POST", "PATCH", "DELETE", "GET", ""])
        times = rand.choice([1, 1, 1, 3, 8])
        status = rand.choice([500, 502, 503])
        choices = [
            Fault(effect=Effect.STATUS, method=method, times=times, status=status),
            Fault(effect=Effect.STATUS, method=method, times=times, status=status, after_commit=True),
            Fault(
                effect=Effect.STATUS,
                method="POST",
                times=1,
                status=status,
                commit_delay_seconds=rand.uniform(0.05, 0.4),
            ),
            Fault(effect=Effect.DROP, method=method, times=1, after_commit=True, reset=rand.random() < 0.5),
            Fault(effect=Effect.DROP, method="POST", times=1, commit_delay_seconds=rand.uniform(0.05, 0.4)),
            Fault(effect=Effect.TRUNCATE, method=method, times=1, after_commit=True),
            Fault(effect=Effect.MALFORMED, method=method, times=1, after_commit=True),
            Fault(effect=Effect.DELAY, method=method, times=times, seconds=rand.uniform(0.05, 0.3)),
            Fault(
                effect=Effect.RATE_LIMIT,
                method=method,
                times=times,
                seconds=rand.uniform(0.1, 0.6),
                scope=rand.choice(["user", "global", "shared"]),
            ),
            Fault(effect=Effect.CLOUDFLARE, method=method, times=1, seconds=0.5),
        ]
        weights = [4, 4, 3, 3, 3, 1, 1, 3, 3, 0.3]
        return rand.choices(choices, weights)[0]

    def tell(self, what: str) -> None:
        """Note what happens."""
        self.story.append(f"{datetime.now(UTC):%H:%M:%S.%f} {what}")

    def _arm(self, fault: Fault) -> None:
        self.tell(f"armed: {fault}")
        self._world.discord.add_fault(fault)

    def _weather_breaks(self) -> None:
        self._ends.clear()
        for name, hits in self._world.end_of_faults().items():
            self.faults[name] += hits

    def _lives_to_pick(self, count: int) -> list[int]:
        lives = range(1, len(self._plan.deaths))
        return self._rand.sample(lives, min(count, len(lives)))
