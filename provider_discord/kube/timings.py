"""Every constant of this room that has to do with time or size, with the field's own defaults.

Sources: client-go (`tools/cache/reflector.go`, `tools/leaderelection`, `tools/record`), controller-runtime,
crossplane-runtime (`pkg/ratelimiter`), kube-apiserver (bookmarks about once a minute).
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["KubeTimings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KubeTimings:
    """All durations are seconds."""

    connect_timeout_seconds: float = 5.0
    request_timeout_seconds: float = 30.0
    """Silence after which an ordinary call counts as failed."""
    retry_after_max_seconds: float = 60.0
    """A server that asks for more patience (a proxy gone mad: a day) is asked again after this."""
    lease_request_timeout_seconds: float = 10.0
    """The same for the lease's calls: several must fit into the renew deadline."""

    list_page_size: int = 100
    """Decoding a page holds the GIL; 100 objects are a few milliseconds."""
    watch_timeout_min_seconds: float = 240.0
    watch_timeout_max_seconds: float = 300.0
    """The server ends a watch after a random time in between, so that watches spread over its instances."""
    watch_inactivity_seconds: float = 130.0
    """Silence after which a watch is taken for dead. Bookmarks come every 60 s, or every 120 s for a kind that
    nobody writes to (seen on 1.36). A connection whose other end vanished is noticed before, by TCP keepalive;
    this is for the proxy that keeps one up which leads nowhere."""
    watch_healthy_seconds: float = 5.0
    """A watch that lived so long, or told anything, resets the backoff."""
    reflector_backoff_min_seconds: float = 0.8
    reflector_backoff_max_seconds: float = 30.0
    reflector_missing_backoff_max_seconds: float = 10.0
    """The longest wait while a kind is not served: whoever installs its CRD is waiting for us."""
    access_review_seconds: float = 300.0
    """Whether the CRD of a kind that is not there may be watched is asked again so often."""
    reflector_repeat_log_seconds: float = 600.0
    """An error that stays the same is said again so often."""
    tcp_keepalive_idle_seconds: int = 30
    tcp_keepalive_interval_seconds: int = 15
    tcp_keepalive_count: int = 4

    queue_ageing_seconds: float = 5.0
    """Waiting so long makes an item as urgent as a fresh one of the class above."""
    queue_max_polls: int = 2
    """So many polls are worked on at once, at most."""
    queue_backoff_min_seconds: float = 1.0
    queue_backoff_max_seconds: float = 60.0

    lease_duration_seconds: float = 60.0
    lease_renew_deadline_seconds: float = 50.0
    lease_retry_seconds: float = 2.0

    event_queue_size: int = 1000
    event_cache_size: int = 4096
    event_burst: int = 25
    """So many events an object may cause at once ..."""
    event_refill_seconds: float = 300.0
    """... and one more each time this has passed."""
    event_attempts: int = 3
    event_retry_seconds: float = 1.0
