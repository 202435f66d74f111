"""JSON answers as Discord puts them on the wire."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web


def json_response(body: Any, *, status: int, headers: Mapping[str, str]) -> web.Response:
    """Return a JSON answer whose Content-Type is bare, as Discord's is.

    discord.py compares the whole header and takes anything else, such as a charset, for a page of Cloudflare.
    """
    return web.Response(
        body=json.dumps(body).encode(), status=status, headers=headers, content_type="application/json"
    )
