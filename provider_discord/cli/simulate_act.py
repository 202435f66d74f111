"""`provider-discord simulate act`: what people do in a guild, on a running simulator."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Final, NoReturn

import typer

from provider_discord.simulator import DEFAULT_PORT, ControlClient, ControlFailure
from provider_discord.simulator.tree import TYPE_NAMES

app = typer.Typer(help="Do what people do in a guild; it stands in the audit log.", no_args_is_help=True)

Url = Annotated[str, typer.Option(envvar="SIMULATOR_URL", help="Where the simulator is.")]
Guild = Annotated[str, typer.Option(help="The guild's id or name; without it the first one.")]
Actor = Annotated[str, typer.Option(help="Who does it.")]
Channel = Annotated[str, typer.Argument(help="The channel's id or name.")]
Role = Annotated[str, typer.Argument(help="The role's id or name; `everyone` is @everyone.")]
Fields = Annotated[
    list[str], typer.Argument(help="FIELD=VALUE as in Discord's API; VALUE is JSON or plain text.")
]
MoreFields = Annotated[list[str] | None, typer.Argument(help="FIELD=VALUE as in Discord's API.")]
DEFAULT_URL: Final = f"http://127.0.0.1:{DEFAULT_PORT}"
_ALICE: Final = "Alice"
_TYPES: Final = {name: number for number, name in TYPE_NAMES.items()}


def fail(message: str, *, code: int = 1) -> NoReturn:
    """Say what is wrong and exit."""
    typer.echo(f"Error: {message}", err=True)
    raise typer.Exit(code)


@contextmanager
def connect(url: str) -> Iterator[ControlClient]:
    """Talk to the simulator at this address; a refusal is said and ends the process with 1."""
    with ControlClient(url) as control:
        try:
            yield control
        except ControlFailure as error:
            errors = (error.discord or {}).get("errors")
            detail = f"\n{json.dumps(errors)}" if errors else ""
            fail(f"{error}{detail}")


def pairs(items: list[str], *, text: bool = False) -> dict[str, Any]:
    """Read NAME=VALUE arguments; a value is JSON where it can be, else the text itself."""
    read: dict[str, Any] = {}
    for item in items:
        name, separator, value = item.partition("=")
        if not separator:
            fail(f"{item!r} is not NAME=VALUE", code=2)
        read[name] = value if text else _value(value)
    return read


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


@app.command("rename-channel")
def rename_channel(
    channel: Channel, name: str, url: Url = DEFAULT_URL, guild: Guild = "", actor: Actor = _ALICE
) -> None:
    """Rename a channel."""
    with connect(url) as control:
        typer.echo(control.rename_channel(channel, name, guild=guild, actor=actor)["name"])


@app.command("edit-channel")
def edit_channel(
    channel: Channel, fields: Fields, url: Url = DEFAULT_URL, guild: Guild = "", actor: Actor = _ALICE
) -> None:
    """Change a channel: edit-channel general topic='Be kind' nsfw=true."""
    with connect(url) as control:
        control.edit_channel(channel, pairs(fields), guild=guild, actor=actor)


@app.command("create-channel")
def create_channel(
    name: str,
    fields: MoreFields = None,
    channel_type: Annotated[str, typer.Option("--type", help=", ".join(_TYPES))] = "text",
    parent: Annotated[str, typer.Option(help="The category's id or name.")] = "",
    url: Url = DEFAULT_URL,
    guild: Guild = "",
    actor: Actor = _ALICE,
) -> None:
    """Create a channel; prints its id."""
    if channel_type not in _TYPES:
        fail(f"there is no channel type {channel_type!r}: one of {', '.join(_TYPES)}", code=2)
    body = {"name": name, "type": _TYPES[channel_type], **({"parent_id": parent} if parent else {})}
    with connect(url) as control:
        typer.echo(control.create_channel({**body, **pairs(fields or [])}, guild=guild, actor=actor)["id"])


@app.command("delete-channel")
def delete_channel(
    channel: Channel, url: Url = DEFAULT_URL, guild: Guild = "", actor: Actor = _ALICE
) -> None:
    """Delete a channel."""
    with connect(url) as control:
        control.delete_channel(channel, guild=guild, actor=actor)


@app.command("hide-channel")
def hide_channel(channel: Channel, url: Url = DEFAULT_URL, guild: Guild = "", actor: Actor = _ALICE) -> None:
    """Hide a channel from everyone, and so from every bot that is no administrator."""
    with connect(url) as control:
        control.hide_channel(channel, guild=guild, actor=actor)


@app.command("set-overwrite")
def set_overwrite(
    channel: Channel,
    target: Annotated[str, typer.Argument(help="A role, a member, or `everyone`.")],
    allow: Annotated[str, typer.Option(help="Permission names joined by commas, or a number.")] = "0",
    deny: Annotated[str, typer.Option(help="Permission names joined by commas, or a number.")] = "0",
    url: Url = DEFAULT_URL,
    guild: Guild = "",
    actor: Actor = _ALICE,
) -> None:
    """Set a permission overwrite."""
    with connect(url) as control:
        control.set_overwrite(channel, target, allow=bits(allow), deny=bits(deny), guild=guild, actor=actor)


@app.command("delete-overwrite")
def delete_overwrite(
    channel: Channel,
    target: Annotated[str, typer.Argument(help="A role, a member, or `everyone`.")],
    url: Url = DEFAULT_URL,
    guild: Guild = "",
    actor: Actor = _ALICE,
) -> None:
    """Remove a permission overwrite."""
    with connect(url) as control:
        control.delete_overwrite(channel, target, guild=guild, actor=actor)


@app.command("create-role")
def create_role(
    name: str, fields: MoreFields = None, url: Url = DEFAULT_URL, guild: Guild = "", actor: Actor = _ALICE
) -> None:
    """Create a role; prints its id."""
    with connect(url) as control:
        body = {"name": name, **pairs(fields or [])}
        typer.echo(control.create_role(body, guild=guild, actor=actor)["id"])


@app.command("edit-role")
def edit_role(
    role: Role, fields: Fields, url: Url = DEFAULT_URL, guild: Guild = "", actor: Actor = _ALICE
) -> None:
    """Change a role: edit-role Moderator hoist=true color=3447003."""
    with connect(url) as control:
        control.edit_role(role, pairs(fields), guild=guild, actor=actor)


@app.command("delete-role")
def delete_role(role: Role, url: Url = DEFAULT_URL, guild: Guild = "", actor: Actor = _ALICE) -> None:
    """Delete a role."""
    with connect(url) as control:
        control.delete_role(role, guild=guild, actor=actor)


@app.command("edit-guild")
def edit_guild(fields: Fields, url: Url = DEFAULT_URL, guild: Guild = "", actor: Actor = _ALICE) -> None:
    """Change the guild's settings: edit-guild name='New name' verification_level=2."""
    with connect(url) as control:
        control.edit_guild(pairs(fields), guild=guild, actor=actor)


