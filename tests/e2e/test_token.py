"""Bot tokens that are wrong, missing, revoked or somebody else's: said once, asked once, healed by the Secret alone.

A rejected token is worth one request. Whoever goes on asking collects 401s until Discord bans the address, so the
tests count at the simulator. And wherever a token fails, it must not be shown: not even a wrong one.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator
from typing import Final

import pytest

from .conftest import TOKEN, Obj, System, is_true

WRONG: Final = "wrong-token-Zm9vYmFyYmF6"
OTHER: Final = "other-token-cXV4cXV1eA"
ACKNOWLEDGED: Final = "discord.crossplane.io/acknowledged-bot"


@pytest.fixture
def provider_arguments() -> tuple[str, ...]:
    """Let it say as much as it can."""
    return ("--no-leader-election", "--debug")


@pytest.fixture(autouse=True)
def _no_token_is_shown(system: System) -> Iterator[None]:
    """Look for every token of this module wherever the provider says something, at the end of each test."""
    yield
    said = {
        "the log": system.provider.log,
        "the metrics": system.provider.get("/metrics").text,
        "healthz": system.provider.get("/healthz?verbose").text,
        "the ProviderConfig": str(system.get("ProviderConfig", system.config_name)),
        "events": str(system.events(system.config_name)),
    }
    for kind in ("Guild", "Channel", "Role"):
        for obj in system.objects(kind):
            name = obj["metadata"]["name"]
            said[f"{kind} {name}"] = str(obj)
            said[f"the events of {kind} {name}"] = str(system.events(name))
    for where, text in said.items():
        for token in (WRONG, OTHER, TOKEN):
            assert token not in text, f"{token} in {where}"
            assert b64encode(token.encode()).decode().rstrip("=")[:-1] not in text, (
                f"{token} in {where}, encoded"
            )


def test_a_wrong_token_is_asked_once_said_everywhere_and_healed_by_the_secret(system: System) -> None:
    objects = [system.guild(), system.role("builder"), system.channel("lobby")]
    system.connect(token=WRONG)
    system.apply(*objects)

    said = until_config_says(system, "rejected")
    assert f"Secret {system.namespace}/discord-bot (key token)" in said
    for obj in objects:
        system.until_synced_false(
            obj["kind"], obj["metadata"]["name"], rf'ProviderConfig "{system.config_name}"'
        )
    system.until_event(system.config_name, "CannotConnectToProvider", "rejected")
    system.until_event("lobby", "CannotConnectToProvider", system.config_name)
    assert [(one["path"], one["status"]) for one in system.discord.requests()] == [("/users/@me", 401)]
    healthz = system.provider.get("/healthz?verbose")
    assert healthz.status_code == 503
    assert system.config_name in healthz.text
    assert system.provider.probe("/readyz") == 200
    assert system.provider.probe("/livez") == 200

    system.until_polled(1)
    assert system.discord.count_requests() == 1, "silence after the one 401"

    system.apply(system.secret(TOKEN))
    system.until_true(*objects, seconds=6)
    system.until(lambda: config_is_ready(system), "the ProviderConfig to be Ready")
    system.until(lambda: system.provider.probe("/healthz") == 200, "/healthz to be well again")
    assert system.discord.count_requests(status=401) == 1


def test_a_token_revoked_while_all_is_well_is_asked_once_more_and_healed_by_a_new_one(system: System) -> None:
    objects = [system.guild(), system.role("builder"), *(system.channel(f"lobby-{n}") for n in range(5))]
    system.connect()
    system.apply(*objects)
    system.until_true(*objects)
    there = ids(system, objects)

    system.discord.revoke_token(TOKEN)
    system.reconcile(objects[0])
    until_config_says(system, "rejected")
    for obj in objects:
        system.until_synced_false(
            obj["kind"], obj["metadata"]["name"], rf'ProviderConfig "{system.config_name}"'
        )
    assert system.provider.probe("/healthz") == 503
    assert system.provider.probe("/readyz") == 200

    # Discord would take the same token again, but as long as the Secret is the same nobody asks.
    before = system.discord.last_request()
    system.discord.add_token(TOKEN)
    system.until_polled(1)
    assert system.discord.count_requests(since=before) == 0

    system.discord.add_token(OTHER)
    system.apply(system.secret(OTHER))
    system.until_true(*objects, seconds=6)
    assert ids(system, objects) == there
    assert system.discord.count_requests(status=401) == 1
    assert system.writes(before) == []


def test_every_way_to_get_the_secret_wrong_says_what_to_do(system: System) -> None:
    objects = [system.guild(), system.channel("lobby")]
    system.apply(system.config(), *objects)
    where = f"Secret {system.namespace}/discord-bot"

    said = until_config_says(system, "does not exist")
    assert said.startswith(where)
    assert "kubectl" in said
    system.until_synced_false("Channel", "lobby", where)
    system.apply(secret({"password": TOKEN}))
    until_config_says(system, f"{where} has no key token: it has password")
    system.apply(secret({"token": ""}))
    until_config_says(system, "key token of .* is empty")
    system.apply(secret({"token": "two words"}))
    until_config_says(system, "no bot token")
    system.apply(secret({"token": "naïve"}))
    until_config_says(system, "no bot token")
    assert system.discord.count_requests() == 0, "none of these can be a token"
    assert system.provider.probe("/healthz") == 503
    assert system.provider.probe("/readyz") == 200

    # What an editor adds, and what people copy from an example.
    system.apply(secret({"token": f"Bot {TOKEN}\n"}))
    system.until_true(*objects)
    assert system.discord.count_requests(status=401) == 0


@pytest.fixture
def second(system: System) -> Iterator[Obj]:
    """Return a ProviderConfig of another Secret; the bot's guild is `Other Guild`."""
    config = system.config()
    config["metadata"]["name"] += "-second"
    config["spec"]["credentials"]["secretRef"]["name"] = "second-bot"
    system.discord.create_bot("second", OTHER)
    system.discord.create_guild("Other Guild", bot="second")
    yield config
    system.kubectl(
        "delete", "providerconfigs.discord.crossplane.io", config["metadata"]["name"], "--wait=false"
    )
    system.patch("ProviderConfig", config["metadata"]["name"], {"metadata": {"finalizers": None}})


