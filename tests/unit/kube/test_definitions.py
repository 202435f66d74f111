"""Whether a kind is served, waited for without cost, and whether all of it is about to go."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from provider_discord.kube import errors
from provider_discord.kube.access import Page, Watch
from provider_discord.kube.definitions import DEFINITIONS, REVIEWS, Definitions, is_served
from provider_discord.kube.reflector import Reflector
from provider_discord.kube.resource import Key, Obj, Resource
from provider_discord.kube.store import Store
from provider_discord.kube.timings import KubeTimings
from tests.unit.kube.test_reflector import ScriptedWatch, Server, eventually

THINGS = Resource("example.org", "v1", "things", "Thing", namespaced=True)
TIMINGS = KubeTimings(reflector_backoff_min_seconds=60.0, reflector_missing_backoff_max_seconds=60.0)
FORBIDDEN = errors.Forbidden(status=403, reason="Forbidden", message="may not")
NOT_THERE = errors.NotFound(status=404, reason="NotFound", message="no such CRD")


def crd(*, established: str = "True", served: bool = True, version: str = "v1", going: bool = False) -> Obj:
    metadata: Obj = {"name": str(THINGS), "resourceVersion": "5"}
    if going:
        metadata["deletionTimestamp"] = "2026-05-01T12:00:00Z"
    return {
        "metadata": metadata,
        "spec": {"versions": [{"name": version, "served": served}]},
        "status": {"conditions": [{"type": "Established", "status": established}]},
    }


@pytest.mark.parametrize(
    ("definition", "expected", "reason"),
    [
        (crd(), True, "established and served"),
        (crd(established="False"), False, "its names are taken by another"),
        (crd(served=False), False, "this version is switched off"),
        (crd(version="v2"), False, "another version than ours"),
        (crd(going=True), False, "it is about to go"),
        ({"metadata": {"name": "x"}, "status": {"conditions": None}}, False, "nobody has looked at it yet"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_when_a_kind_is_served(definition: Obj, expected: bool, reason: str) -> None:
    assert is_served(definition, "v1") is expected, reason


@dataclass
class Api:
    """What of the API server is asked for, scripted."""

    definition: Obj | Exception = field(default_factory=crd)
    verbs_shown: frozenset[str] | Exception = frozenset({"create", "get", "delete"})
    denied: set[str] = field(default_factory=set)
    review_error: Exception | None = None
    reviews: list[dict[str, str]] = field(default_factory=list)
    watch_made: ScriptedWatch | None = None
    selectors: list[str] = field(default_factory=list)

    def get(self, resource: Resource, key: Key) -> Obj:
        assert (resource, key) == (DEFINITIONS, Key("", "things.example.org"))
        if isinstance(self.definition, Exception):
            raise self.definition
        return self.definition

    def create(self, resource: Resource, obj: Obj) -> Obj:
        assert resource == REVIEWS
        if self.review_error is not None:
            raise self.review_error
        asked = obj["spec"]["resourceAttributes"]
        self.reviews.append(asked)
        return {**obj, "status": {"allowed": asked["verb"] not in self.denied}}

    def list_page(self, resource: Resource, *, field_selector: str = "", limit: int = 100) -> Page:
        self.selectors.append(field_selector)
        return Page([] if isinstance(self.definition, Exception) else [self.definition], "7")

    def watch(
        self, resource: Resource, *, resource_version: str, timeout_seconds: float, field_selector: str = ""
    ) -> Watch:
        assert resource_version == "7"
        self.selectors.append(field_selector)
        self.watch_made = ScriptedWatch(resource_version)
        return self.watch_made

    def verbs(self, resource: Resource) -> frozenset[str]:
        if isinstance(self.verbs_shown, Exception):
            raise self.verbs_shown
        return self.verbs_shown


def definitions(api: Api, now: Callable[[], float] = lambda: 0.0) -> Definitions:
    return Definitions(api, timings=TIMINGS, now=now)


@dataclass(frozen=True)
class Ending:
    reason: str
    definition: Obj | Exception
    verbs: frozenset[str] | Exception
    expected: bool


@pytest.mark.parametrize(
    "case",
    [
        Ending("it stands", crd(), frozenset(), expected=False),
        Ending("it is being deleted", crd(going=True), frozenset({"create"}), expected=True),
        Ending("it is gone, and its objects with it", NOT_THERE, NOT_THERE, expected=True),
        Ending("the kind is served without it", NOT_THERE, frozenset({"create"}), expected=False),
        Ending(
            "it may not be read; objects can be created", FORBIDDEN, frozenset({"create"}), expected=False
        ),
        Ending("it may not be read; nothing can be created", FORBIDDEN, frozenset({"get"}), expected=True),
        Ending("it may not be read; the kind is not served", FORBIDDEN, NOT_THERE, expected=True),
    ],
    ids=lambda case: case.reason,
)
def test_whether_a_kind_is_about_to_go(case: Ending) -> None:
    api = Api(definition=case.definition, verbs_shown=case.verbs)
    assert definitions(api).ending(THINGS) is case.expected, case.reason


@pytest.mark.parametrize(
    "error", [errors.Unreachable("cut off"), errors.ServerError(status=500, message="oh")]
)
def test_what_cannot_be_found_out_is_no_leave_to_delete(error: Exception) -> None:
    with pytest.raises(type(error)):
        definitions(Api(definition=error)).ending(THINGS)
    with pytest.raises(type(error)):
        definitions(Api(definition=FORBIDDEN, verbs_shown=error)).ending(THINGS)


def test_one_crd_is_watched_by_name_until_it_serves() -> None:
    api = Api(definition=NOT_THERE)
    opened: list[Any] = []
    found: list[bool] = []
    waiting = threading.Thread(
        target=lambda: found.append(definitions(api).until_served(THINGS, opened=opened.append))
    )
    waiting.start()
    eventually(lambda: bool(opened), "it is watched")
    assert api.watch_made is not None
    api.watch_made.send("ADDED", crd(established="False"))
    api.watch_made.bookmark(9)
    api.watch_made.send("DELETED", crd())
    assert waiting.is_alive()
    api.watch_made.send("MODIFIED", crd())
    waiting.join(5)
    assert found == [True]
    assert opened == [api.watch_made, None]
    assert api.watch_made.closed
    assert api.selectors == ["metadata.name=things.example.org"] * 2
    assert [(asked["verb"], asked["name"]) for asked in api.reviews] == [
        ("list", "things.example.org"),
        ("watch", "things.example.org"),
    ]


def test_a_crd_that_serves_already_is_not_waited_for() -> None:
    # The kind was answered with 404 all the same: the API server is about to serve it, or a proxy lies.
    api = Api()
    assert definitions(api).until_served(THINGS, opened=lambda _: None) is False
    assert api.watch_made is None


def test_without_rights_nothing_is_watched_and_they_are_asked_for_again_later() -> None:
    time = [0.0]
    api = Api(definition=NOT_THERE, denied={"watch"})
    made = definitions(api, lambda: time[0])
    for _ in range(3):
        assert made.until_served(THINGS, opened=lambda _: None) is False
    assert len(api.reviews) == 2, "asked once"
    assert api.watch_made is None
    time[0] += TIMINGS.access_review_seconds + 1
    api.denied.clear()
    thread = threading.Thread(target=made.until_served, args=(THINGS,), kwargs={"opened": lambda _: None})
    thread.start()
    eventually(lambda: api.watch_made is not None, "it is watched")
    assert api.watch_made is not None
    api.watch_made.finish()
    thread.join(5)


def test_a_question_without_an_answer_is_asked_again_the_next_time() -> None:
    api = Api(review_error=errors.Unreachable("cut off"))
    made = definitions(api)
    assert made.until_served(THINGS, opened=lambda _: None) is False
    api.review_error = None
    made.until_served(THINGS, opened=lambda _: None)
    assert len(api.reviews) == 2


@pytest.fixture
def missing() -> Iterator[tuple[Reflector, Server, Api]]:
    """A reflector of a kind that is not there, and that would ask again in a minute."""
    server, api, store = Server(), Api(definition=NOT_THERE), Store()
    server.list_errors = [errors.NotFound(status=404, message="404 page not found")]
    reflector = Reflector(
        server,
        THINGS,
        store,
        handler=lambda _: None,
        timings=TIMINGS,
        now=lambda: 0.0,
        rand=lambda: 0.0,
        definitions=definitions(api),
    )
    reflector.start()
    eventually(lambda: api.watch_made is not None, "its CRD is watched")
    yield reflector, server, api
    reflector.stop(5)
    assert f"reflector-{THINGS.plural}" not in {thread.name for thread in threading.enumerate()}


def test_a_kind_is_listed_as_soon_as_its_crd_serves_it(missing: tuple[Reflector, Server, Api]) -> None:
    reflector, server, api = missing
    assert reflector.missing
    assert not reflector.synced.is_set()
    assert api.watch_made is not None
    api.watch_made.send("ADDED", crd())
    server.next_watch()
    assert reflector.synced.is_set()
    assert not reflector.missing


def test_whoever_waits_for_a_crd_can_be_stopped(missing: tuple[Reflector, Server, Api]) -> None:
    reflector, _, api = missing
    reflector.stop(5)
    assert api.watch_made is not None
    assert api.watch_made.closed
