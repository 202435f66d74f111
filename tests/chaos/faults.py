"""What goes wrong in the life of an object, beside the provider's death."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from provider_discord.simulator.behaviour import HiddenGet
from tests.chaos.sides import Mishap, Trouble


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What goes wrong beside the death.

    Attributes:
        name: In words.
        group: Where it comes from.
        mishaps: What becomes of requests to Discord.
        after: The same, from each death on.
        trouble: What becomes of writes to the API server, in each phase.
        meanwhile: What people do between the death and the next run.
        away: The API server is away for so long after the death.
        deaths: How often the process dies at its point.
        pause: How long it takes until the next run.
        lag: How late the audit log is.
        blind: The bot may not read the audit log.
        hidden_get: What Discord says of a hidden channel.
        adoption: What the ProviderConfig says.
    """

    name: str
    group: str = "nothing"
    mishaps: tuple[Mishap, ...] = ()
    after: tuple[Mishap, ...] = ()
    trouble: tuple[Trouble, ...] = ()
    meanwhile: str = ""
    away: float = 0.0
    deaths: int = 1
    pause: float = 0.0
    lag: float = 0.0
    blind: bool = False
    hidden_get: HiddenGet = HiddenGet.FORBIDDEN
    adoption: str = "CreateNew"


def _faults() -> Iterator[Fault]:
    yield Fault(name="nothing")
    answers: dict[str, tuple[tuple[int | str, str | float], ...]] = {
        "POST": (
            (500, "done"),
            (502, "lost"),
            (504, 10.0),
            ("drop", "done"),
            ("drop", "lost"),
            ("timeout", "done"),
            ("timeout", 28.0),
            ("garbage", "done"),
            ("rate-limit", "lost"),
        ),
        "PATCH": ((502, "done"), ("drop", "lost"), ("timeout", 10.0), ("rate-limit", "lost")),
        "DELETE": ((500, "done"), ("drop", "lost"), ("timeout", 10.0)),
    }
    for method, given in answers.items():
        for answer, commits in given:
            done = commits if isinstance(commits, str) else f"done {commits:.0f} s later"
            mishap = Mishap(method=method, answer=answer, commits=commits)
            yield Fault(name=f"{method}: {answer}, {done}", group="Discord", mishaps=(mishap,))
            if method == "DELETE":
                name = f"{method}: {answer}, {done}, log forbidden"
                yield Fault(name=name, group="audit log", mishaps=(mishap,), blind=True)
    # Once no try has an answer it is not the client any more that finds out.
    never = Mishap(method="DELETE", times=6)
    yield Fault(
        name="DELETE: never an answer, log forbidden", group="audit log", mishaps=(never,), blind=True
    )
    unanswered, lost = Mishap(method="POST"), Mishap(method="POST", commits="lost")
    yield Fault(name="POST: drop, lost, then drop, done", group="Discord", mishaps=(lost, unanswered))
    fails = Mishap(method="GET", answer=500, commits="lost", times=8)
    yield Fault(name="GET: 500", group="Discord", after=(fails,))
    yield Fault(name="log 5 s late", group="audit log", lag=5.0)
    yield Fault(name="log 100 s late", group="audit log", lag=100.0)
    fails = Mishap(part="/audit-logs", answer=500, commits="lost", times=9)
    yield Fault(name="log fails", group="audit log", mishaps=(unanswered, fails))
    yield Fault(name="log forbidden", group="audit log", blind=True)
    for of in ("finalizer", "intent", "outcome", "status", "deletion", "let go"):
        for how, times in (("conflict", 1), ("refused", 1), ("away", 6), ("lost", 1)):
            trouble = (Trouble(of=of, how=how, times=times),)
            yield Fault(name=f"{of}: {how}", group="API server", trouble=trouble)
    for how in ("conflict", "away"):
        # Only a create without an answer leaves a record of it.
        trouble = (Trouble(of="record", how=how, times=6),)
        yield Fault(name=f"record: {how}", group="API server", trouble=trouble, mishaps=(lost,))
    yield Fault(name="away 20 s", group="API server", away=20.0)
    for doing in ("edit", "rename", "delete", "make its like", "remove", "change by hand", "rename by hand"):
        yield Fault(name=doing, group="people", meanwhile=doing)
    yield Fault(name="make its like, Refuse", group="people", meanwhile="make its like", adoption="Refuse")
    for doing in ("rename by hand", "remove"):
        yield Fault(name=f"{doing}, log forbidden", group="people", meanwhile=doing, blind=True)
    yield Fault(name="rename by hand, log 100 s late", group="people", meanwhile="rename by hand", lag=100.0)
    for says in (HiddenGet.FORBIDDEN, HiddenGet.NOT_FOUND):
        yield Fault(name=f"hide, {says}", group="people", meanwhile="hide", blind=True, hidden_get=says)
    yield Fault(name="give a role", group="people", meanwhile="give a role", blind=True)
    yield Fault(name="10 min later", group="people", pause=600.0)
    yield Fault(name="thrice", group="people", deaths=3)


FAULTS: Final = tuple(_faults())