def test_one_bad_token_does_not_hold_up_the_other_config(system: System, second: Obj) -> None:
    mine = [system.guild(), system.channel("lobby")]
    reference = {"kind": "ProviderConfig", "name": second["metadata"]["name"]}
    theirs = [
        system.manifest("Guild", "other", {"name": "Other Guild"}, providerConfigRef=reference),
        system.manifest(
            "Channel",
            "hall",
            {"name": "hall", "type": "text", "guildIdRef": {"name": "other"}},
            providerConfigRef=reference,
        ),
    ]
    system.connect(token=WRONG)
    system.apply(secret({"token": OTHER}, name="second-bot"), second, *mine, *theirs)

    system.until_true(*theirs)
    until_config_says(system, "rejected")
    system.until_synced_false("Channel", "lobby", system.config_name)
    assert system.provider.probe("/healthz") == 200, "one token works"
    assert system.config_name in system.provider.get("/healthz?verbose").text
    assert all(is_true(system.get(obj["kind"], obj["metadata"]["name"])) for obj in theirs)

    # And a token that goes bad later: the other one is polled and put right as before.
    system.apply(system.secret(TOKEN))
    system.until_true(*mine)
    system.discord.revoke_token(TOKEN)
    system.reconcile(mine[0])
    until_config_says(system, "rejected")
    system.discord.rename_channel("hall", "hell", guild="Other Guild")
    system.until(
        lambda: [one["name"] for one in system.discord.channels("Other Guild")] == ["hall"],
        "the other guild's channel to be put back",
    )
    assert system.discord.count_requests(status=401) == 2, "one for each time that it was bad"


def test_the_token_of_another_bot_writes_nothing_until_that_is_acknowledged(system: System) -> None:
    objects = [system.guild(), system.channel("lobby", topic="hello")]
    system.connect()
    system.apply(*objects)
    system.until_true(*objects)

    other = system.discord.create_bot("other", OTHER)
    system.discord.add_bot(bot="other")
    before = system.discord.last_request()
    system.apply(system.secret(OTHER))
    said = until_config_says(system, "belongs to another bot")
    assert other["id"] in said
    assert (
        f"kubectl annotate providerconfigs.discord.crossplane.io {system.config_name} {ACKNOWLEDGED}={other['id']}"
        in said
    )
    changed, new = system.channel("lobby", topic="goodbye"), system.channel("hall")
    system.apply(changed, new)
    system.until_synced_false("Channel", "lobby", "another bot")
    system.until_synced_false("Channel", "hall", "another bot")
    system.reconcile(changed, new)
    assert system.writes(before) == []
    assert system.discord.channel("lobby")["topic"] == "hello"

    command = said[said.index("kubectl annotate") :].split()
    system.kubectl(*command[1:])
    system.until_true(objects[0], changed, new)
    assert {one["name"]: one["topic"] for one in system.discord.channels()} == {
        "lobby": "goodbye",
        "hall": None,
    }


def secret(data: dict[str, str], *, name: str = "discord-bot") -> Obj:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}


def until_config_says(system: System, pattern: str) -> str:
    """Wait until the ProviderConfig is not Ready for a reason that matches; return its message."""

    def message() -> str:
        ready = system.condition("ProviderConfig", system.config_name, "Ready")
        said = str(ready.get("message", ""))
        return said if ready.get("status") == "False" and re.search(pattern, said) else ""

    return str(system.until(message, f"the ProviderConfig to say something like {pattern!r}"))


def config_is_ready(system: System) -> bool:
    return system.condition("ProviderConfig", system.config_name, "Ready").get("status") == "True"


def ids(system: System, objects: list[Obj]) -> list[str]:
    return [system.external_name(obj["kind"], obj["metadata"]["name"]) for obj in objects]
