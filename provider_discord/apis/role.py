"""The Role kind (Discord docs, topics/permissions, "Role Object")."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import Field

from provider_discord.apis.fields import DiscordField, ObservedField
from provider_discord.apis.images import ImageSource
from provider_discord.apis.model import ApiModel
from provider_discord.apis.permissions import PermissionNames
from provider_discord.apis.references import Reference, Selector
from provider_discord.apis.scalars import Color, ImageData, Name, PermissionBits, Snowflake, UnicodeEmoji


class RoleColors(ApiModel):
    """The colours of a role; more than the first needs the guild feature ENHANCED_ROLE_COLORS."""

    primary_color: Annotated[
        Color,
        Field(description='The colour, or the gradient\'s start: "#RRGGBB" or an integer. 0 is no colour.'),
    ]
    secondary_color: Annotated[
        Color | None,
        Field(description='The gradient\'s end: "#RRGGBB" or an integer. Absent: no gradient.'),
    ] = None
    tertiary_color: Annotated[
        Color | None,
        Field(
            description="Makes the role holographic. Discord then forces the colours 11127295, 16759788 and 16761760.",
        ),
    ] = None

    def to_discord(self) -> dict[str, int | None]:
        """Return the colours as a request carries them and as Discord stores them."""
        return {
            "primary_color": self.primary_color,
            "secondary_color": self.secondary_color,
            "tertiary_color": self.tertiary_color,
        }


class RoleParameters(ApiModel):
    """``forProvider`` of a Role. Absent fields are unmanaged; empty ones are cleared."""

    name: Annotated[
        Name | None,
        DiscordField(name="name", plain=False),
        Field(description="Name of the role, 1 to 100 characters."),
    ] = None
    guild_id: Annotated[
        Snowflake | None,
        DiscordField(name="guild_id", create=False, update=False, plain=False),
        Field(
            description="Id of the guild that the role is in. It cannot change. "
            "Give this, guildIdRef or guildIdSelector.",
        ),
    ] = None
    guild_id_ref: Annotated[Reference | None, Field(description="The Guild object that the role is in.")] = (
        None
    )
    guild_id_selector: Annotated[
        Selector | None,
        Field(description="Finds the Guild object that the role is in by its labels."),
    ] = None
    everyone: Annotated[
        bool | None,
        Field(
            description="This object stands for @everyone, the role that all members have and whose id is the "
            "guild's. Its permissions can be managed; it is never created, renamed, moved or deleted. "
            "It cannot change.",
        ),
    ] = None
    permissions: Annotated[
        PermissionBits | None,
        DiscordField(name="permissions", plain=False),
        Field(
            description='What the role may do in the whole guild, as a bit set: a decimal string such as "3072" or '
            "an integer. permissionNames says the same in words; give one or the other. A new role "
            'with neither gets none ("0").',
        ),
    ] = None
    permission_names: Annotated[
        PermissionNames | None,
        DiscordField(name="permissions", plain=False),
        Field(
            description="What the role may do in the whole guild, by name, for example [VIEW_CHANNEL, "
            "SEND_MESSAGES]; [] is nothing at all. Bits that have no name in this release are kept.",
        ),
    ] = None
    color: Annotated[
        Color | None,
        DiscordField(name="color", absent=0),
        Field(
            description='Colour of the role: "#RRGGBB" or an integer; 0 is none. The same as '
            "colors.primaryColor, which Discord prefers; give one or the other.",
        ),
    ] = None
    colors: Annotated[
        RoleColors | None,
        DiscordField(name="colors", plain=False),
        Field(description="Colours of the role: one, a gradient of two, or holographic."),
    ] = None
    hoist: Annotated[
        bool | None,
        DiscordField(name="hoist", absent=False),
        Field(description="Show members with this role apart from the others in the member list."),
    ] = None
    mentionable: Annotated[
        bool | None,
        DiscordField(name="mentionable", absent=False),
        Field(description="Anyone may mention this role."),
    ] = None
    position: Annotated[
        int | None,
        DiscordField(name="position", create=False, plain=False),
        Field(
            ge=0,
            le=2147483647,
            description="Sort key among the managed roles of the guild: higher comes first and outranks lower. Only "
            "the order counts, not the number that Discord shows. Roles above the bot's own cannot be "
            "moved. Absent: unmanaged.",
        ),
    ] = None
    icon: Annotated[
        ImageData | None,
        DiscordField(name="icon", plain=False, empty=None, absent=""),
        Field(
            description='Icon of the role as a data URI (data:image/png;base64,...); "" removes it. Needs the '
            "guild feature ROLE_ICONS. Larger images: iconFrom.",
        ),
    ] = None
    icon_from: Annotated[
        ImageSource | None,
        Field(description="Reads the icon from a ConfigMap or Secret in this object's namespace."),
    ] = None
    unicode_emoji: Annotated[
        UnicodeEmoji | None,
        DiscordField(name="unicode_emoji", empty=None, absent=""),
        Field(
            description='A unicode emoji as the role\'s icon, the character itself; "" removes it. Needs the guild '
            "feature ROLE_ICONS.",
        ),
    ] = None
    allow_delete: Annotated[
        bool | None,
        Field(
            description="Allow the role to be deleted at Discord although members have it. "
            "Without it, deleting this object stops with a condition that says so.",
        ),
    ] = None


_STRING: Final[dict[str, Any]] = {"type": "string"}

ROLE_OBSERVED: Final = (
    ObservedField(key="id", name="id", schema=_STRING, description="Id of the role."),
    ObservedField(key="name", name="name", schema=_STRING, description="Name of the role."),
    ObservedField(
        key="everyone",
        name=None,
        schema={"type": "boolean"},
        description="This is @everyone, whose id is the guild's.",
    ),
    ObservedField(
        key="managed",
        name="managed",
        schema={"type": "boolean"},
        description="The role belongs to a bot or an integration, to boosters or to a subscription.",
    ),
    ObservedField(
        key="permissions",
        name="permissions",
        schema=_STRING,
        description="Permissions that the role has at Discord, as a decimal string.",
    ),
    ObservedField(
        key="permissionNames",
        name=None,
        schema={"type": "array", "items": {"type": "string"}},
        description="Permissions that the role has at Discord, by name.",
    ),
    ObservedField(key="icon", name="icon", schema=_STRING, description="Discord's hash of the role's icon."),
    ObservedField(
        key="createdAt",
        name=None,
        schema={"type": "string", "format": "date-time"},
        description="When the role was created, as its id tells.",
    ),
    ObservedField(
        key="updatedAt",
        name=None,
        schema={"type": "string", "format": "date-time"},
        description="When this provider last changed the role.",
    ),
)
