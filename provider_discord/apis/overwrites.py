"""Permission overwrites: what one role or member may do in one channel, beyond its guild-wide permissions."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field, model_validator

from provider_discord.apis.model import ApiModel
from provider_discord.apis.permissions import PermissionNames
from provider_discord.apis.references import Reference, Selector
from provider_discord.apis.scalars import PermissionBits, Snowflake

OverwriteType = Literal["role", "member"]
OverwriteTarget = Literal["everyone", "bot"]

MAX_OVERWRITES: Final = 100
"""Overwrites that Discord takes in one request (OpenAPI document, ``permission_overwrites.maxItems``)."""


class Overwrite(ApiModel):
    """One entry of ``permissionOverwrites``. Bits in neither ``allow`` nor ``deny`` are inherited.

    The target is given in one of five ways: ``id`` with ``type`` (as the Go provider does), ``roleId`` or a
    reference to a Role, ``memberId``, or ``target``. Once references are resolved, ``role_id`` holds what
    ``roleIdRef`` or ``roleIdSelector`` led to.
    """

    id: Annotated[
        Snowflake | None,
        Field(description="Id of the role or user that this entry is for; give type with it."),
    ] = None
    type: Annotated[
        OverwriteType | None,
        Field(description="What id is: role or member. Not needed with the other ways to name the target."),
    ] = None
    role_id: Annotated[Snowflake | None, Field(description="Id of the role that this entry is for.")] = None
    role_id_ref: Annotated[
        Reference | None,
        Field(description="The Role object that this entry is for."),
    ] = None
    role_id_selector: Annotated[
        Selector | None,
        Field(description="Finds the Role object that this entry is for by its labels."),
    ] = None
    member_id: Annotated[
        Snowflake | None,
        Field(description="Id of the user that this entry is for."),
    ] = None
    target: Annotated[
        OverwriteTarget | None,
        Field(description="everyone: the @everyone role of the guild. bot: the bot itself, as a member."),
    ] = None
    allow: Annotated[
        PermissionBits | None,
        Field(
            description="Permissions granted, as a bit set: an integer or a decimal string. "
            "allowNames says the same in words; give one or the other.",
        ),
    ] = None
    deny: Annotated[
        PermissionBits | None,
        Field(
            description="Permissions taken away, as a bit set: an integer or a decimal string. "
            "denyNames says the same in words; give one or the other.",
        ),
    ] = None
    allow_names: Annotated[
        PermissionNames | None,
        Field(description="Permissions granted, by name, for example [VIEW_CHANNEL, SEND_MESSAGES]."),
    ] = None
    deny_names: Annotated[
        PermissionNames | None,
        Field(description="Permissions taken away, by name, for example [SEND_MESSAGES]."),
    ] = None

    @model_validator(mode="after")
    def _names_one_target(self) -> Overwrite:
        ways = {
            "id": bool(self.id),
            "roleId": bool(self.role_id or self.role_id_ref or self.role_id_selector),
            "memberId": bool(self.member_id),
            "target": self.target is not None,
        }
        given = [way for way, is_given in ways.items() if is_given]
        if len(given) != 1:
            found = f"found {' and '.join(given)}" if given else "found none"
            msg = f"name its target once, by id with type, roleId, roleIdRef, roleIdSelector, memberId or target ({found})"
            raise ValueError(msg)
        if self.id and self.type is None:
            msg = "say with type what id is: role or member"
            raise ValueError(msg)
        return self

    def target_of(self, *, guild_id: str, bot_id: str) -> tuple[OverwriteType, str] | None:
        """Return what Discord keys the entry by; None while its reference is not resolved.

        Args:
            guild_id: The guild's id, which is also the id of its @everyone role.
            bot_id: The user id of the bot.
        """
        if self.target == "everyone":
            return "role", guild_id
        if self.target == "bot":
            return "member", bot_id
        if self.member_id:
            return "member", self.member_id
        if self.role_id:
            return "role", self.role_id
        if self.id and self.type is not None:
            return self.type, self.id
        return None


OBSERVED_OVERWRITES: Final[dict[str, Any]] = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            "id": {"type": "string", "description": "Id of the role or user."},
            "type": {"type": "string", "description": "role or member."},
            "allow": {
                "type": "integer",
                "format": "int64",
                "description": "Permissions granted, as a bit set.",
            },
            "deny": {
                "type": "integer",
                "format": "int64",
                "description": "Permissions taken away, as a bit set.",
            },
            "allowNames": {
                "type": "array",
                "items": {"type": "string"},
                "description": "Permissions granted, by name.",
            },
            "denyNames": {
                "type": "array",
                "items": {"type": "string"},
                "description": "Permissions taken away, by name.",
            },
        },
    },
}
"""How ``status.atProvider.permissionOverwrites`` looks; bits as integers, as the Go provider shows them."""
