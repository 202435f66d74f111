"""Discord's routes as data: what is called, what it counts as, and what may be done when it fails.

Every fact that the layers below need about a call is here: the *major parameter* that splits rate limits
(topics/rate-limits), the labels for metrics, whether an audit log reason is taken (resources/audit-log: the
routes that do not list the header ignore it, so none is sent there), and whether repeating is safe.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from typing import Any

from .errors import DiscordError

_PARAMETER = re.compile(r"\{(\w+)\}")
_VALUE = re.compile(r"[A-Za-z0-9_-]+|@me", re.ASCII)
_MAJOR = ("channel_id", "guild_id", "webhook_id")


class ResourceType(StrEnum):
    """What a route is about; the label of metrics, and the unit of a circuit breaker."""

    GUILD = "guild"
    CHANNEL = "channel"
    ROLE = "role"
    MEMBER = "member"
    USER = "user"
    APPLICATION = "application"
    AUDIT_LOG = "audit_log"
    MESSAGE = "message"


class Operation(StrEnum):
    """What a route does; the label of metrics."""

    GET = "get"
    LIST = "list"
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Shape:
    """What a success brings back. An answer that lacks it is somebody else's, or half of one: no proof of anything.

    An empty object in place of the list of channels must never look like a guild without channels.

    Attributes:
        keys: What the object, or each object of the list, has.
        many: Whether it is a list.
    """

    keys: tuple[str, ...] = ()
    many: bool = False

    def fits(self, body: Any) -> bool:
        """Tell whether a decoded body has it."""
        if not self.many:
            return isinstance(body, Mapping) and all(key in body for key in self.keys)
        return isinstance(body, list) and all(
            isinstance(item, Mapping) and all(key in item for key in self.keys) for item in body
        )


class Anything(Shape):
    """What nobody reads, such as the empty body of a 204."""

    __slots__ = ()

    def fits(self, body: Any) -> bool:
        """Tell that it does."""
        del body
        return True


ANYTHING = Anything()
OBJECT = Shape()
THING = Shape(("id",))
THINGS = Shape(("id",), many=True)


class RouteParameter(DiscordError):
    """A route was compiled with parameters that it does not have, or without one that it needs."""


@dataclass(frozen=True, slots=True)
class CompiledRoute:
    """A route with its parameters filled in.

    Attributes:
        route: Where it came from.
        path: Path below the API's base URL, beginning with a slash.
        major: Value of the major parameter; empty where the route has none.
    """

    route: Route
    path: str
    major: str


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint.

    Attributes:
        method: HTTP method.
        template: Path with parameters in braces.
        resource_type: What it is about.
        operation: What it does.
        answer: What a success brings back.
        audit_reason: Whether X-Audit-Log-Reason is taken.
        sublimited: Body fields with limits of their own, which a 429 with Remaining > 0 is about; they are
            independent of the other fields, so that these can go in a request of their own.
    """

    method: str
    template: str
    resource_type: ResourceType
    operation: Operation
    answer: Shape = ANYTHING
    audit_reason: bool = False
    sublimited: frozenset[str] = field(default=frozenset())

    @property
    def idempotent(self) -> bool:
        """Whether sending it twice leaves what sending it once leaves: all but POST."""
        return self.method != "POST"

    @property
    def name(self) -> str:
        """Method and template: bounded, without ids. What logs and errors call a route."""
        return f"{self.method} {self.template}"

    @property
    def major_parameter(self) -> str | None:
        """Name of the parameter that splits this route's rate limit, if any: the first in the path."""
        parameters = _parameters(self.template)
        return parameters[0] if parameters and parameters[0] in _MAJOR else None

    def compile(self, **parameters: str | int) -> CompiledRoute:
        """Fill in the parameters.

        Raises:
            RouteParameter: One is missing, not this route's, or holds what no id holds (an id may come from an
                annotation that somebody wrote, and must not reach another path).
        """
        wanted = _parameters(self.template)
        if parameters.keys() != set(wanted) or not all(_VALUE.fullmatch(str(v)) for v in parameters.values()):
            msg = f"{self.name} needs ids for {sorted(wanted)}, got {parameters!r:.200}"
            raise RouteParameter(msg)
        path = self.template.format_map(parameters)
        major = self.major_parameter
        return CompiledRoute(self, path, str(parameters[major]) if major else "")


