"""What a backup is for: a cluster that is lost, and a guild that was emptied, each alone and both at once."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import pytest

from provider_discord.managed import meta

from .conftest import MANAGED, MERGE_PATCH, TIME_SCALE, Obj, System

CHANNELS: Final = 14
ROLES: Final = 8
FULL_SERVICE_SECONDS: Final = 45 * 60
"""The runbooks' objective for everything to be there again."""


def community(system: System) -> list[Obj]:
    """Return a guild's manifests, with references of every sort and an order."""
    roles = [system.role(f"r{number}", position=10 * number, hoist=True) for number in range(ROLES)]
    room = system.channel("room", type="category", position=1)
    channels = [
        system.channel(
            f"c{number}",
            topic=f"about {number}",
            parentIdRef={"name": "room"},
            position=10 * number,
            permissionOverwrites=[{"roleIdRef": {"name": "r0"}, "denyNames": ["SEND_MESSAGES"]}],
        )
        for number in range(CHANNELS)
    ]
    return [system.guild(), room, *roles, *channels]


def back_up(system: System, file: Path) -> None:
    command = [sys.executable, "-m", "provider_discord", "backup", "-n", system.namespace, "-o", str(file)]
    kubeconfig = str(system.control_plane.kubeconfig)
    said = subprocess.run([*command, "--kubeconfig", kubeconfig], capture_output=True, text=True, check=True)
    assert f"Secret {system.namespace}/discord-bot" in said.stderr


def lose_the_cluster(system: System) -> None:
    """Take all objects away as if they had never been, with nobody there to act on it."""
    system.provider.kill()
    paths = [system.path(kind, obj["metadata"]["name"]) for kind in MANAGED for obj in system.objects(kind)]
    freed = {"metadata": {"finalizers": None}}
    system.request_each("PATCH", [(path, freed) for path in paths], content_type=MERGE_PATCH)
    for kind in MANAGED:
        system.control_plane.request("DELETE", system.path(kind))
    system.patch("ProviderConfig", system.config_name, freed)
    system.delete("ProviderConfig", system.config_name)


def restore(system: System, file: Path) -> None:
    system.control_plane.kubectl("apply", "--server-side", "-f", str(file))
    system.provider.start()


def empty_the_guild(system: System) -> None:
    for channel in system.discord.channels():
        system.discord.delete_channel(channel["id"], actor="Mallory")
    for role in system.discord.roles():
        if not role["managed"] and role["name"] != "@everyone":
            system.discord.delete_role(role["id"], actor="Mallory")


def release_if_held(system: System) -> bool:
    """Type what the Guild's condition says, if it is held."""
    condition = system.condition("Guild", "guild", "Held")
    if condition.get("status") != "True":
        return False
    hold = condition["message"].partition(f"{meta.RELEASE_HOLD}=")[2].split()[0]
    system.kubectl("annotate", "dguild", "guild", f"{meta.RELEASE_HOLD}={hold}", "--overwrite")
    return True


def shape(system: System) -> list[Obj]:
    """Return the channels without what is new in a new one: as they are ordered, under which parent, with what."""
    names = {one["id"]: one["name"] for one in [*system.discord.channels(), *system.discord.roles()]}
    return [
        {
            "name": one["name"],
            "topic": one.get("topic"),
            "parent": names.get(one.get("parent_id") or ""),
            "overwrites": sorted(
                (names.get(item["id"], "?"), item["allow"], item["deny"])
                for item in one["permission_overwrites"]
            ),
        }
        for one in sorted(system.discord.channels(), key=lambda one: (one["position"], int(one["id"])))
    ]


@pytest.mark.parametrize("lost", ["cluster", "guild", "both"])
def test_what_was_lost_is_restored_from_a_backup(system: System, tmp_path: Path, lost: str) -> None:
    objects = community(system)
    system.connect()
    system.apply(*objects)
    system.until_true(*objects)
    file = tmp_path / "backup.yaml"
    back_up(system, file)
    before, roles = shape(system), [role["name"] for role in system.discord.roles()]

    mark = system.discord.last_request()
    began = time.monotonic()
    if lost == "cluster":
        lose_the_cluster(system)
        restore(system, file)
    elif lost == "guild":
        empty_the_guild(system)
    else:
        lose_the_cluster(system)
        empty_the_guild(system)
        restore(system, file)
    if lost == "guild":
        # Nothing is put back before somebody says that it shall be.
        system.until(
            lambda: system.condition("Guild", "guild", "Held").get("status") == "True", "the guild to be held"
        )
        assert system.writes(since=mark) == []
        assert release_if_held(system)
    system.until(lambda: release_if_held(system) or shape(system) == before, "the guild to be as it was")
    system.until_true(*objects)
    seconds = (time.monotonic() - began) / TIME_SCALE
    print(f"lost: {lost}; {len(objects)} objects true after {seconds:.0f} s of unscaled waits")

    assert seconds < FULL_SERVICE_SECONDS
    assert shape(system) == before
    assert sorted(role["name"] for role in system.discord.roles()) == sorted(roles)
    if lost == "cluster":
        assert system.writes(since=mark) == []
