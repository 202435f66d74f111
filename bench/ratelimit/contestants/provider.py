"""This project's client, used as the provider uses it: polls are polls, and a lost answer is looked up."""

from __future__ import annotations

import logging
import threading
import time

import structlog

from bench.ratelimit.jobs import Operation, Verb, drive_threads, read_job
from provider_discord.discord import CallOptions, DiscordClient, DiscordTimings, Priority
from provider_discord.discord.errors import AmbiguousOutcome
from provider_discord.discord.routes import PUT_OVERWRITE
from provider_discord.discord.snowflake import first_at

_ROLE_CREATE = 30  # Discord docs, resources/audit-log, "Audit Log Events"
_MISSES = 2
_BETWEEN_MISSES_SECONDS = 2.0


def main() -> None:
    """Do the job on standard input."""
    job = read_job()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    client = DiscordClient(
        token=job.token,
        user_agent="DiscordBot (https://example.org/bench, 1)",
        now=time.monotonic,
        base_url=job.base_url,
        timings=DiscordTimings(max_wait_seconds=job.bound_seconds, deadline_seconds=job.bound_seconds),
    )
    threading.stack_size(256 * 1024)
    client.current_user(options=CallOptions(Priority.USER))

    def create(name: str, attempt: int, options: CallOptions) -> str:
        reason = f"bench attempt={name}/{attempt}"
        try:
            return str(
                client.create_role(
                    job.guild_id, {"name": name}, options=CallOptions(options.priority, reason=reason)
                )["id"]
            )
        except AmbiguousOutcome as lost:
            since = str(first_at(lost.sent_at) - 1)
        for miss in range(_MISSES):
            if miss:
                time.sleep(_BETWEEN_MISSES_SECONDS)
            log = client.audit_log(
                job.guild_id, action_type=_ROLE_CREATE, after=since, limit=100, options=options
            )
            for entry in log["audit_log_entries"]:
                if entry.get("reason") == reason:
                    return str(entry["target_id"])
        return create(name, attempt + 1, options)

    def perform(operation: Operation) -> object:
        waited_for = operation.user or operation.verb is not Verb.GET_CHANNEL
        options = CallOptions(
            Priority.USER if waited_for else Priority.POLL, max_wait_seconds=operation.patience
        )
        match operation.verb:
            case Verb.EDIT_ROLE:
                body: dict[str, object] = {"color": operation.number + 1}
                return client.modify_role(job.guild_id, operation.target, body, options=options)
            case Verb.CREATE_ROLE:
                return create(operation.target, 0, options)
            case Verb.EDIT_CHANNEL:
                body = {"rate_limit_per_user": operation.number + 2}
                return client.modify_channel(operation.target, body, options=options)
            case Verb.RENAME_CHANNEL:
                body = {"name": f"renamed-{operation.number}"}
                return client.modify_channel(operation.target, body, options=options)
            case Verb.GET_CHANNEL:
                return client.channel(operation.target, options=options)
            case Verb.PUT_OVERWRITE:
                route = PUT_OVERWRITE.compile(channel_id=operation.target, overwrite_id=operation.subject)
                return client.request(route, json={"type": 0, "allow": "0", "deny": "2048"}, options=options)

    drive_threads(job, perform).write()


if __name__ == "__main__":
    main()
