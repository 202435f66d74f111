"""The cache is never older than our own writes, and tells every change of the watch in order."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from provider_discord.kube.resource import Key, Obj
from provider_discord.kube.store import Change, Store


def thing(name: str, version: int, *, uid: str = "u", **spec: Any) -> Obj:
    return {
        "apiVersion": "example.org/v1",
        "kind": "Thing",
        "metadata": {"namespace": "ns", "name": name, "uid": uid, "resourceVersion": str(version)},
        "spec": spec,
    }


KEY = Key("ns", "a")


def stored(store: Store, key: Key = KEY) -> Obj:
    obj = store.get(key)
    assert obj is not None
    return obj


def test_a_reader_cannot_alter_the_cache() -> None:
    store = Store()
    store.put(thing("a", 1, tags=["x"]))
    stored(store)["spec"]["tags"].append("y")
    next(iter(store.items()))["spec"].clear()
    assert stored(store)["spec"] == {"tags": ["x"]}


def test_only_managed_fields_are_left_out_and_the_given_object_is_untouched() -> None:
    store = Store()
    obj = thing("a", 1, topic="grüße 🎉")
    obj["metadata"]["managedFields"] = [{"manager": "kubectl"}]
    obj["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": "{}"}
    obj["unknown"] = {"to": "us"}
    store.put(obj)
    assert obj["metadata"].pop("managedFields")
    assert stored(store) == obj


def test_an_older_version_never_overwrites_a_newer_one() -> None:
    store = Store()
    store.put(thing("a", 5, n=5))
    store.put_written(thing("a", 9, n=9))
    store.put_written(thing("a", 7, n=7))
    store.put(thing("a", 6, n=6))
    assert stored(store)["spec"] == {"n": 9}


def test_versions_are_compared_as_numbers() -> None:
    store = Store()
    store.put(thing("a", 99, n=1))
    store.put_written(thing("a", 100, n=2))
    assert stored(store)["spec"] == {"n": 2}


def test_our_own_write_is_still_told_as_a_change_when_the_watch_delivers_it() -> None:
    # Others wait for what we wrote, for example children for the external name of their parent.
    store = Store()
    store.put(thing("a", 1, n=1))
    store.put_written(thing("a", 2, n=2))
    change = store.put(thing("a", 2, n=2))
    assert change is not None
    assert (change.old or {})["spec"] == {"n": 1}
    assert (change.new or {})["spec"] == {"n": 2}
    assert store.put(thing("a", 2, n=2)) is None, "a second delivery is no change"


def test_a_change_by_another_before_our_write_is_told_too() -> None:
    store = Store()
    store.put(thing("a", 1, n=1))
    store.put_written(thing("a", 3, n=3))
    change = store.put(thing("a", 2, n=2))
    assert change is not None
    assert ((change.old or {})["spec"], (change.new or {})["spec"]) == ({"n": 1}, {"n": 2})
    assert stored(store)["spec"] == {"n": 3}
    change = store.put(thing("a", 3, n=3))
    assert change is not None
    assert ((change.old or {})["spec"], (change.new or {})["spec"]) == ({"n": 2}, {"n": 3})


def test_an_object_that_we_created_is_told_as_created() -> None:
    store = Store()
    store.put_written(thing("a", 4))
    change = store.put(thing("a", 4))
    assert change is not None
    assert change.old is None


def test_the_late_answer_to_a_write_does_not_resurrect_a_deleted_object() -> None:
    store = Store()
    store.put(thing("a", 1))
    change = store.remove(thing("a", 5))
    assert change is not None
    assert change.new is None
    store.put_written(thing("a", 4))
    assert store.get(KEY) is None
    store.put_written(thing("a", 6, uid="next"))
    assert stored(store)["metadata"]["uid"] == "next", "a new object of that name is another matter"


def test_the_write_that_takes_away_the_last_finalizer_leaves_nothing() -> None:
    store = Store()
    gone = thing("a", 7)
    gone["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    store.put_written(gone)
    assert store.get(KEY) is None
    gone["metadata"]["finalizers"] = ["somebody.else"]
    store.put_written(gone)
    assert stored(store)["metadata"]["finalizers"] == ["somebody.else"]


def test_the_old_ones_end_does_not_remove_the_new_one_that_we_made() -> None:
    store = Store()
    store.put(thing("a", 1, uid="old"))
    store.put_written(thing("a", 9, uid="new"))
    change = store.remove(thing("a", 8, uid="old"))
    assert change is not None
    assert (change.old or {})["metadata"]["uid"] == "old"
    assert change.new is None
    assert stored(store)["metadata"]["uid"] == "new"
    change = store.put(thing("a", 9, uid="new"))
    assert change is not None
    assert change.old is None


def test_removing_what_was_never_told_is_no_change() -> None:
    store = Store()
    assert store.remove(thing("a", 3)) is None
    store.put_written(thing("a", 4))
    assert store.remove(thing("a", 5)) is None
    assert store.get(KEY) is None


def test_a_complete_list_shows_what_was_deleted() -> None:
    store = Store()
    changes = store.replace_all([thing("a", 1), thing("b", 2)], resource_version=2)
    assert [(change.key.name, change.initial) for change in changes] == [("a", True), ("b", True)]
    assert store.has_synced
    store.put_written(thing("mine", 9))
    changes = store.replace_all([thing("b", 2), thing("c", 7)], resource_version=8)
    assert [
        (change.key.name, change.old is None, change.new is None, change.initial) for change in changes
    ] == [
        ("c", True, False, False),
        ("a", False, True, False),
    ]
    assert sorted(obj["metadata"]["name"] for obj in store.items()) == ["b", "c", "mine"], (
        "the list is older than our write"
    )


def test_the_late_answer_to_a_create_does_not_resurrect_what_no_list_ever_showed() -> None:
    store = Store()
    store.replace_all([], resource_version=7)
    store.put_written(thing("a", 5))  # Created at 5, deleted at 6, and only now the answer comes in.
    assert store.get(KEY) is None


def test_versions_that_went_back_are_taken_after_a_rewind() -> None:
    store = Store()
    store.put(thing("a", 500, n=1))
    store.put(thing("b", 501))
    store.rewind()
    store.put(thing("a", 30, n=2))
    assert [change.key.name for change in store.retain({KEY}, resource_version=40)] == ["b"]
    assert stored(store)["spec"] == {"n": 2}
    store.put_written(thing("b", 41))
    assert Key("ns", "b") in store


def test_indices_follow_the_objects() -> None:
    store = Store()
    store.put(thing("a", 1, owner="x"))
    store.add_index("owner", lambda obj: [obj["spec"]["owner"]] if "owner" in obj["spec"] else [])
    store.put(thing("b", 2, owner="x"))
    assert [key.name for key in store.by_index("owner", "x")] == ["a", "b"]
    store.put_written(thing("a", 3, owner="y"))
    assert [key.name for key in store.by_index("owner", "x")] == ["b"]
    assert [key.name for key in store.by_index("owner", "y")] == ["a"]
    store.put(thing("b", 4))
    store.remove(thing("a", 5))
    assert store.by_index("owner", "x") == []
    assert store.by_index("owner", "y") == []
    with pytest.raises(KeyError):
        store.by_index("nothing", "x")
    with pytest.raises(ValueError, match="owner"):
        store.add_index("owner", lambda _: [])


def test_cluster_scoped_objects_have_no_namespace_in_their_key() -> None:
    store = Store()
    store.put({"metadata": {"name": "config", "resourceVersion": "1"}})
    assert store.keys() == [Key("", "config")]
    assert str(store.keys()[0]) == "config"
    assert len(store) == 1


class StoreMachine(RuleBasedStateMachine):
    """A server whose watch lags behind, a writer whose answers come late, relists in between."""

    NAMES = ("a", "b", "c")

    def __init__(self) -> None:
        super().__init__()
        self.store = Store()
        self.version = 0
        self.server: dict[str, Obj] = {}
        self.stream: list[tuple[str, Obj]] = []
        self.answers: list[Obj] = []
        self.written: dict[str, int] = {}
        self.told: dict[str, Obj | None] = {}
        self.uids = 0

    def next_version(self) -> int:
        self.version += 1
        return self.version

    def change(self, name: str, value: int) -> Obj:
        before = self.server.get(name)
        if before is None:
            self.uids += 1
        uid = before["metadata"]["uid"] if before else f"u{self.uids}"
        obj = thing(name, self.next_version(), uid=uid, value=value)
        self.server[name] = obj
        self.stream.append(("ADDED" if before is None else "MODIFIED", obj))
        return obj

    @rule(name=st.sampled_from(NAMES), value=st.integers(0, 3))
    def somebody_writes(self, name: str, value: int) -> None:
        self.change(name, value)

    @rule(name=st.sampled_from(NAMES), value=st.integers(0, 3))
    def we_write(self, name: str, value: int) -> None:
        self.answers.append(self.change(name, value))

    @rule(name=st.sampled_from(NAMES))
    def somebody_deletes(self, name: str) -> None:
        obj = self.server.pop(name, None)
        if obj is not None:
            gone = thing(name, self.next_version(), uid=obj["metadata"]["uid"], **obj["spec"])
            self.stream.append(("DELETED", gone))

    @rule(data=st.data())
    def an_answer_arrives(self, data: st.DataObject) -> None:
        if self.answers:
            obj = self.answers.pop(data.draw(st.integers(0, len(self.answers) - 1)))
            self.store.put_written(obj)
            name = obj["metadata"]["name"]
            self.written[name] = max(self.written.get(name, 0), int(obj["metadata"]["resourceVersion"]))

    @rule(count=st.integers(1, 4))
    def the_watch_goes_on(self, count: int) -> None:
        for _ in range(min(count, len(self.stream))):
            type_, obj = self.stream.pop(0)
            self.tell(self.store.remove(obj) if type_ == "DELETED" else self.store.put(obj))

    @rule()
    def a_relist(self) -> None:
        self.stream.clear()
        for change in self.store.replace_all(list(self.server.values()), resource_version=self.version):
            self.tell(change)

    def tell(self, change: Change | None) -> None:
        if change is None:
            return
        name = change.key.name
        assert change.old == self.told.get(name), "every change begins where the last one ended"
        assert change.old != change.new
        self.told[name] = change.new

    @invariant()
    def never_older_than_our_own_writes(self) -> None:
        for name, version in self.written.items():
            obj = self.store.get(Key("ns", name))
            if obj is not None:
                assert int(obj["metadata"]["resourceVersion"]) >= version
            elif name in self.server:
                assert int(self.server[name]["metadata"]["resourceVersion"]) != version, (
                    "our write is missing"
                )

    @invariant()
    def caught_up_means_equal(self) -> None:
        if self.stream:
            return
        assert {obj["metadata"]["name"]: obj for obj in self.store.items()} == self.server
        assert {name: obj for name, obj in self.told.items() if obj is not None} == self.server


TestStoreMachine = StoreMachine.TestCase
TestStoreMachine.settings = settings(
    max_examples=200, stateful_step_count=40, deadline=None, derandomize=True
)
