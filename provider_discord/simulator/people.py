"""The control API's verbs for people at work on a guild by hand.

A person (`actor`) may do everything and stands in the audit log. Guilds, channels, roles and people are given by
id or by name.
"""

from __future__ import annotations

from provider_discord.simulator import channels, guilds, moves, roles, seeding, views
from provider_discord.simulator.act import Act, Action
from provider_discord.simulator.errors import Json
from provider_discord.simulator.permissions import Permission, parse
from provider_discord.simulator.refs import ControlError, Refs
from provider_discord.simulator.state import (
    ANNOUNCEMENT,
    ANNOUNCEMENT_THREAD,
    CATEGORY,
    FORUM,
    MEDIA,
    PUBLIC_THREAD,
    Guild,
    World,
    timestamp,
)

DEFAULT_ACTOR = "Alice"


class People:
    """The verbs; each public method is one.

    Args:
        world: what they act on.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._refs = Refs(world)

    def edit_guild(self, body: Json, guild: str = "", actor: str = DEFAULT_ACTOR) -> Json:
        """Change a guild's settings by hand."""
        return views.guild(guilds.modify(self._act(self._refs.guild(guild), actor), body))

    def create_channel(self, body: Json, guild: str = "", actor: str = DEFAULT_ACTOR) -> Json:
        """Create a channel by hand."""
        home = self._refs.guild(guild)
        return self._shown(channels.create(self._act(home, actor), self._refs.channel_body(home, body)))

    def edit_channel(self, channel: str, body: Json, guild: str = "", actor: str = DEFAULT_ACTOR) -> Json:
        """Change a channel by hand."""
        home, found = self._refs.channel(channel, guild)
        body = self._refs.channel_body(home, body)
        return self._shown(channels.modify(self._act(home, actor), found["id"], body))

    def delete_channel(self, channel: str, guild: str = "", actor: str = DEFAULT_ACTOR) -> Json:
        """Delete a channel by hand."""
        home, found = self._refs.channel(channel, guild)
        return self._shown(channels.delete(self._act(home, actor), found["id"]))

    def move_channels(self, entries: list[Json], guild: str = "", actor: str = DEFAULT_ACTOR) -> None:
        """Move channels by hand, as a bulk PATCH does."""
        moves.move_channels(self._act(self._refs.guild(guild), actor), entries)

    def set_overwrite(  # noqa: PLR0917 - called by name: the arguments are a JSON object
        self,
        channel: str,
        target: str,
        allow: int | str | list[str] = 0,
        deny: int | str | list[str] = 0,
        guild: str = "",
        actor: str = DEFAULT_ACTOR,
    ) -> Json:
        """Set an overwrite by hand; the target is a role or a member."""
        home, found = self._refs.channel(channel, guild)
        target_id = self._refs.target(home, target)
        body = {"allow": str(bits_of(allow)), "deny": str(bits_of(deny))}
        channels.put_overwrite(self._act(home, actor), found["id"], target_id, body)
        return self._shown(home.channels[found["id"]])

    def delete_overwrite(
        self, channel: str, target: str, guild: str = "", actor: str = DEFAULT_ACTOR
    ) -> Json:
        """Remove an overwrite by hand."""
        home, found = self._refs.channel(channel, guild)
        channels.delete_overwrite(self._act(home, actor), found["id"], self._refs.target(home, target))
        return self._shown(home.channels[found["id"]])

    def hide_channel(self, channel: str, guild: str = "", actor: str = DEFAULT_ACTOR) -> Json:
        """Deny everyone, and so every bot that is no administrator, to view a channel."""
        return self.set_overwrite(
            channel, "everyone", deny=int(Permission.VIEW_CHANNEL), guild=guild, actor=actor
        )

    def create_role(self, body: Json, guild: str = "", actor: str = DEFAULT_ACTOR) -> Json:
        """Create a role by hand."""
        return views.role(roles.create(self._act(self._refs.guild(guild), actor), body))

    def edit_role(self, role: str, body: Json, guild: str = "", actor: str = DEFAULT_ACTOR) -> Json:
        """Change a role by hand."""
        home, found = self._refs.role(role, guild)
        return views.role(roles.modify(self._act(home, actor), found["id"], body))

    def delete_role(self, role: str, guild: str = "", actor: str = DEFAULT_ACTOR) -> None:
        """Delete a role by hand."""
        home, found = self._refs.role(role, guild)
        roles.delete(self._act(home, actor), found["id"])

    def move_roles(self, entries: list[Json], guild: str = "", actor: str = DEFAULT_ACTOR) -> list[Json]:
        """Move roles by hand, as a bulk PATCH does."""
        home = self._refs.guild(guild)
        roles.move_roles(self._act(home, actor), entries)
        return views.roles(home)

    def add_member(self, user: str, guild: str = "", roles: list[str] | None = None) -> Json:
        """Let somebody join, with these roles."""
        home = self._refs.guild(guild)
        held = [self._refs.role(role, home.id)[1]["id"] for role in roles or []]
        person = seeding.user_named(self._world, user)
        return views.member(self._world, seeding.add_member(self._world, home, person["id"], roles=held))

    def remove_member(self, user: str, guild: str = "") -> None:
        """Let somebody leave."""
        home = self._refs.guild(guild)
        home.members.pop(self._refs.member(home, user)["user_id"])

    def grant(self, user: str, role: str, guild: str = "", actor: str = DEFAULT_ACTOR) -> Json:
        """Give a member a role."""
        return self._change_roles(user, role, guild, actor, give=True)

    def ungrant(self, user: str, role: str, guild: str = "", actor: str = DEFAULT_ACTOR) -> Json:
        """Take a role from a member."""
        return self._change_roles(user, role, guild, actor, give=False)

    def time_out(self, user: str, until: str | None = None, guild: str = "") -> Json:
        """Time a member out until an instant (ISO time); None ends it."""
        member = self._refs.member(self._refs.guild(guild), user)
        member["communication_disabled_until"] = until
        return views.member(self._world, member)

    def post_message(
        self, channel: str, content: str = "Hello!", guild: str = "", actor: str = DEFAULT_ACTOR
    ) -> Json:
        """Post a message; in a forum or media channel a post with it."""
        home, found = self._refs.channel(channel, guild)
        act = self._act(home, actor)
        if found["type"] == CATEGORY:
            msg = f"{found['name']} is a category: nobody can post there"
            raise ControlError(msg)
        if found["type"] in (FORUM, MEDIA):
            thread = self._start_thread(act, found, title=content[:100])
            return self._post(act, thread, content)
        return self._post(act, found, content)

    def start_thread(self, channel: str, title: str, guild: str = "", actor: str = DEFAULT_ACTOR) -> Json:
        """Start a thread in a channel."""
        home, found = self._refs.channel(channel, guild)
        return self._start_thread(self._act(home, actor), found, title=title)

    # -- inside ----------------------------------------------------------------------------------------------

    def _act(self, guild: Guild, actor: str) -> Act:
        person = seeding.user_named(self._world, actor)
        seeding.add_member(self._world, guild, person["id"])
        return Act(world=self._world, guild=guild, user_id=person["id"], trusted=True)

    def _shown(self, channel: Json) -> Json:
        return views.channel(channel, self._world.behaviour)

    def _change_roles(self, user: str, role: str, guild: str, actor: str, *, give: bool) -> Json:
        home, found = self._refs.role(role, guild)
        member = self._refs.member(home, user)
        member["roles"] = [one for one in member["roles"] if one != found["id"]] + [found["id"]] * give
        change = {
            "key": "$add" if give else "$remove",
            "new_value": [{"id": found["id"], "name": found["name"]}],
        }
        self._act(home, actor).log(Action.MEMBER_ROLE_UPDATE, member["user_id"], changes=[change])
        return views.member(self._world, member)

    def _start_thread(self, act: Act, parent: Json, *, title: str) -> Json:
        now = timestamp(self._world.wall())
        thread: Json = {
            "id": self._world.new_id(),
            "type": ANNOUNCEMENT_THREAD if parent["type"] == ANNOUNCEMENT else PUBLIC_THREAD,
            "guild_id": act.guild.id,
            "parent_id": parent["id"],
            "name": title,
            "owner_id": act.user_id,
            "flags": 0,
            "last_message_id": None,
            "rate_limit_per_user": parent.get("default_thread_rate_limit_per_user") or 0,
            "message_count": 0,
            "member_count": 1,
            "total_message_sent": 0,
            "thread_metadata": {
                "archived": False,
                "archive_timestamp": now,
                "auto_archive_duration": parent.get("default_auto_archive_duration") or 4320,
                "locked": False,
                "create_timestamp": now,
            },
        }
        act.guild.threads[thread["id"]] = thread
        if parent["type"] in (FORUM, MEDIA):
            parent["last_message_id"] = thread["id"]
        return dict(thread)

    def _post(self, act: Act, where: Json, content: str) -> Json:
        message: Json = {
            "id": self._world.new_id(),
            "channel_id": where["id"],
            "author_id": act.user_id,
            "content": content.strip(),
            "timestamp": timestamp(self._world.wall()),
        }
        act.guild.messages.setdefault(where["id"], []).append(message)
        stored = act.guild.threads.get(where["id"]) or act.guild.channels[where["id"]]
        stored["last_message_id"] = message["id"]
        if "message_count" in stored:
            stored["message_count"] += 1
            stored["total_message_sent"] += 1
        return views.message(self._world, message)


def bits_of(value: int | str | list[str]) -> int:
    """Return permission bits given as a number, a decimal string or names."""
    try:
        return parse(value)
    except ValueError as error:
        raise ControlError(str(error)) from error
