"""`provider-discord simulate`: run a simulated Discord, and look at it or play with it while it runs.

Without a further word it serves until it is stopped. The other commands talk to a running one over its control
API; `simulate act` does what people do in a guild.
"""

from __future__ import annotations

import json
import signal
import threading
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table

from provider_discord.cli import simulate_act
from provider_discord.cli.simulate_act import DEFAULT_URL, Guild, Url, bits, connect, fail, pairs
from provider_discord.simulator import (
    DEFAULT_PORT,
    DEFAULT_TOKEN,
    Behaviour,
    Effect,
    Fault,
    LimitsConfig,
    Mode,
    Permission,
    SimulatorConfig,
    SimulatorServer,
    StartError,
)
from provider_discord.simulator.permissions import parse
from provider_discord.simulator.tree import draw

app = typer.Typer(help="Run a Discord to try things on, or act on a running one.", no_args_is_help=False)
app.add_typer(simulate_act.app, name="act")
fault_app = typer.Typer(help="Let requests go wrong.", no_args_is_help=True)
app.add_typer(fault_app, name="fault")
token_app = typer.Typer(help="Make tokens valid or invalid.", no_args_is_help=True)
app.add_typer(token_app, name="token")

_SETTINGS: Final = "NAME=VALUE; `simulate behaviour` lists them"


@app.callback(invoke_without_command=True)
def simulate(
    context: typer.Context,
    port: Annotated[int, typer.Option(help="The port on 127.0.0.1; 0 takes a free one.")] = DEFAULT_PORT,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    state: Annotated[
        Path | None, typer.Option(help="Keep the guilds in this file over restarts.", dir_okay=False)
    ] = None,
    guild: Annotated[str, typer.Option(help="The first guild's name.")] = "Simulated Guild",
    guild_id: Annotated[str | None, typer.Option(help="The first guild's id.")] = None,
    token: Annotated[str, typer.Option(envvar="SIMULATOR_TOKEN", help="The bot's token.")] = DEFAULT_TOKEN,
    permissions: Annotated[
        str, typer.Option(help="What the bot may do: a number, or names joined by commas.")
    ] = "ADMINISTRATOR",
    feature: Annotated[
        list[str] | None, typer.Option(help="A feature of the guild, such as COMMUNITY.")
    ] = None,
    limits: Annotated[Mode, typer.Option(help="The rate limits.")] = Mode.REALISTIC,
    behaviour: Annotated[list[str] | None, typer.Option(help=_SETTINGS)] = None,
) -> None:
    """Run a Discord to try things on, or act on a running one."""
    if context.invoked_subcommand is not None:
        return
    if limits is Mode.CUSTOM:
        fail(
            "custom limits need a table: set them through the control API (ControlClient.set_limits)", code=2
        )
    try:
        allowed = parse(bits(permissions))
        answers = Behaviour().changed(**pairs(behaviour or [], text=True))
    except ValueError as error:
        fail(str(error), code=2)
    config = SimulatorConfig(
        host=host,
        port=port,
        token=token,
        guild_name=guild,
        guild_id=guild_id,
        bot_permissions=allowed,
        features=tuple(feature or ()),
        limits=LimitsConfig(mode=limits),
        behaviour=answers,
        state_file=state,
    )
    _serve(SimulatorServer(config))


def _serve(server: SimulatorServer) -> None:
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        server.start()
    except StartError as error:
        fail(str(error))
    console = Console(highlight=False)
    try:
        console.print(f"A simulated Discord is at [bold]{server.base_url}[/bold] (Ctrl-C stops it)")
        for guild in server.control.guilds():
            console.print(f"  guild {guild['id']}  {guild['name']}", markup=False)
        option = "" if server.port == DEFAULT_PORT else f" --url {server.origin}"
        console.print(f"Look at it: provider-discord simulate tree{option}", soft_wrap=True)
        console.print(
            f"Act in it:  provider-discord simulate act post-message CHANNEL 'Hello!'{option}", soft_wrap=True
        )
        # A plain wait() would hold back signals on some platforms.
        while not stop.wait(0.5):
            if not server.running:
                fail(server.failure or "the simulator stopped")
    finally:
        server.stop()


@app.command()
def tree(url: Url = DEFAULT_URL, guild: Guild = "") -> None:
    """Draw a guild: its roles, categories and channels."""
    with connect(url) as control:
        drawn = control.guild(guild)
    console = Console(highlight=False)
    console.print(draw(drawn, plain=not console.encoding.lower().startswith("utf")))


