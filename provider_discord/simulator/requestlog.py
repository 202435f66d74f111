"""What was asked of the simulator, so that a test can count and read it. A token is never in it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(slots=True)
class Entry:
    """One request.

    Attributes:
        seq: its number; grows by one with each request that arrived.
        time: when it arrived (wall, ISO).
        at: when it arrived (monotonic seconds of the simulator's process).
        seconds: how long the answer took; None while it is under way.
        method, path, route, query: what was asked; the route is its template, "" if unknown.
        status: the answer's HTTP status; None if there was none (dropped, or under way).
        code: Discord's JSON error code, if the answer was an error.
        scope: with a 429, `user`, `global`, `shared`, or `cloudflare`.
        retry_after: with a 429, the seconds to wait.
        remaining: what X-RateLimit-Remaining said.
        reason: the audit log reason, decoded.
        user_agent: the client.
        body: the JSON body.
        bot_id: whose token it was; None for an invalid one.
        fault: the injected fault that struck.
        committed: whether the work was done, be it later.
    """

    seq: int
    time: str
    at: float
    method: str
    path: str
    route: str
    query: dict[str, str]
    body: Any = None
    reason: str | None = None
    user_agent: str = ""
    bot_id: str | None = None
    status: int | None = None
    code: int | None = None
    scope: str | None = None
    retry_after: float | None = None
    remaining: int | None = None
    fault: str | None = None
    committed: bool = False
    seconds: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the entry as JSON."""
        return asdict(self)


class RequestLog:
    """The last requests."""

    def __init__(self, size: int) -> None:
        self._entries: deque[Entry] = deque(maxlen=size)
        self._next = 1

    def start(
        self, *, time: str, at: float, method: str, path: str, route: str, query: dict[str, str]
    ) -> Entry:
        """Note that a request arrived."""
        entry = Entry(seq=self._next, time=time, at=at, method=method, path=path, route=route, query=query)
        self._next += 1
        self._entries.append(entry)
        return entry

    def clear(self) -> None:
        """Forget all; the numbers go on."""
        self._entries.clear()

    @property
    def last_seq(self) -> int:
        """The number of the last request."""
        return self._next - 1

    def find(
        self,
        *,
        since: int = 0,
        method: str = "",
        route: str = "",
        resource: str = "",
        status: int | None = None,
        writes: bool = False,
    ) -> Iterator[Entry]:
        """Yield the requests that fit, in the order in which they arrived.

        Args:
            since: only those after this number.
            method: only this method.
            route: only this template.
            resource: only those with this id in the path.
            status: only those with this status.
            writes: no GETs.
        """
        for entry in self._entries:
            if (
                entry.seq > since
                and method.upper() in ("", entry.method)
                and route in ("", entry.route)
                and (not resource or resource in entry.path.split("/"))
                and status in (None, entry.status)
                and not (writes and entry.method == "GET")
            ):
                yield entry