@app.command("post-message")
def post_message(
    channel: Channel,
    content: Annotated[str, typer.Argument(help="What to say.")] = "Hello!",
    url: Url = DEFAULT_URL,
    guild: Guild = "",
    actor: Actor = _ALICE,
) -> None:
    """Post a message; in a forum a post with it."""
    with connect(url) as control:
        typer.echo(control.post_message(channel, content, guild=guild, actor=actor)["id"])


@app.command("add-member")
def add_member(
    user: str,
    role: Annotated[list[str] | None, typer.Option(help="A role to have.")] = None,
    url: Url = DEFAULT_URL,
    guild: Guild = "",
) -> None:
    """Let somebody join."""
    with connect(url) as control:
        control.add_member(user, guild=guild, roles=role or [])


@app.command("remove-member")
def remove_member(user: str, url: Url = DEFAULT_URL, guild: Guild = "") -> None:
    """Let somebody leave."""
    with connect(url) as control:
        control.remove_member(user, guild=guild)


@app.command()
def grant(user: str, role: Role, url: Url = DEFAULT_URL, guild: Guild = "", actor: Actor = _ALICE) -> None:
    """Give a member a role."""
    with connect(url) as control:
        control.grant(user, role, guild=guild, actor=actor)


@app.command()
def ungrant(user: str, role: Role, url: Url = DEFAULT_URL, guild: Guild = "", actor: Actor = _ALICE) -> None:
    """Take a role from a member."""
    with connect(url) as control:
        control.ungrant(user, role, guild=guild, actor=actor)


def bits(text: str) -> str | list[str]:
    """Read permissions: a number, or names joined by commas."""
    return text if text.isdigit() else text.split(",")