@cache
def _parameters(template: str) -> tuple[str, ...]:
    return tuple(_PARAMETER.findall(template))


_G, _C, _R = ResourceType.GUILD, ResourceType.CHANNEL, ResourceType.ROLE
_OP = Operation

GET_CURRENT_USER = Route("GET", "/users/@me", ResourceType.USER, _OP.GET, THING)
GET_CURRENT_APPLICATION = Route("GET", "/applications/@me", ResourceType.APPLICATION, _OP.GET, THING)
GET_CURRENT_USER_GUILDS = Route("GET", "/users/@me/guilds", _G, _OP.LIST, THINGS)

GET_GUILD = Route("GET", "/guilds/{guild_id}", _G, _OP.GET, THING)
MODIFY_GUILD = Route("PATCH", "/guilds/{guild_id}", _G, _OP.UPDATE, THING, audit_reason=True)
GET_AUDIT_LOG = Route(
    "GET", "/guilds/{guild_id}/audit-logs", ResourceType.AUDIT_LOG, _OP.LIST, Shape(("audit_log_entries",))
)
GET_MEMBER = Route(
    "GET", "/guilds/{guild_id}/members/{user_id}", ResourceType.MEMBER, _OP.GET, Shape(("roles",))
)

GET_GUILD_CHANNELS = Route("GET", "/guilds/{guild_id}/channels", _C, _OP.LIST, THINGS)
CREATE_CHANNEL = Route("POST", "/guilds/{guild_id}/channels", _C, _OP.CREATE, THING, audit_reason=True)
# Alone among the writes of channels, this one has no audit log reason (resources/guild).
MODIFY_CHANNEL_POSITIONS = Route("PATCH", "/guilds/{guild_id}/channels", _C, _OP.UPDATE)
GET_ACTIVE_THREADS = Route("GET", "/guilds/{guild_id}/threads/active", _C, _OP.LIST, Shape(("threads",)))
GET_CHANNEL = Route("GET", "/channels/{channel_id}", _C, _OP.GET, THING)
# Name and topic: 2 changes in 10 minutes each (undocumented; discord-api-docs#1900, #2190).
MODIFY_CHANNEL = Route(
    "PATCH",
    "/channels/{channel_id}",
    _C,
    _OP.UPDATE,
    THING,
    audit_reason=True,
    sublimited=frozenset({"name", "topic"}),
)
DELETE_CHANNEL = Route("DELETE", "/channels/{channel_id}", _C, _OP.DELETE, audit_reason=True)
PUT_OVERWRITE = Route(
    "PUT", "/channels/{channel_id}/permissions/{overwrite_id}", _C, _OP.UPDATE, audit_reason=True
)
DELETE_OVERWRITE = Route(
    "DELETE", "/channels/{channel_id}/permissions/{overwrite_id}", _C, _OP.UPDATE, audit_reason=True
)
GET_CHANNEL_MESSAGES = Route("GET", "/channels/{channel_id}/messages", ResourceType.MESSAGE, _OP.LIST, THINGS)

GET_ROLES = Route("GET", "/guilds/{guild_id}/roles", _R, _OP.LIST, THINGS)
GET_ROLE_MEMBER_COUNTS = Route("GET", "/guilds/{guild_id}/roles/member-counts", _R, _OP.LIST, OBJECT)
CREATE_ROLE = Route("POST", "/guilds/{guild_id}/roles", _R, _OP.CREATE, THING, audit_reason=True)
MODIFY_ROLE_POSITIONS = Route("PATCH", "/guilds/{guild_id}/roles", _R, _OP.UPDATE, THINGS, audit_reason=True)
MODIFY_ROLE = Route("PATCH", "/guilds/{guild_id}/roles/{role_id}", _R, _OP.UPDATE, THING, audit_reason=True)
DELETE_ROLE = Route("DELETE", "/guilds/{guild_id}/roles/{role_id}", _R, _OP.DELETE, audit_reason=True)

ROUTES: tuple[Route, ...] = tuple(value for value in globals().values() if isinstance(value, Route))
"""Every route above."""
