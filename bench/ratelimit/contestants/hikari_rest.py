"""hikari's REST client with its default options (three retries of 5xx and transport errors).

Tuned, it may retry five times, its most, and wait for any rate limit (`hikari.impl.RESTApp`: ``max_retries``,
``max_rate_limit``). Nothing it documents is about cold buckets or clocks.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import Any

import hikari

from bench.ratelimit.jobs import Operation, Verb, drive_tasks, read_job


async def main() -> None:
    """Do the job on standard input."""
    job = read_job()
    logging.disable(logging.CRITICAL)
    tuned: dict[str, Any] = {"max_retries": 5, "max_rate_limit": 86_400.0} if "--tuned" in sys.argv else {}
    app = hikari.RESTApp(url=job.base_url, **tuned)
    await app.start()
    async with app.acquire(job.token, hikari.TokenType.BOT) as rest:
        await rest.fetch_my_user()
        guild_id = int(job.guild_id)

        async def perform(operation: Operation) -> object:
            match operation.verb:
                case Verb.EDIT_ROLE:
                    return await rest.edit_role(
                        guild_id, int(operation.target), color=hikari.Color(operation.number + 1)
                    )
                case Verb.CREATE_ROLE:
                    return await rest.create_role(guild_id, name=operation.target)
                case Verb.EDIT_CHANNEL:
                    return await rest.edit_channel(
                        int(operation.target), rate_limit_per_user=operation.number + 2
                    )
                case Verb.RENAME_CHANNEL:
                    return await rest.edit_channel(int(operation.target), name=f"renamed-{operation.number}")
                case Verb.GET_CHANNEL:
                    return await rest.fetch_channel(int(operation.target))
                case Verb.PUT_OVERWRITE:
                    return await rest.edit_permission_overwrite(
                        int(operation.target),
                        int(operation.subject),
                        target_type=hikari.PermissionOverwriteType.ROLE,
                        allow=hikari.Permissions.NONE,
                        deny=hikari.Permissions.SEND_MESSAGES,
                    )

        (await drive_tasks(job, perform)).write()
    await app.close()


if __name__ == "__main__":
    asyncio.run(main())
