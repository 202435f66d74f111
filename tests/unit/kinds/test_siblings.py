"""The facts about the other objects of a guild."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from provider_discord.kinds.registry import RESOURCES
from provider_discord.kinds.siblings import Siblings, sibling_of
from provider_discord.kube.resource import Key, Obj, key_of
from provider_discord.kube.store import Store
from provider_discord.managed.claims import Claim, Claims

_CHANNELS = next(resource for resource in RESOURCES if resource.kind == "Channel")
_GUILD = "111111111111111111"
_ID = "222222222222222222"
_AT = datetime(2026, 11, 22, tzinfo=UTC)


def _claim(name: str, *, hour: int = 0, writes: bool = True) -> Claim:
    at = _AT + timedelta(hours=hour)
    return Claim(kind="Channel", key=Key("default", name), uid=name, created_at=at, writes=writes)


def _obj(name: str = "x", version: int = 1, **changes: Any) -> Obj:
    obj: Obj = {
        "kind": "Channel",
        "metadata": {
            "name": name,
            "namespace": "default",
            "resourceVersion": str(version),
            "uid": name,
            "annotations": {"crossplane.io/external-name": changes.get("id", _ID)},
        },
        "spec": {"forProvider": {"guildId": _GUILD, "position": changes.get("position", 3)}},
        "status": {"atProvider": {"id": changes.get("id", _ID), "guildId": _GUILD}},
    }
    obj["metadata"] |= changes.get("metadata", {})
    obj["metadata"]["annotations"] |= changes.get("annotations", {})
    obj["spec"] |= changes.get("spec", {})
    obj["status"] = changes.get("status", obj["status"])
    return obj


@pytest.mark.parametrize(
    ("changes", "movable", "reason"),
    [
        ({}, True, "an ordinary one"),
        ({"annotations": {"crossplane.io/paused": "true"}}, False, "paused"),
        (
            {
                "status": {
                    "atProvider": {"id": _ID, "guildId": _GUILD},
                    "conditions": [{"type": "Synced", "status": "False", "reason": "ReconcilePaused"}],
                }
            },
            False,
            "paused by its ProviderConfig",
        ),
        ({"metadata": {"deletionTimestamp": "2026-11-22T10:00:00Z"}}, False, "being deleted"),
        ({"spec": {"managementPolicies": ["Observe"]}}, False, "only observed"),
        ({"spec": {"managementPolicies": ["Observe", "Create", "Update"]}}, True, "may be updated"),
        ({"status": {}}, False, "its own pass never came so far, maybe because its config forbids it"),
    ],
)
def test_only_what_is_ours_to_move_counts(changes: dict[str, Any], movable: bool, reason: str) -> None:
    assert sibling_of(_obj(**changes)).movable is movable, reason


def test_facts_follow_the_store_and_go_with_the_object() -> None:
    store = Store()
    claims = Claims()
    siblings = Siblings({_CHANNELS: store}, claims)
    store.put(_obj(version=1, position=3))
    claims.register(_ID, _claim("x"))
    assert siblings.sort_keys(_CHANNELS, _GUILD) == {_ID: 3}
    store.put(_obj(version=2, position=7))
    assert siblings.sort_keys(_CHANNELS, _GUILD) == {_ID: 7}
    store.remove(_obj(version=3))
    assert siblings.sort_keys(_CHANNELS, _GUILD) == {}


def test_facts_of_objects_that_are_gone_do_not_pile_up() -> None:
    store = Store()
    siblings = Siblings({_CHANNELS: store}, Claims())
    for number in range(1000):
        obj = _obj(f"x{number}", version=number + 1)
        store.put(obj)
        store.remove(obj)
    assert len(siblings._records[_CHANNELS]) < 200


def test_an_object_without_a_snowflake_has_no_place() -> None:
    assert sibling_of(_obj(id="general")).external_name is None


_OTHERS = {"creationTimestamp": "2026-11-22T10:00:00Z"}


@pytest.mark.parametrize(
    ("older", "writes", "found", "reason"),
    [
        ({"position": 3}, True, {_ID: 3}, "the older one owns the name, so its sort key counts"),
        ({"position": None}, True, {}, "the owner leaves the place alone"),
        ({"position": 3, "annotations": {"crossplane.io/paused": "true"}}, True, {}, "the owner is paused"),
        ({"position": 3}, False, {_ID: 7}, "who may not have the name, or only looks, owns nothing: as in Claims"),
    ],
)  # fmt: skip
def test_of_two_with_one_name_only_the_owner_moves_it(
    older: dict[str, Any], writes: bool, found: dict[str, int], reason: str
) -> None:
    store = Store()
    claims = Claims()
    siblings = Siblings({_CHANNELS: store}, claims)
    metadata = {"creationTimestamp": "2026-11-22T09:00:00Z"}
    store.put(_obj("a", version=1, **older, metadata=metadata))
    store.put(_obj("z", version=2, position=7, metadata=_OTHERS))
    assert siblings.sort_keys(_CHANNELS, _GUILD) == {}, "nobody has claimed it yet"
    claims.register(_ID, _claim("a", hour=9, writes=writes))
    claims.register(_ID, _claim("z", hour=10))
    assert siblings.sort_keys(_CHANNELS, _GUILD) == found, reason
    store.put(_obj("z", version=3, position=8, metadata=_OTHERS))
    store.put(_obj("a", version=4, **older, metadata=metadata))
    assert siblings.sort_keys(_CHANNELS, _GUILD) == {
        key: 8 if value == 7 else value for key, value in found.items()
    }
    claims.release("Channel", Key("default", "a"))
    assert siblings.sort_keys(_CHANNELS, _GUILD) == {_ID: 8}, "the table alone has changed"


def test_an_object_is_at_home_in_the_guild_object_of_its_guild() -> None:
    guilds = next(resource for resource in RESOURCES if resource.kind == "Guild")
    stores = {_CHANNELS: Store(), guilds: Store()}
    claims = Claims()
    siblings = Siblings(stores, claims)
    channel = _obj("general")
    stores[_CHANNELS].put(channel)
    assert siblings.home("Channel", key_of(channel)) == "", "no Guild object stands for it"
    for name, year in (("younger", 2026), ("older", 2025)):
        made = {"creationTimestamp": f"{year}-11-22T09:00:00Z"}
        stores[guilds].put(_obj(name, id=_GUILD, metadata=made) | {"kind": "Guild"})
    assert siblings.home("Channel", key_of(channel)) == "default/older"
    assert siblings.home("Guild", Key("default", "younger")) == "default/older"
    claims.register(_GUILD, Claim(kind="Guild", key=Key("default", "younger"), uid="younger", created_at=_AT))
    assert siblings.home("Guild", Key("default", "older")) == "default/younger", "the older one only looks"
    assert siblings.home("Channel", Key("default", "unknown")) == ""
