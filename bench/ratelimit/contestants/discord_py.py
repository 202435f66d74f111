"""discord.py's HTTP client with its default options (five tries).

Tuned, it goes by the clock (`discord.Client`: ``assume_unsync_clock=False``), which it recommends for a machine whose
clock is synchronised, as it is here unless a scenario skews it.

Its User-Agent has no comma, which the simulator asks for as Discord's documentation does; so it gets one here.
"""

from __future__ import annotations

import asyncio
import logging
import sys

from discord.http import HTTPClient, Route

from bench.ratelimit.jobs import Operation, Verb, drive_tasks, read_job


async def main() -> None:
    """Do the job on standard input."""
    job = read_job()
    logging.disable(logging.CRITICAL)
    Route.BASE = job.base_url
    http = HTTPClient(asyncio.get_running_loop(), unsync_clock="--tuned" not in sys.argv)
    http.user_agent = "DiscordBot (https://github.com/Rapptz/discord.py, 2)"
    await http.static_login(job.token)
    guild_id = int(job.guild_id)

    async def perform(operation: Operation) -> object:
        match operation.verb:
            case Verb.EDIT_ROLE:
                return await http.edit_role(guild_id, int(operation.target), color=operation.number + 1)
            case Verb.CREATE_ROLE:
                return await http.create_role(guild_id, name=operation.target)
            case Verb.EDIT_CHANNEL:
                return await http.edit_channel(
                    int(operation.target), rate_limit_per_user=operation.number + 2
                )
            case Verb.RENAME_CHANNEL:
                return await http.edit_channel(int(operation.target), name=f"renamed-{operation.number}")
            case Verb.GET_CHANNEL:
                return await http.get_channel(int(operation.target))
            case Verb.PUT_OVERWRITE:
                return await http.edit_channel_permissions(
                    int(operation.target), int(operation.subject), "0", "2048", 0
                )

    try:
        (await drive_tasks(job, perform)).write()
    finally:
        await http.close()


if __name__ == "__main__":
    asyncio.run(main())
