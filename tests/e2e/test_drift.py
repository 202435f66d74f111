"""Drift is what somebody changed at Discord: named, put back, and not confused with what we do ourselves."""

from __future__ import annotations

from typing import Any

from .conftest import System


def _drifted(system: System, *objects: dict[str, Any]) -> dict[str, str]:
    """Return what drift was told of each object that there was any of."""
    told = {
        one["metadata"]["name"]: [
            event["message"]
            for event in system.events(one["metadata"]["name"])
            if event["reason"] == "DriftDetected"
        ]
        for one in objects
    }
    return {name: " / ".join(messages) for name, messages in told.items() if messages}


def _guild(system: System) -> list[dict[str, Any]]:
    """A guild that needs its channels and is applied before them, everything against the order of its making."""
    return [
        system.guild(afkChannelIdRef={"name": "rest"}, systemChannelIdRef={"name": "c1"}),
        *(system.role(f"r{number}", position=number) for number in (3, 1, 2)),
        system.channel("rest", type="voice"),
        system.channel("hall", type="category", position=2),
        *(
            system.channel(f"c{number}", position=number, parentIdRef={"name": "hall"})
            for number in (3, 1, 2)
        ),
    ]


def test_what_we_do_ourselves_is_no_drift(system: System) -> None:
    objects = _guild(system)
    system.connect()
    for one in objects:
        system.apply(one)
    system.until_true(*objects)
    more = [
        system.role("r0", position=0),
        system.role("r9", position=9),
        system.channel("c0", position=0, parentIdRef={"name": "hall"}),
        system.channel("lobby", type="category", position=1),
    ]
    system.apply(*more)
    system.until_true(*objects, *more)
    system.until_polled()
    system.provider.kill()
    system.provider.start()
    system.until_polled()
    assert _drifted(system, *objects, *more) == {}
    assert system.provider.metric("provider_discord_drift_total") == 0


def test_what_somebody_changed_is_told_of_the_object_that_it_was_done_to(system: System) -> None:
    objects = _guild(system)
    system.connect()
    system.apply(*objects)
    system.until_true(*objects)
    system.until_polled()

    system.discord.move_channels([{"id": system.external_name("Channel", "c3"), "position": 0}])
    system.discord.edit_role(system.external_name("Role", "r2"), {"name": "theirs"})

    system.until_event("c3", "DriftDetected", "position: above c1, c2 -> below c1, c2", "Normal")
    system.until_event("r2", "DriftDetected", 'name: "theirs" -> "r2"', "Normal")
    system.until_true(*objects)
    assert set(_drifted(system, *objects)) == {"c3", "r2"}
