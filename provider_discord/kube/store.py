"""A cache of one kind's objects, kept as compact JSON.

Each object is stored as bytes and every read decodes a fresh dict: a third of the memory of dicts, cheaper
than a deep copy, and no reader can alter the cache.

Two writers feed it. The reflector tells what the API server's watch delivers. A controller tells what it has
just written (`put_written`), so that its next read is never older than its own write; the watch will deliver
the same version a moment later. Therefore an entry may be ahead of the watch, and:

- an older version never overwrites a newer one;
- the object as *delivered* is kept beside it until the watch has caught up, so that whoever compares old and
  new (predicates, mappings) sees every change of the watch in order, our own writes included;
- a deletion leaves a tombstone, so that the late answer to a write does not resurrect the object.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from provider_discord.kube.resource import Key, Obj, key_of, resource_version_of, uid_of

__all__ = ["Change", "IndexFunction", "Store"]

IndexFunction = Callable[[Obj], Iterable[str]]
"""Tells under which values of an index an object is found. Must not raise for any object the schema allows."""

_TOMBSTONES = 10_000


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one object: created (`old` is None), changed, or gone (`new` is None).

    `initial` is True for what the first list showed: nothing has happened to it that we know of.
    """

    key: Key
    old: Obj | None
    new: Obj | None
    initial: bool = False


@dataclass(slots=True)
class _Entry:
    current: bytes
    version: int
    uid: str
    delivered: bytes | None
    """What the watch last told; the very same object as `current` unless a write of ours is ahead of it."""


def _encode(obj: Obj) -> bytes:
    """Return compact JSON without managedFields.

    managedFields are bookkeeping of the API server, often the larger half of an object, and an object that is
    PUT without them keeps those that it has. Nothing else may be dropped: what is PUT is what was read here.
    """
    metadata = obj.get("metadata", {})
    if "managedFields" in metadata:
        obj = {
            **obj,
            "metadata": {name: value for name, value in metadata.items() if name != "managedFields"},
        }
    return json.dumps(obj, separators=(",", ":"), ensure_ascii=False).encode()


def _decode(data: bytes) -> Obj:
    obj: Obj = json.loads(data)
    return obj