@app.command()
def state(
    url: Url = DEFAULT_URL, guild: Guild = "", everything: Annotated[bool, typer.Option("--all")] = False
) -> None:
    """Print a guild, or with --all everything, as JSON."""
    with connect(url) as control:
        shown = control.state() if everything else control.guild(guild)
    typer.echo(json.dumps(shown, indent=2, ensure_ascii=False))


@app.command()
def info(url: Url = DEFAULT_URL) -> None:
    """Print what is in force and which guilds and bots there are."""
    with connect(url) as control:
        typer.echo(json.dumps(control.info(), indent=2, ensure_ascii=False))


@app.command()
def requests(
    url: Url = DEFAULT_URL,
    writes: Annotated[bool, typer.Option("--writes", help="No GETs.")] = False,
    count: Annotated[bool, typer.Option("--count", help="Only how many.")] = False,
    since: Annotated[int, typer.Option(help="Only those after this number.")] = 0,
    last: Annotated[int, typer.Option(help="Only the last so many; 0: all.")] = 50,
    status: Annotated[int | None, typer.Option(help="Only those with this HTTP status.")] = None,
    route: Annotated[str, typer.Option(help="Only this route, as /guilds/{guild_id}.")] = "",
    resource: Annotated[str, typer.Option(help="Only those with this id in the path.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, one a line, with bodies.")] = False,
) -> None:
    """Show what was asked of the simulator."""
    with connect(url) as control:
        found = control.requests(since=since, status=status, route=route, resource=resource, writes=writes)
    if count:
        typer.echo(len(found))
        return
    shown = found[-last:] if last else found
    if as_json:
        for entry in shown:
            typer.echo(json.dumps(entry, ensure_ascii=False))
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("#", "TIME", "STATUS", "METHOD", "PATH", "LEFT", "NOTE"):
        table.add_column(column, overflow="fold")
    for entry in shown:
        table.add_row(*_row(entry))
    Console(highlight=False).print(table)


def _row(entry: dict[str, Any]) -> tuple[str, ...]:
    notes = [f"fault: {entry['fault']}"] if entry["fault"] else []
    if entry["scope"]:
        notes.append(f"{entry['scope']} limit, {entry['retry_after']} s")
    if entry["code"]:
        notes.append(f"code {entry['code']}")
    if entry["reason"]:
        notes.append(entry["reason"])
    status = entry["status"]
    left = "" if entry["remaining"] is None else str(entry["remaining"])
    time = entry["time"][11:23]
    shown = "-" if status is None else str(status)
    return (str(entry["seq"]), time, shown, entry["method"], entry["path"], left, "; ".join(notes))


@app.command("audit-log")
def audit_log(url: Url = DEFAULT_URL, guild: Guild = "") -> None:
    """Print a guild's audit log, oldest first, one JSON object a line."""
    with connect(url) as control:
        for entry in control.audit_log(guild):
            typer.echo(json.dumps(entry, ensure_ascii=False))


@app.command()
def reset(url: Url = DEFAULT_URL) -> None:
    """Begin anew: the first guild, no requests, no faults."""
    with connect(url) as control:
        control.reset()


@app.command()
def behaviour(
    url: Url = DEFAULT_URL, answers: Annotated[list[str] | None, typer.Argument(help="NAME=VALUE")] = None
) -> None:
    """Show, or change, how Discord behaves where no document says so (docs/design/assumptions.md)."""
    with connect(url) as control:
        now = control.set_behaviour(**pairs(answers or [], text=True))
    width = max(len(name) for name in now)
    for name, value in now.items():
        typer.echo(f"{name:<{width}}  {str(value).lower() if isinstance(value, bool) else value}")


@app.command()
def limits(
    mode: Annotated[Mode, typer.Argument(help="off or realistic; fills all buckets.")], url: Url = DEFAULT_URL
) -> None:
    """Switch the rate limits."""
    with connect(url) as control:
        control.set_limits(LimitsConfig(mode=mode))


@app.command()
def ban(
    url: Url = DEFAULT_URL, seconds: Annotated[float, typer.Argument(help="For how long.")] = 60.0
) -> None:
    """Ban the client's address: Cloudflare's page to every request."""
    with connect(url) as control:
        control.ban(seconds=seconds)


@app.command()
def latency(
    median: Annotated[float, typer.Argument(help="Seconds that half of the answers exceed; 0: none.")],
    p99: Annotated[float, typer.Argument(help="Seconds that one answer in a hundred exceeds.")] = 0.0,
    url: Url = DEFAULT_URL,
) -> None:
    """Let answers take longer."""
    with connect(url) as control:
        control.set_latency(median_seconds=median, p99_seconds=p99)


