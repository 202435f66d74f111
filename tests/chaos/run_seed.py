"""One seed from beginning to end, and what came of it."""

from __future__ import annotations

import contextlib
import random
import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from provider_discord.simulator import ControlFailure
from tests.chaos.beyond import Missing, Scene, trial_of
from tests.chaos.cluster import Endpoint
from tests.chaos.human import Human, halt_of, unexplained
from tests.chaos.incarnation import Life
from tests.chaos.judge import Verdict, creations, judge
from tests.chaos.moderator import Moderator
from tests.chaos.plan import Family, Plan, last_of
from tests.chaos.processes import Zygote, wait_dead
from tests.chaos.storm import Storm
from tests.chaos.team import Key, Team
from tests.chaos.world import GUILD_NAME, World

TIME_SCALE: Final = 0.05
POLL_SECONDS: Final = 60.0 * TIME_SCALE
SETTLE_SECONDS: Final = 90.0
"""Of a machine that does other things too; alone it takes a few."""
HALT_SECONDS: Final = 2 * POLL_SECONDS
"""So long nothing but halts may be wrong before the human acts: two polls, in which more evidence may come."""
_LOOK_SECONDS: Final = 0.2
_PANIC: Final = re.compile(r"level=critical|uncaught exception|internal error|Fatal Python error")


@dataclass(slots=True, kw_only=True)
class Result:
    """What came of a seed.

    Attributes:
        seed: the seed.
        family: what it was about.
        passed: nothing was wrong.
        kills: how many lives SIGKILL ended, by where.
        faults: how many of what struck.
        creates: things made at Discord for objects.
        objects: objects made in the cluster.
        duplicates, lost, stuck, foreign: how many of what must not be.
        halts: decisions that a human was asked for and took, where that is allowed.
        settle_seconds: from the end of the faults, or from the last decision, until all was as wanted.
        seconds: the whole.
        complaints: what was wrong, in words.
        log: the provider's log, beside which the seed's story is; "" if they were thrown away.
    """

    seed: int
    family: str
    passed: bool = False
    kills: dict[str, int] = field(default_factory=dict)
    faults: dict[str, int] = field(default_factory=dict)
    creates: int = 0
    objects: int = 0
    duplicates: int = 0
    lost: int = 0
    stuck: int = 0
    foreign: int = 0
    halts: int = 0
    settle_seconds: float = 0.0
    seconds: float = 0.0
    complaints: list[str] = field(default_factory=list)
    log: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self)


def run_seed(
    plan: Plan,
    *,
    endpoint: Endpoint,
    processes: Zygote,
    folder: Path,
    restart: Callable[[bool], None] | None = None,
    debug: bool = False,
) -> Result:
    """Run a seed.

    Args:
        plan: its plan.
        endpoint: the API server.
        processes: where the provider's lives come from.
        folder: for its log, which stays if something was wrong.
        restart: restarts the API server, killing it or not.
        debug: let the provider log every decision.
    """
    began = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    name = f"chaos-{plan.seed}-{secrets.token_hex(3)}"
    log = folder / f"{name}.log"
    result = Result(seed=plan.seed, family=plan.family.value, log=str(log))
    world = World(
        plan=plan, endpoint=endpoint, name=name, folder=folder, kill=processes.kill, restart=restart
    )
    try:
        with world:
            _Run(plan, world, processes, log, result, debug=debug).run()
    finally:
        if processes.kill():
            wait_dead(processes)
        result.seconds = round(time.monotonic() - began, 2)
    _read_log(result, log, world)
    result.passed = _found(result, plan) if plan.broken else not result.complaints
    if result.passed and not debug:
        log.unlink(missing_ok=True)
        log.with_suffix(".story").unlink(missing_ok=True)
        result.log = ""
    return result