class Store:
    """Objects of one kind by key. Every method may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._entries: dict[Key, _Entry] = {}
        self._tombstones: OrderedDict[Key, int] = OrderedDict()
        self._listed = 0
        """The version of the last complete list: what was written up to then and is not here, is gone."""
        self._index_functions: dict[str, IndexFunction] = {}
        self._indices: dict[str, dict[str, set[Key]]] = {}
        self._indexed: dict[Key, list[tuple[str, str]]] = {}
        self._synced = threading.Event()

    # Reading.

    @property
    def has_synced(self) -> bool:
        """True once a list is in completely, until `suspend`: an object that is not here does not exist."""
        return self._synced.is_set()

    def get(self, key: Key) -> Obj | None:
        """Return a fresh copy of an object, None if there is none."""
        with self._lock:
            entry = self._entries.get(key)
        return _decode(entry.current) if entry else None

    def keys(self) -> list[Key]:
        """Return all keys at this moment."""
        with self._lock:
            return list(self._entries)

    def items(self) -> Iterator[Obj]:
        """Yield a fresh copy of each object; one that goes meanwhile may be left out."""
        for key in self.keys():
            obj = self.get(key)
            if obj is not None:
                yield obj

    def by_index(self, name: str, value: str) -> list[Key]:
        """Return the keys of the objects that the index has under `value`, sorted. Raises KeyError: no such index."""
        with self._lock:
            return sorted(self._indices[name].get(value, ()))

    def __len__(self) -> int:
        with self._lock:
            return len(self._entries)

    def __contains__(self, key: Key) -> bool:
        with self._lock:
            return key in self._entries

    # Writing.

    def add_index(self, name: str, function: IndexFunction) -> None:
        """Add an index, also over what is here already. Raises ValueError for a name that is taken."""
        with self._lock:
            if name in self._index_functions:
                msg = f"the store has an index {name!r} already"
                raise ValueError(msg)
            self._index_functions[name] = function
            self._indices[name] = {}
            for key, entry in self._entries.items():
                self._index(key, _decode(entry.current), names=(name,))

    def mark_synced(self) -> None:
        """Tell that a list is in completely."""
        self._synced.set()

    def suspend(self) -> None:
        """Tell that what is here may be long out of date; `mark_synced` ends that. It stays readable."""
        self._synced.clear()

    def put(self, obj: Obj, *, initial: bool = False) -> Change | None:
        """Take in what a list or watch delivered; return the change that it is, None if it is none."""
        key, version, uid, data = key_of(obj), resource_version_of(obj), uid_of(obj), _encode(obj)
        with self._lock:
            entry = self._entries.get(key)
            before = entry.delivered if entry else None
            if entry is None or version >= entry.version:
                self._set(key, _Entry(data, version, uid, data), obj)
            else:
                entry.delivered = data  # A write of ours is ahead of the watch.
        if before == data:
            return None
        return Change(key, _decode(before) if before is not None else None, _decode(data), initial)

    def put_written(self, obj: Obj) -> None:
        """Take in an object that we have just written, as the API server returned it."""
        metadata = obj.get("metadata", {})
        key, version = key_of(obj), resource_version_of(obj)
        if metadata.get("deletionTimestamp") and not metadata.get("finalizers"):
            return  # The write that took away the last finalizer: the object is gone by now.
        data = _encode(obj)
        with self._lock:
            entry = self._entries.get(key)
            if entry is None and 0 < version <= max(self._listed, self._tombstones.get(key, 0)):
                return
            if entry is None:
                self._set(key, _Entry(data, version, uid_of(obj), None), obj)
            elif version > entry.version:
                self._set(key, _Entry(data, version, uid_of(obj), entry.delivered), obj)

    def remove(self, obj: Obj) -> Change | None:
        """Take in that the watch delivered a deletion, with the object's last state."""
        key, version = key_of(obj), resource_version_of(obj)
        with self._lock:
            self._bury(key, version)
            entry = self._entries.get(key)
            if entry is None:
                return None
            before = entry.delivered
            if entry.version > version and entry.uid != uid_of(obj):
                entry.delivered = None  # Already made anew, by us.
            else:
                self._drop(key)
        return Change(key, _decode(before), None) if before is not None else None

    def retain(self, keys: set[Key], *, resource_version: int) -> list[Change]:
        """Drop what a complete list as of `resource_version` did not show; return these deletions.

        What we wrote after that moment stays: the list could not show it.
        """
        changes = []
        with self._lock:
            self._listed = resource_version
            for key in [key for key in self._entries if key not in keys]:
                entry = self._entries[key]
                before = entry.delivered
                if entry.version > resource_version > 0:
                    entry.delivered = None
                else:
                    self._bury(key, max(entry.version, resource_version))
                    self._drop(key)
                if before is not None:
                    changes.append(Change(key, _decode(before), None))
        return changes

    def replace_all(self, objs: Iterable[Obj], *, resource_version: int = 0) -> list[Change]:
        """Make the content that of a complete list as of `resource_version`; return the changes."""
        changes = []
        seen: set[Key] = set()
        initial = not self.has_synced
        for obj in objs:
            seen.add(key_of(obj))
            change = self.put(obj, initial=initial)
            if change:
                changes.append(change)
        changes += self.retain(seen, resource_version=resource_version)
        self.mark_synced()
        return changes

    def rewind(self) -> None:
        """Forget how new everything is: the API server's versions went back (etcd was restored from a backup)."""
        with self._lock:
            self._tombstones.clear()
            self._listed = 0
            for entry in self._entries.values():
                entry.version = 0

    # All below hold the lock.

    def _set(self, key: Key, entry: _Entry, obj: Obj) -> None:
        self._entries[key] = entry
        self._tombstones.pop(key, None)
        self._unindex(key)
        self._index(key, obj, names=self._index_functions)

    def _drop(self, key: Key) -> None:
        del self._entries[key]
        self._unindex(key)

    def _bury(self, key: Key, version: int) -> None:
        self._tombstones[key] = max(version, self._tombstones.pop(key, 0))
        while len(self._tombstones) > _TOMBSTONES:
            self._tombstones.popitem(last=False)

    def _index(self, key: Key, obj: Obj, *, names: Iterable[str]) -> None:
        for name in names:
            for value in set(self._index_functions[name](obj)):
                self._indices[name].setdefault(value, set()).add(key)
                self._indexed.setdefault(key, []).append((name, value))

    def _unindex(self, key: Key) -> None:
        for name, value in self._indexed.pop(key, ()):
            keys = self._indices[name][value]
            keys.discard(key)
            if not keys:
                del self._indices[name][value]
