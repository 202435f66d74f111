"""How an injected fault spoils an answer on the wire."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Mapping
from math import ceil

from aiohttp import web

from provider_discord.simulator.faults import Effect, Fault
from provider_discord.simulator.wire import json_response

_PAGE = (
    "<!DOCTYPE html><html><head><title>Access denied | discord.com used Cloudflare to restrict access</title>"
    "</head><body><h1>Error 1015</h1><p>You are being rate limited</p></body></html>"
)
_PIECES = 10


def drop(request: web.Request, *, reset: bool) -> web.Response:
    """Close the connection without an answer; with `reset` the peer sees ECONNRESET."""
    transport = request.transport
    if transport is not None:
        if reset:
            raw = transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return web.Response(status=500)


def server_error(status: int, headers: Mapping[str, str]) -> web.Response:
    """Return a 5xx: Discord's own for 500, a proxy's page for the others."""
    if status == 500:
        body = {"message": "500: Internal Server Error", "code": 0}
        return json_response(body, status=status, headers=headers)
    page = f"<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>"
    return web.Response(text=page, content_type="text/html", status=status, headers=headers)


def cloudflare_page(retry_after: float) -> web.Response:
    """Return Cloudflare's 429: HTML, no Via, no limits."""
    headers = {"Retry-After": str(ceil(retry_after)), "Server": "cloudflare"}
    return web.Response(text=_PAGE, content_type="text/html", status=429, headers=headers)


async def body(request: web.Request, response: web.Response, fault: Fault) -> web.StreamResponse:
    """Send a response with its body malformed, cut short, or trickling over the fault's seconds."""
    payload = response.body if isinstance(response.body, bytes) else b""
    if fault.effect is Effect.MALFORMED:
        response.body = payload[: len(payload) // 2]
        return response
    stream = web.StreamResponse(status=response.status, headers=response.headers)
    stream.content_length = len(payload)
    await stream.prepare(request)
    if fault.effect is Effect.TRUNCATE:
        await stream.write(payload[: len(payload) // 2])
        if request.transport is not None:
            request.transport.close()
        return stream
    size = max(1, ceil(len(payload) / _PIECES))
    for start in range(0, len(payload), size):
        await stream.write(payload[start : start + size])
        await asyncio.sleep(fault.seconds / _PIECES)
    return stream
