"""What an operator sees: every metric, log field and health endpoint, each defined once, here."""

from __future__ import annotations
