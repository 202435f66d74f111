"""A Crossplane-style Kubernetes provider that manages Discord guilds from manifests."""

from __future__ import annotations

__version__ = "0.1.0"
