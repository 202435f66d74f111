"""A write that would leave after the lease does not leave."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import pytest

from provider_discord.kube.access import ObjectAccess
from provider_discord.kube.errors import NotLeading
from provider_discord.kube.fence import Fence
from provider_discord.kube.resource import Key, Resource

THINGS = Resource("example.org", "v1", "things", "Thing", namespaced=True)
KEY = Key("ns", "a")
OBJ: dict[str, Any] = {"metadata": {"namespace": "ns", "name": "a"}}

WRITES: dict[str, Callable[[ObjectAccess], object]] = {
    "create": lambda access: access.create(THINGS, OBJ),
    "replace": lambda access: access.replace(THINGS, OBJ),
    "replace_status": lambda access: access.replace_status(THINGS, OBJ),
    "delete": lambda access: access.delete(THINGS, KEY, uid="u"),
}
READS: dict[str, Callable[[ObjectAccess], object]] = {
    "get": lambda access: access.get(THINGS, KEY),
    "list_page": lambda access: access.list_page(THINGS, limit=5),
    "watch": lambda access: access.watch(THINGS, resource_version="1", timeout_seconds=1.0),
}


@pytest.mark.parametrize("verb", [*WRITES, *READS])
def test_who_leads_passes(verb: str) -> None:
    inner = Mock()
    (WRITES | READS)[verb](Fence(inner, may_write=lambda: True))
    getattr(inner, verb).assert_called_once()


@pytest.mark.parametrize("verb", WRITES)
def test_who_does_not_lead_writes_nothing(verb: str) -> None:
    inner = Mock()
    with pytest.raises(NotLeading, match="does not lead"):
        WRITES[verb](Fence(inner, may_write=lambda: False))
    assert inner.mock_calls == []


@pytest.mark.parametrize("verb", READS)
def test_everybody_may_look(verb: str) -> None:
    inner = Mock()
    READS[verb](Fence(inner, may_write=lambda: False))
    getattr(inner, verb).assert_called_once()
