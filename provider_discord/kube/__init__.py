"""Kubernetes as the rest of the program sees it: list and watch, work queue, lease, events, object access.

This room knows neither Crossplane nor Discord. Objects are raw dicts (`Obj`) with their resourceVersion, so
that a 409 keeps its meaning and fields that this release does not know survive a round trip.
"""

from __future__ import annotations
