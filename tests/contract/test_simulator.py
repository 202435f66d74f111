"""Every answer of the simulator fits Discord's OpenAPI document, for every route and every type of object."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from discord_contract import DiscordContract

from provider_discord.simulator import DEFAULT_TOKEN, LimitsConfig, Mode, SimulatorConfig, SimulatorServer
from provider_discord.simulator.routes import ROUTES, find

PNG = "data:image/png;base64,iVBORw0KGgo="
FEATURES = (
    "BANNER",
    "COMMUNITY",
    "DISCOVERABLE",
    "ENHANCED_ROLE_COLORS",
    "INVITE_SPLASH",
    "NEWS",
    "ROLE_ICONS",
)


@dataclass
class Discord:
    """A client that holds every exchange against the contract."""

    sim: SimulatorServer
    contract: DiscordContract
    seen: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        headers = {
            "Authorization": f"Bot {DEFAULT_TOKEN}",
            "User-Agent": "DiscordBot (https://example.org, 1.0)",
        }
        self.http = httpx.Client(base_url=self.sim.base_url, headers=headers, trust_env=False)
        self.guild = self.sim.control.guilds()[0]["id"]

    def ask(self, method: str, path: str, *, json: Any = None, expect: int = 200, ours: bool = True) -> Any:
        """Make a request; `ours` says that the request itself must fit the contract as well."""
        response = self.http.request(method, path, json=json)
        assert response.status_code == expect, response.text
        url = httpx.URL(path)
        route, _ = find(method, url.path)
        if ours:
            query = dict(url.params)
            assert self.contract.request_problems(method, route.template, body=json, query=query) == []
        body = response.json() if response.content else None
        problems = self.contract.response_problems(method, route.template, status=expect, body=body)
        assert problems == []
        if expect < 400:
            self.seen.add(route.key)
        return body


@pytest.fixture
def discord(contract: DiscordContract) -> Iterator[Discord]:
    config = SimulatorConfig(features=FEATURES, limits=LimitsConfig(mode=Mode.OFF))
    with SimulatorServer(config) as sim:
        client = Discord(sim, contract)
        yield client
        client.http.close()


def test_every_route_answers_as_documented(discord: Discord) -> None:
    sim, guild = discord.sim, discord.guild
    channels, roles = f"/guilds/{guild}/channels", f"/guilds/{guild}/roles"
    me = discord.ask("GET", "/users/@me")
    discord.ask("GET", "/users/@me/guilds?limit=10&with_counts=true")
    discord.ask("GET", "/applications/@me")

    category = discord.ask("POST", channels, json={"name": "Staff", "type": 4}, expect=201)
    text = discord.ask(
        "POST",
        channels,
        json={
            "name": "rules",
            "type": 0,
            "topic": "Be kind",
            "parent_id": category["id"],
            "rate_limit_per_user": 5,
            "default_auto_archive_duration": 1440,
            "default_thread_rate_limit_per_user": 10,
            "permission_overwrites": [{"id": guild, "type": 0, "allow": "0", "deny": "2048"}],
        },
        expect=201,
    )
    types: dict[int, Any] = {
        2: {"bitrate": 96_000, "user_limit": 5, "rtc_region": "rotterdam", "video_quality_mode": 2},
        5: {"topic": "News", "default_thread_rate_limit_per_user": 10},
        13: {"bitrate": 64_000, "user_limit": 100},
        15: {
            "available_tags": [{"name": "help", "moderated": True}, {"name": "fun", "emoji_name": "🎉"}],
            "default_reaction_emoji": {"emoji_name": "👍"},
            "default_sort_order": 1,
            "default_forum_layout": 2,
            "flags": 1 << 4,
        },
        16: {"available_tags": [{"name": "art"}], "default_sort_order": 0, "flags": 1 << 15, "nsfw": True},
    }
    made = {
        kind: discord.ask("POST", channels, json={"name": f"c{kind}", "type": kind, **extra}, expect=201)
        for kind, extra in types.items()
    }
    sim.control.post_message(text["id"])
    sim.control.post_message(made[15]["id"], "How?")
    sim.control.start_thread(made[5]["id"], "More")

    role = discord.ask(
        "POST",
        roles,
        json={
            "name": "Moderator",
            "permissions": "2112",
            "colors": {"primary_color": 1, "secondary_color": 2},
            "icon": PNG,
            "hoist": True,
        },
    )
    discord.ask("GET", f"{roles}/{role['id']}")
    discord.ask(
        "PATCH", f"{roles}/{role['id']}", json={"mentionable": True, "unicode_emoji": "🔥", "color": 255}
    )
    discord.ask("PATCH", roles, json=[{"id": role["id"], "position": 1}])
    discord.ask("GET", roles)
    sim.control.add_member("Bob", roles=[role["id"]])
    discord.ask("GET", f"{roles}/member-counts")

    discord.ask("PATCH", f"/channels/{text['id']}", json={"name": "Rules", "topic": None, "nsfw": True})
    discord.ask(
        "PUT",
        f"/channels/{text['id']}/permissions/{role['id']}",
        json={"type": 0, "allow": "1024", "deny": "0"},
        expect=204,
    )
    discord.ask("DELETE", f"/channels/{text['id']}/permissions/{role['id']}", expect=204)
    discord.ask("PATCH", channels, json=[{"id": text["id"], "position": 3, "parent_id": None}], expect=204)
    discord.ask("GET", channels)
    for channel in (category, text, *made.values()):
        discord.ask("GET", f"/channels/{channel['id']}")
    thread = discord.ask("GET", f"/guilds/{guild}/threads/active")["threads"][0]
    discord.ask("GET", f"/channels/{thread['id']}")
    discord.ask("GET", f"/channels/{text['id']}/messages?limit=1")

    discord.ask(
        "PATCH",
        f"/guilds/{guild}",
        json={
            "description": "A guild",
            "icon": PNG,
            "banner": PNG,
            "splash": PNG,
            "discovery_splash": PNG,
            "afk_channel_id": made[2]["id"],
            "afk_timeout": 900,
            "system_channel_id": text["id"],
            "system_channel_flags": 3,
            "rules_channel_id": text["id"],
            "public_updates_channel_id": text["id"],
            "safety_alerts_channel_id": text["id"],
            "preferred_locale": "de",
            "verification_level": 2,
            "explicit_content_filter": 2,
            "default_message_notifications": 1,
            "premium_progress_bar_enabled": True,
            "features": [*FEATURES, "INVITES_DISABLED"],
        },
    )
    sim.control.set_guild(
        incidents_data={"invites_disabled_until": "2030-01-01T00:00:00+00:00", "dms_disabled_until": None}
    )
    discord.ask("GET", f"/guilds/{guild}?with_counts=true")
    discord.ask("GET", f"/guilds/{guild}/members/{me['id']}")
    bot = sim.control.create_bot("lister", "lister-token", guild_members_intent=True)
    sim.control.add_bot(bot=bot["id"])
    discord.http.headers["Authorization"] = "Bot lister-token"
    discord.ask("GET", f"/guilds/{guild}/members?limit=10")
    discord.ask("GET", f"/guilds/{guild}/audit-logs?action_type=10&limit=5&user_id={me['id']}")
    discord.ask("GET", f"/guilds/{guild}/audit-logs?limit=100")
    discord.ask("DELETE", f"/channels/{made[15]['id']}")
    discord.ask("DELETE", f"{roles}/{role['id']}", expect=204)

    assert discord.seen == {route.key for route in ROUTES}


def test_refusals_have_the_documented_envelope(discord: Discord) -> None:
    guild = discord.guild
    discord.ask("GET", "/channels/1", expect=404)
    bad = {"name": "", "type": 99, "bitrate": "x", "permission_overwrites": [{"allow": True}]}
    discord.ask("POST", f"/guilds/{guild}/channels", json=bad, expect=400, ours=False)
    discord.http.headers["Authorization"] = "Bot wrong"
    discord.ask("GET", f"/guilds/{guild}", expect=401)


def test_a_429_has_the_documented_body(discord: Discord) -> None:
    discord.sim.control.add_fault("rate-limit", seconds=1.5, times=0)
    discord.ask("GET", f"/guilds/{discord.guild}/roles", expect=429)
    discord.sim.control.clear_faults()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"nmae": "x"}, "a misspelt field"),
        ({"rate_limit_per_user": -5}, "a bound, which the branch for DMs would let pass"),
        ({"default_auto_archive_duration": 61}, "no such duration"),
        ({"permission_overwrites": [{"id": "1", "allow": "many"}]}, "bits are a number"),
        ({"type": 99}, "no such type"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_contract_refuses_bad_requests(contract: DiscordContract, body: Any, reason: str) -> None:
    assert contract.request_problems("PATCH", "/channels/{channel_id}", body=body), reason


@pytest.mark.parametrize(
    ("method", "route", "body"),
    [
        ("PATCH", "/channels/{channel_id}", {"name": "x", "parent_id": None, "flags": 1 << 21}),
        ("POST", "/guilds/{guild_id}/channels", {"name": "x", "type": 16, "flags": 16}),
        ("POST", "/guilds/{guild_id}/roles", {"name": "x", "permissions": "4503599627370496"}),
        (
            "PUT",
            "/channels/{channel_id}/permissions/{overwrite_id}",
            {"type": 1, "allow": "1024", "deny": "0"},
        ),
        ("PATCH", "/guilds/{guild_id}/channels", [{"id": "1", "position": 0, "lock_permissions": True}]),
    ],
)
def test_the_contract_accepts_documented_requests(
    contract: DiscordContract, method: str, route: str, body: Any
) -> None:
    assert contract.request_problems(method, route, body=body) == []


def test_the_log_can_be_held_against_the_contract(discord: Discord) -> None:
    discord.http.patch(f"/guilds/{discord.guild}", json={"nmae": "x"})
    discord.http.get(f"/guilds/{discord.guild}/audit-logs", params={"limit": 1000})
    discord.http.get(f"/guilds/{discord.guild}/channels")

    problems = list(discord.contract.log_problems(discord.sim.control.requests()))

    assert len(problems) == 2, problems
    assert "nmae" in problems[0]
    assert "1000" in problems[1]
