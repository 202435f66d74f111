"""Errors in Discord's format.

Most are a row of `Problem` (HTTP status, JSON code, message: Discord docs, topics/opcodes-and-status-codes).
A refused body is `50035` with a tree of `errors` that mirrors the body, each leaf a list under `_errors`
(Discord docs, reference, "Error messages").
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

Json = dict[str, Any]
Path = tuple[str | int, ...]
Complain = Callable[[str, str], None]
"""Called with (code, message) about the value being looked at."""


class Problem(Enum):
    """Every refusal this simulator makes, except for a malformed body."""

    ROUTE = (404, 0, "404: Not Found")
    METHOD = (405, 0, "405: Method Not Allowed")
    UNAUTHORIZED = (401, 0, "401: Unauthorized")
    USER_AGENT = (403, 40333, "internal network error")
    UNKNOWN_CHANNEL = (404, 10003, "Unknown Channel")
    UNKNOWN_GUILD = (404, 10004, "Unknown Guild")
    UNKNOWN_MEMBER = (404, 10007, "Unknown Member")
    UNKNOWN_OVERWRITE = (404, 10009, "Unknown Overwrite")
    UNKNOWN_ROLE = (404, 10011, "Unknown Role")
    UNKNOWN_USER = (404, 10013, "Unknown User")
    MAX_ROLES = (400, 30005, "Maximum number of server roles reached (250)")
    MAX_CHANNELS = (400, 30013, "Maximum number of guild channels reached (500)")
    MAX_OVERWRITES = (400, 30060, "Maximum number of permission overwrites reached (1000)")
    ONE_PARENT = (400, 40009, "Only one channel's parent can be changed at a time")
    MISSING_ACCESS = (403, 50001, "Missing Access")
    CHANNEL_TYPE = (400, 50024, "Cannot execute action on this channel type")
    INVALID_ROLE = (400, 50028, "Invalid Role")
    MISSING_PERMISSIONS = (403, 50013, "Missing Permissions")
    INVALID_FORM = (400, 50035, "Invalid Form Body")
    FILE_TOO_LARGE = (400, 50045, "File uploaded exceeds the maximum size")
    COMMUNITY_CHANNEL = (400, 50074, "Cannot delete a channel required for Community guilds")
    BODY = (400, 50109, "The request body contains invalid JSON.")
    BOOSTS = (403, 50101, "This server needs more boosts to perform this action")
    INTERNAL = (500, 0, "500: Internal Server Error")


class ApiError(Exception):
    """An answer that refuses the request.

    Attributes:
        status: the HTTP status.
        code: Discord's JSON error code, 0 for a general one.
        message: Discord's sentence.
        errors: for 50035 the tree of what is wrong where, else None.
    """

    def __init__(self, problem: Problem, *, errors: Json | None = None) -> None:
        self.status, self.code, self.message = problem.value
        self.problem = problem
        self.errors = errors
        super().__init__(f"{self.status} {self.code}: {self.message}")

    def body(self) -> Json:
        """Return the JSON body of the answer."""
        body: Json = {"message": self.message, "code": self.code}
        if self.errors is not None:
            body["errors"] = self.errors
        return body


class Form:
    """Collects what is wrong with a body, so that the answer names every field at once."""

    def __init__(self) -> None:
        self._tree: Json = {}

    def add(self, path: Path, code: str, message: str) -> None:
        """Note that the value at this path is wrong."""
        node = self._tree
        for step in path:
            node = node.setdefault(str(step), {})
        node.setdefault("_errors", []).append({"code": code, "message": message})

    def at(self, *path: str | int) -> Complain:
        """Return a function that complains about the value at this path."""
        return lambda code, message: self.add(path, code, message)

    def done(self) -> None:
        """Raise ApiError 50035 if anything was wrong."""
        if self._tree:
            raise ApiError(Problem.INVALID_FORM, errors=self._tree)


def invalid(path: Path, code: str, message: str) -> ApiError:
    """Return the 50035 that complains about one value."""
    form = Form()
    form.add(path, code, message)
    return ApiError(Problem.INVALID_FORM, errors=form._tree)  # noqa: SLF001 - the same module
