"""What a process remembers of its own doings stays small."""

from __future__ import annotations

from provider_discord.kinds.recent import Recent


def test_the_oldest_is_forgotten_first() -> None:
    recent: Recent[int] = Recent(limit=3)
    for number in range(3):
        recent.put(str(number), number)
    recent.put("0", 9)
    recent.put("3", 3)
    assert len(recent) == 3
    assert [recent.get(str(number)) for number in range(4)] == [9, None, 2, 3]


def test_what_was_put_anew_is_not_dropped_for_what_it_was() -> None:
    recent: Recent[int] = Recent()
    recent.put("a", 1)
    recent.drop("a", 2)
    assert recent.get("a") == 1
    recent.drop("a", 1)
    assert recent.get("a") is None