@app.command("create-guild")
def create_guild(
    name: Annotated[str, typer.Argument(help="Its name.")],
    url: Url = DEFAULT_URL,
    guild_id: Annotated[str | None, typer.Option(help="Its id.")] = None,
    permissions: Annotated[
        str, typer.Option(help="What the bot may do in it: names, or a number.")
    ] = "ADMINISTRATOR",
    feature: Annotated[list[str] | None, typer.Option(help="A feature of it.")] = None,
) -> None:
    """Make a further guild that the bot is in; prints its id."""
    with connect(url) as control:
        made = control.create_guild(
            name, guild_id=guild_id, permissions=bits(permissions), features=feature or []
        )
    typer.echo(made["id"])


@app.command("set-guild")
def set_guild(
    settings: Annotated[list[str], typer.Argument(help="NAME=VALUE, values as JSON: premium_tier=2")],
    url: Url = DEFAULT_URL,
    guild: Guild = "",
) -> None:
    """Set what no client can: features, premium_tier, incidents_data ..."""
    with connect(url) as control:
        control.set_guild(guild=guild, **pairs(settings))


@app.command("bot-permissions")
def bot_permissions(
    permissions: Annotated[str, typer.Argument(help="Names joined by commas, or a number.")],
    url: Url = DEFAULT_URL,
    guild: Guild = "",
) -> None:
    """Change what the bot's own role may do."""
    with connect(url) as control:
        role = control.set_bot_permissions(bits(permissions), guild=guild)
    typer.echo(", ".join(one.name or "" for one in Permission if one & int(role["permissions"])))


@token_app.command("replace")
def token_replace(old: str, new: str, url: Url = DEFAULT_URL) -> None:
    """Make a new token valid in place of an old one, as a reset in the developer portal does."""
    with connect(url) as control:
        control.replace_token(old, new)


@token_app.command("revoke")
def token_revoke(token: str, url: Url = DEFAULT_URL) -> None:
    """Make a token invalid."""
    with connect(url) as control:
        control.revoke_token(token)


_DEFAULT_FAULT = {field.name: field.default for field in fields(Fault)}


@fault_app.command("add")
def fault_add(
    effect: Annotated[Effect, typer.Argument(help="What goes wrong.")],
    url: Url = DEFAULT_URL,
    method: Annotated[str, typer.Option(help="Only with this method.")] = "",
    route: Annotated[str, typer.Option(help="Only on this route, as /guilds/{guild_id}/channels.")] = "",
    resource: Annotated[str, typer.Option(help="Only with this id in the path.")] = "",
    name: Annotated[str, typer.Option(help="Only with this name in the body.")] = "",
    skip: Annotated[int, typer.Option(help="Let so many pass first.")] = 0,
    times: Annotated[int, typer.Option(help="Hit so many; 0: all.")] = 1,
    status: Annotated[int, typer.Option(help="For `status`.")] = 500,
    after_commit: Annotated[bool, typer.Option("--after-commit", help="The work is done first.")] = False,
    commit_delay: Annotated[
        float | None, typer.Option(help="For `drop` and `status`: the work is done so many seconds later.")
    ] = None,
    seconds: Annotated[float, typer.Option(help="For delay, slow-body, rate-limit, cloudflare.")] = 1.0,
    scope: Annotated[str, typer.Option(help="For `rate-limit`: user, global or shared.")] = "user",
    remaining: Annotated[int, typer.Option(help="For `rate-limit`: more than 0 is a sub-limit.")] = 0,
    reset_connection: Annotated[bool, typer.Option("--reset", help="For `drop`: ECONNRESET.")] = False,
) -> None:
    """Arm a fault."""
    fault = Fault(
        effect=effect,
        method=method.upper(),
        route=route,
        resource=resource,
        name=name,
        skip=skip,
        times=times,
        status=status,
        after_commit=after_commit,
        commit_delay_seconds=commit_delay,
        seconds=seconds,
        scope=scope,
        remaining=remaining,
        reset=reset_connection,
    )
    with connect(url) as control:
        control.add_fault(fault)


@fault_app.command("list")
def fault_list(url: Url = DEFAULT_URL) -> None:
    """Show the faults and how often each struck."""
    with connect(url) as control:
        for fault in control.faults():
            telling = {key: value for key, value in fault.items() if value != _DEFAULT_FAULT.get(key)}
            typer.echo(json.dumps(telling))


@fault_app.command("clear")
def fault_clear(url: Url = DEFAULT_URL) -> None:
    """Disarm all faults."""
    with connect(url) as control:
        control.clear_faults()
