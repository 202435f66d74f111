"""What a role shall be, against what it is: the differences, and the one PATCH or POST that settles them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from provider_discord.apis.errors import InvalidField
from provider_discord.apis.fields import fields_of
from provider_discord.apis.role import ROLE_OBSERVED, RoleParameters
from provider_discord.discord import snowflake
from provider_discord.discord.permissions import names_of, parse_bits
from provider_discord.kinds import images, names, permission_fields, table
from provider_discord.kinds.outcomes import invalid
from provider_discord.kinds.plan import Difference, Plan
from provider_discord.managed import meta
from provider_discord.managed.errors import Blocked
from provider_discord.managed.external import FieldDiff

Json = Mapping[str, Any]
TERMS: Final = {**table.terms_of(RoleParameters), "permissions": "permissions"}
EVERYONE: Final = "@everyone"
_OWN: Final = frozenset({"name"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleImage:
    """The icon that the manifest gives.

    Attributes:
        managed: It gives one, or gives that there shall be none.
        image: The icon; None: none.
        remembered: What was sent last.
    """

    managed: bool = False
    image: images.Image | None = None
    remembered: images.Remembered | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RolePlan(Plan):
    """How a role differs, and what settles it.

    Attributes:
        icon: The icon that the manifest gave.
    """

    icon: RoleImage = field(default_factory=RoleImage)


def plan_update(parameters: RoleParameters, raw: Json, *, icon: RoleImage) -> RolePlan:
    """Compare a role with its manifest. Its place in the order is not looked at here.

    Raises:
        Blocked: The manifest asks for what can't be.
    """
    body: dict[str, Any] = {}
    diffs: list[FieldDiff] = []
    if parameters.name is not None and not names.same_role_name(parameters.name, str(raw.get("name") or "")):
        body["name"] = names.normalise_role_name(parameters.name)
        diffs.append(FieldDiff("name", table.shown(raw.get("name")), table.shown(body["name"])))
    plain_diffs, plain_body = table.differences(table.wanted(parameters, skip=_OWN), raw)
    diffs += plain_diffs
    body |= plain_body
    for diff, key, value in (*_permissions(parameters, raw), *_colors(parameters, raw)):
        diffs.append(diff)
        body[key] = value
    if icon.managed and images.needs_sending(icon.image, raw.get("icon"), icon.remembered):
        body["icon"] = icon.image.data_uri if icon.image is not None else None
        shown = "another image" if icon.image is not None else "none"
        own = images.is_another(icon.image, icon.remembered)
        diffs.append(FieldDiff("icon", str(raw.get("icon") or "none"), shown, own=own))
    return RolePlan(raw=raw, body=body, diffs=tuple(diffs), icon=icon)


def plan_everyone(parameters: RoleParameters, raw: Json) -> RolePlan:
    """Compare @everyone with its manifest: of it only the permissions can be managed."""
    given = [
        field.key
        for field in fields_of(RoleParameters)
        if field.discord is not None
        and field.discord.name not in ("permissions", "guild_id")
        and table.given(parameters, field.attribute)
        and not (field.key == "name" and parameters.name == EVERYONE)
    ]
    warnings: tuple[str, ...] = ()
    if given:
        warnings = (f"@everyone has permissions only; ignored: {', '.join(given)}",)
    found = _permissions(parameters, raw)
    return RolePlan(
        raw=raw,
        body={key: value for _, key, value in found},
        diffs=tuple(diff for diff, _, _ in found),
        warnings=warnings,
    )


def create_body(parameters: RoleParameters, *, icon: RoleImage) -> dict[str, Any]:
    """Return the whole body of the create call.

    Permissions are always in it: a role made without gets those of @everyone (Discord docs, resources/guild).

    Raises:
        Blocked: The manifest lacks a name, or asks for what can't be.
    """
    if parameters.name is None:
        msg = "spec.forProvider.name is missing: a role can't be made without it"
        raise Blocked(msg, reason="InvalidField", field="forProvider.name")
    body: dict[str, Any] = {"name": names.normalise_role_name(parameters.name)}
    body |= table.create_body(table.wanted(parameters, skip=_OWN))
    body["permissions"] = str(wanted_permissions(parameters) or 0)
    if parameters.colors is not None:
        body["colors"] = parameters.colors.to_discord()
        body.pop("color", None)
    if icon.managed and icon.image is not None:
        body["icon"] = icon.image.data_uri
    return body


def wanted_permissions(parameters: RoleParameters) -> int | None:
    """Return the mask that the manifest gives; None: unmanaged.

    Raises:
        Blocked: It gives both the bits and the names, or a wrong one.
    """
    try:
        return permission_fields.parse_mask(
            parameters.permissions,
            parameters.permission_names,
            field="permissions",
            names_field="permissionNames",
        )
    except InvalidField as error:
        raise invalid(error) from error


def status(raw: Json, *, guild_id: str) -> dict[str, Any]:
    """Return ``status.atProvider`` of a role."""
    shown = table.at_provider(RoleParameters, ROLE_OBSERVED, raw)
    shown["guildId"] = guild_id
    shown["position"] = int(raw.get("position") or 0)
    shown["managed"] = bool(raw.get("managed"))
    shown["everyone"] = str(raw["id"]) == guild_id
    bits = parse_bits(raw.get("permissions"))
    shown["permissions"] = str(bits)
    shown["permissionNames"] = list(names_of(bits)[0])
    if raw.get("colors"):
        pairs = (
            ("primaryColor", "primary_color"),
            ("secondaryColor", "secondary_color"),
            ("tertiaryColor", "tertiary_color"),
        )
        shown["colors"] = {
            key: raw["colors"][name] for key, name in pairs if raw["colors"].get(name) is not None
        }
    shown["createdAt"] = meta.to_rfc3339(snowflake.created_at(raw["id"]))
    return shown


def _permissions(parameters: RoleParameters, raw: Json) -> list[Difference]:
    wanted = wanted_permissions(parameters)
    observed = parse_bits(raw.get("permissions"))
    if wanted is None or not permission_fields.differs(wanted, observed):
        return []
    key = "permissions" if parameters.permissions is not None else "permissionNames"
    target = permission_fields.keep_unknown(wanted, observed)
    diff = FieldDiff(key, *permission_fields.describe_change(observed, wanted))
    return [(diff, "permissions", str(target))]


def _colors(parameters: RoleParameters, raw: Json) -> list[Difference]:
    if parameters.colors is None:
        return []
    wanted = parameters.colors.to_discord()
    have: Json = raw.get("colors") or {"primary_color": raw.get("color") or 0}
    observed = {key: have.get(key) for key in wanted}
    if observed == wanted:
        return []
    return [(FieldDiff("colors", table.shown(observed), table.shown(wanted)), "colors", wanted)]
