"""What people write first: httpx, and try again after 429, 5xx and transport errors.

Tuned, it sends five requests at a time, which is the advice that people get next.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import Any

import httpx

from bench.ratelimit.jobs import Operation, Verb, drive_tasks, read_job

_TRIES = 5


async def main() -> None:
    """Do the job on standard input."""
    job = read_job()

    def request(operation: Operation) -> tuple[str, str, dict[str, Any] | None]:
        role, channel = f"/guilds/{job.guild_id}/roles", f"/channels/{operation.target}"
        match operation.verb:
            case Verb.EDIT_ROLE:
                return "PATCH", f"{role}/{operation.target}", {"color": operation.number + 1}
            case Verb.CREATE_ROLE:
                return "POST", role, {"name": operation.target}
            case Verb.EDIT_CHANNEL:
                return "PATCH", channel, {"rate_limit_per_user": operation.number + 2}
            case Verb.RENAME_CHANNEL:
                return "PATCH", channel, {"name": f"renamed-{operation.number}"}
            case Verb.GET_CHANNEL:
                return "GET", channel, None
            case Verb.PUT_OVERWRITE:
                body = {"type": 0, "allow": "0", "deny": "2048"}
                return "PUT", f"{channel}/permissions/{operation.subject}", body

    headers = {
        "Authorization": f"Bot {job.token}",
        "User-Agent": "DiscordBot (https://example.org/bench, 1)",
    }
    turn = asyncio.Semaphore(5) if "--tuned" in sys.argv else contextlib.nullcontext()
    async with httpx.AsyncClient(headers=headers, timeout=30.0, trust_env=False) as client:

        async def perform(operation: Operation) -> object:
            method, path, body = request(operation)
            failures = 0
            while True:
                try:
                    async with turn:
                        response = await client.request(method, job.base_url + path, json=body)
                    if response.status_code == 429:
                        await asyncio.sleep(float(response.json()["retry_after"]))
                        continue
                    return response.raise_for_status()
                except (httpx.TransportError, httpx.HTTPStatusError) as error:
                    failures += 1
                    refused = isinstance(error, httpx.HTTPStatusError) and error.response.status_code < 500
                    if refused or failures == _TRIES:
                        raise
                    await asyncio.sleep(0.2 * 2**failures)

        (await client.get(f"{job.base_url}/users/@me")).raise_for_status()
        (await drive_tasks(job, perform)).write()


if __name__ == "__main__":
    asyncio.run(main())
