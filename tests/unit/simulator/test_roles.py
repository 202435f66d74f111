"""Roles as Discord keeps them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from provider_discord.simulator import channels, roles, seeding, views
from provider_discord.simulator.act import Act, Action
from provider_discord.simulator.errors import ApiError, Problem
from provider_discord.simulator.permissions import Permission

PNG = "data:image/png;base64,iVBORw0KGgo="


def test_a_role_without_permissions_has_everyones(admin: Act) -> None:
    made = roles.create(admin, {})
    assert made["permissions"] == admin.guild.roles[admin.guild.id]["permissions"]
    assert made["name"] == "new role"


def test_color_mirrors_the_primary_color(admin: Act) -> None:
    made = roles.create(admin, {"name": "r", "colors": {"primary_color": 5, "secondary_color": 6}})
    shown = views.role(made)
    assert (shown["color"], shown["colors"]["secondary_color"]) == (5, 6)
    shown = views.role(roles.modify(admin, made["id"], {"color": 7}))
    assert shown["colors"] == {"primary_color": 7, "secondary_color": None, "tertiary_color": None}


def test_a_tertiary_color_makes_a_role_holographic(admin: Act) -> None:
    colors = {"primary_color": 1, "secondary_color": 2, "tertiary_color": 3}
    made = roles.create(admin, {"name": "r", "colors": colors})
    assert made["colors"] == {
        "primary_color": 11127295,
        "secondary_color": 16759788,
        "tertiary_color": 16761760,
    }


def test_icons_and_gradients_need_boosts(admin: Act) -> None:
    admin.guild.settings["features"] = []
    for body in (
        {"icon": PNG},
        {"unicode_emoji": "x"},
        {"colors": {"primary_color": 1, "secondary_color": 2}},
    ):
        with pytest.raises(ApiError) as refused:
            roles.create(admin, {"name": "r", **body})
        assert refused.value.problem is Problem.BOOSTS


def test_an_icon_comes_back_as_its_hash(admin: Act) -> None:
    made = roles.create(admin, {"name": "r", "icon": PNG})
    again = roles.create(admin, {"name": "s", "icon": PNG})
    assert made["icon"] == again["icon"]
    assert len(made["icon"]) == 32
    with pytest.raises(ApiError) as refused:
        roles.create(admin, {"name": "r", "icon": "https://example.org/x.png"})
    assert set(refused.value.errors or {}) == {"icon"}


def test_there_are_250_roles(admin: Act) -> None:
    for number in range(249):
        roles.create(admin, {"name": f"r{number}"})
    with pytest.raises(ApiError) as full:
        roles.create(admin, {"name": "r"})
    assert full.value.problem is Problem.MAX_ROLES


def test_a_bot_grants_only_what_it_has_and_edits_only_what_it_outranks(admin: Act, bot: Act) -> None:
    low = roles.create(admin, {"name": "low"})
    own = next(role for role in bot.guild.roles.values() if role["managed"])
    own["permissions"] = str(int(Permission.MANAGE_ROLES | Permission.KICK_MEMBERS))
    roles.modify(bot, low["id"], {"permissions": str(int(Permission.KICK_MEMBERS))})
    attempts: list[Callable[[], object]] = [
        lambda: roles.modify(bot, low["id"], {"permissions": str(int(Permission.BAN_MEMBERS))}),
        lambda: roles.create(bot, {"name": "x", "permissions": str(int(Permission.ADMINISTRATOR))}),
        lambda: roles.modify(bot, own["id"], {"name": "x"}),
    ]
    for attempt in attempts:
        with pytest.raises(ApiError) as refused:
            attempt()
        assert refused.value.problem is Problem.MISSING_PERMISSIONS
    assert low["permissions"] == str(int(Permission.KICK_MEMBERS))


def test_everyone_and_managed_roles_cannot_be_deleted(admin: Act, bot: Act) -> None:
    managed = next(role for role in bot.guild.roles.values() if role["managed"])
    for role_id in (admin.guild.id, managed["id"]):
        with pytest.raises(ApiError) as refused:
            roles.delete(admin, role_id)
        assert refused.value.problem is Problem.INVALID_ROLE
    roles.modify(bot, bot.guild.id, {"mentionable": True})
    assert bot.guild.roles[bot.guild.id]["mentionable"] is True


def test_a_deleted_role_leaves_members_and_overwrites(admin: Act) -> None:
    role = roles.create(admin, {"name": "r"})
    person = seeding.user_named(admin.world, "Bob")
    seeding.add_member(admin.world, admin.guild, person["id"], roles=[role["id"]])
    body = {"name": "x", "permission_overwrites": [{"id": role["id"], "type": 0, "allow": "1024"}]}
    channel = channels.create(admin, body)
    assert roles.member_counts(admin) == {role["id"]: 1}

    roles.delete(admin, role["id"])

    assert admin.guild.members[person["id"]]["roles"] == []
    assert admin.guild.channels[channel["id"]]["permission_overwrites"] == []
    assert admin.guild.audit_log[-1]["action_type"] == Action.ROLE_DELETE