class _Run:
    def __init__(
        self, plan: Plan, world: World, processes: Zygote, log: Path, result: Result, *, debug: bool
    ) -> None:
        self._plan = plan
        self._world = world
        self._processes = processes
        self._result = result
        self._rand = random.Random(f"{plan.drawn_as}/run")  # noqa: S311 - a seed must repeat
        self._team = Team(
            cluster=world.cluster,
            config=world.name,
            rand=random.Random(f"{plan.drawn_as}/team"),  # noqa: S311 - a seed must repeat
            guild_name=GUILD_NAME,
        )
        self._moderator = Moderator(
            discord=world.discord,
            cluster=world.cluster,
            team=self._team,
            rand=random.Random(f"{plan.drawn_as}/moderator"),  # noqa: S311 - a seed must repeat
            budget=plan.budget,
        )
        self._life = Life(
            kubeconfig=str(world.kubeconfig),
            log=str(log),
            time_scale=TIME_SCALE,
            identity=world.name,
            lease_namespace=world.name if plan.leases else "",
            installed=plan.family is Family.COMMAND,
            debug=debug,
            broken=plan.broken,
        )
        self._human = Human(world.cluster.patch)
        self._settled_in: list[float] = []

    def run(self) -> None:
        plan = self._plan
        self._moderator.begin()
        self._team.begin(plan.channels, plan.roles)
        storm = Storm(
            world=self._world,
            plan=plan,
            team=self._team,
            moderator=self._moderator,
            processes=self._processes,
            life=self._life,
            rand=self._rand,
        )
        result = self._result
        try:
            (self._exceed if plan.family is Family.BEYOND else self._rage)(storm)
        finally:
            self._write_down(storm)
            result.kills, result.faults = dict(storm.kills), dict(storm.faults)
        result.complaints += storm.exits
        result.creates = creations(self._world.discord.audit_log())
        result.objects = self._team.made
        result.halts = len(self._human.decisions)
        result.settle_seconds = round(max(self._settled_in, default=0.0), 2)

    def _write_down(self, storm: Storm) -> None:
        """Write the seed's story: who did what, what was asked of Discord, and its audit log."""
        lines = [*storm.story, "", "Decisions:", *self._human.decisions, "", "Requests:"]
        with contextlib.suppress(ControlFailure):
            lines += [
                f"{one['time']} {one['method']} {one['path']} {one['body']} -> {one['status']} "
                f"{'committed ' if one['committed'] else ''}{one['fault'] or ''} {one['reason'] or ''}"
                for one in self._world.discord.requests()
            ]
            lines += ["", "Audit log:", *map(str, self._world.discord.audit_log())]
        Path(self._life.log).with_suffix(".story").write_text("\n".join(lines) + "\n")

    def _exceed(self, storm: Storm) -> None:
        """Go beyond a threshold from a settled guild, and back as the condition says."""
        plan = self._plan
        self._processes.start(self._life)
        if not self._settle("before the trial", timed=False):
            return

        def die() -> None:
            self._die(storm)
            storm.rage(plan.deaths, acts=False)
            self._processes.start(self._life)

        scene = Scene(discord=self._world.discord, cluster=self._world.cluster, team=self._team, die=die)
        trial, variant = trial_of(plan.seed)
        storm.tell(f"trial: {trial.__name__}")
        try:
            trial(scene, variant)
        except Missing as error:
            self._result.stuck += 1
            self._result.complaints.append(f"{trial.__name__}: {error}")
            return
        if self._settle(f"after the release of {trial.__name__}"):
            self._team.remove_all()
            self._settle("after all of it was deleted")

    def _rage(self, storm: Storm) -> None:
        plan, team = self._plan, self._team
        if plan.begins_calm:
            self._processes.start(self._life)
            if not self._settle("before the storm", timed=False):
                return
            self._die(storm)
        last = last_of(len(plan.deaths))
        storm.rage(plan.deaths[:-last])
        self._processes.start(self._life)
        good = self._settle("after the storm")
        if good and plan.watches_idle:
            self._watch_idle()
        if good:
            self._die(storm)
            team.remove_some(0.5)
            storm.rage(plan.deaths[-last:], acts=False)
            self._processes.start(self._life)
            good = self._settle("after half of it was deleted")
        if good:
            team.remove_all()
            self._settle("after all of it was deleted")

    def _die(self, storm: Storm) -> None:
        self._processes.kill()
        self._processes.end_code()
        storm.kills["anywhere"] += 1

    def _settle(self, when: str, *, timed: bool = True) -> bool:
        """Wait until all is as wanted, deciding what a human is asked; note what is not, if that does not come."""
        began = time.monotonic()
        since: float | None = None
        while True:
            verdict = self._judge()
            now = time.monotonic()
            if verdict.settled:
                self._settled_in += [now - began] * timed
                return True
            halts = self._halts(verdict)
            since = (since or now) if halts else None
            if since is not None and now - since > HALT_SECONDS:
                if not self._decide(halts, verdict, when):
                    return False
                began, since = time.monotonic(), None
            elif verdict.hopeless or now - began > SETTLE_SECONDS or not self._processes.alive():
                self._condemn(verdict, when)
                return False
            time.sleep(_LOOK_SECONDS)

    def _judge(self) -> Verdict:
        discord = self._world.discord
        return judge(
            cluster=self._world.cluster,
            team=self._team,
            moderator=self._moderator,
            guild=discord.guild(),
            audit=discord.audit_log(),
        )

    def _halts(self, verdict: Verdict) -> dict[Key, str]:
        """Return what the halted objects say, if they are all that is wrong, in a seed where they may halt."""
        if self._plan.family is not Family.NO_AUDIT or verdict.hopeless:
            return {}
        halts = {key: said for key, obj in verdict.objects.items() if (said := halt_of(obj))}
        return {} if unexplained(verdict, halts, self._team.refers()) else halts

    def _decide(self, halts: Mapping[Key, str], verdict: Verdict, when: str) -> bool:
        """Do as the conditions say; note what they say wrongly."""
        discord = self._world.discord
        guild, audit = discord.guild(), discord.audit_log()
        for key, said in halts.items():
            wrong = self._human.answer(verdict.objects[key], said, guild=guild, audit=audit)
            self._result.stuck += len(wrong)
            self._result.complaints += [f"{when}: {one}" for one in wrong]
        return not self._result.complaints

    def _condemn(self, verdict: Verdict, when: str) -> None:
        result = self._result
        result.duplicates += len(verdict.duplicates)
        result.lost += len(verdict.lost)
        result.stuck += len(verdict.stuck) + len(verdict.differs)
        result.foreign += len(verdict.foreign)
        result.complaints += [f"{when}: {line}" for line in verdict.lines()]

    def _watch_idle(self) -> None:
        """See that what is settled stays so without one write."""
        discord = self._world.discord
        since = discord.last_request()
        time.sleep(1.3 * POLL_SECONDS)
        writes = discord.requests(since=since, writes=True)
        if writes:
            shown = [f"{one['method']} {one['path']} {one['body']}" for one in writes[:5]]
            self._result.stuck += len(writes)
            self._result.complaints.append(f"idle: wrote all the same: {shown}")


def _found(result: Result, plan: Plan) -> bool:
    """Tell whether a negative control was seen through: by what it makes wrong, not by anything else."""
    if plan.family is Family.UNDELETED:
        return result.lost > 0
    if plan.adoption == "CreateNew":
        return result.duplicates > 0
    # The check of the name keeps a careless create from making a second one; what the first one made is lost.
    return result.duplicates + result.lost > 0


def _read_log(result: Result, log: Path, world: World) -> None:
    text = log.read_text(errors="replace") if log.exists() else ""
    panic = _PANIC.search(text)
    if panic is not None:
        result.complaints.append(f"the log: {text[max(0, panic.start() - 200) : panic.start() + 600]}")
    if any(token in text for token in world.tokens()):
        result.complaints.append("the token is in the log")
