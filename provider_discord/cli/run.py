"""``provider-discord run``: the provider itself, until it is told to stop.

Flags have the names that Crossplane providers share (crossplane/provider-kubernetes, ``cmd/provider/main.go``);
each can be given by an environment variable as well, since under Crossplane's package manager arguments need a
DeploymentRuntimeConfig.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import socket
import sys
import threading
import uuid
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer

from provider_discord.app import App, AppConfig, StartError, in_cluster
from provider_discord.cli.durations import duration
from provider_discord.kube.errors import KubeConfigError
from provider_discord.telemetry.logs import configure
from provider_discord.timings import Timings


class LogFormat(StrEnum):
    """How log lines look."""

    LOGFMT = "logfmt"
    JSON = "json"


def run(
    debug: Annotated[bool, typer.Option("--debug", "-d", envvar="DEBUG", help="Log every decision.")] = False,
    kubeconfig: Annotated[
        Path | None,
        typer.Option(envvar="KUBECONFIG", help="The cluster to serve. Default: the pod's service account."),
    ] = None,
    context: Annotated[
        str | None, typer.Option(envvar="KUBE_CONTEXT", help="A context of the kubeconfig.")
    ] = None,
    poll: Annotated[
        float,
        typer.Option(
            "--poll",
            "-p",
            parser=duration,
            envvar="POLL",
            metavar="DURATION",
            help="How often each object is checked for drift, e.g. 1m or 30s.",
        ),
    ] = "1m",  # type: ignore[assignment]
    poll_jitter_percentage: Annotated[
        int,
        typer.Option(
            min=0, max=100, envvar="POLL_JITTER_PERCENTAGE", help="Spread polls by so many percent."
        ),
    ] = 10,
    sync: Annotated[
        float,
        typer.Option(
            "--sync",
            "-s",
            parser=duration,
            envvar="SYNC",
            metavar="DURATION",
            help="Accepted for compatibility: only --poll finds drift (as in every Crossplane provider).",
        ),
    ] = "1h",  # type: ignore[assignment]
    poll_state_metric: Annotated[
        float,
        typer.Option(
            parser=duration,
            envvar="POLL_STATE_METRIC",
            metavar="DURATION",
            help="Accepted for compatibility: gauges are fresh at each scrape.",
        ),
    ] = "5s",  # type: ignore[assignment]
    max_reconcile_rate: Annotated[
        int,
        typer.Option(
            min=1, max=64, envvar="MAX_RECONCILE_RATE", help="How many objects are worked on at once."
        ),
    ] = 10,
    leader_election: Annotated[
        bool | None,
        typer.Option(
            "--leader-election/--no-leader-election",
            "-l",
            envvar="LEADER_ELECTION",
            show_default="on in a cluster",
            help="Let only one copy write, decided by a Lease.",
        ),
    ] = None,
    leader_election_namespace: Annotated[
        str | None,
        typer.Option(
            envvar="LEADER_ELECTION_NAMESPACE",
            show_default="the pod's namespace",
            help="Where the Lease lives.",
        ),
    ] = None,
    leader_election_id: Annotated[
        str, typer.Option(envvar="LEADER_ELECTION_ID", help="The Lease's name.")
    ] = "crossplane-leader-election-provider-discord",
    pod_name: Annotated[
        str | None,
        typer.Option(
            envvar="POD_NAME",
            show_default="the host's name and a random suffix",
            help="Who we are in the Lease and in events; no two copies may have the same. A pod's own name lets a "
            "restarted container take its own Lease back at once.",
        ),
    ] = None,
    metrics_bind_address: Annotated[
        str,
        typer.Option(envvar="METRICS_BIND_ADDRESS", help="Health and metrics, [host]:port; 0 turns it off."),
    ] = ":8080",
    health_probe_bind_address: Annotated[
        str,
        typer.Option(
            "--health-probe-bind-address",
            "--health-probe-bind-addr",
            envvar="HEALTH_PROBE_BIND_ADDRESS",
            help="Health once more, where Crossplane looks; 0 turns it off.",
        ),
    ] = ":8081",
    enable_management_policies: Annotated[
        bool,
        typer.Option(
            "--enable-management-policies/--no-enable-management-policies",
            envvar="ENABLE_MANAGEMENT_POLICIES",
            help="Honour spec.managementPolicies; without, any set but [*] is refused.",
        ),
    ] = True,
    enable_changelogs: Annotated[
        bool,
        typer.Option(
            "--enable-changelogs/--no-enable-changelogs",
            envvar="ENABLE_CHANGELOGS",
            help="Not supported: Discord's audit log and events tell who changed what. Refused where it is on.",
        ),
    ] = False,
    changelogs_socket_path: Annotated[
        str,
        typer.Option(envvar="CHANGELOGS_SOCKET_PATH", help="Accepted for compatibility; means nothing."),
    ] = "/var/run/changelogs/changelogs.sock",
    memory_limit: Annotated[
        int | None,
        typer.Option(
            min=1,
            envvar="MEMORY_LIMIT",
            metavar="BYTES",
            show_default="the container's limit",
            help="What provider_discord_memory_limit_bytes tells; nothing is limited by it.",
        ),
    ] = None,
    log_format: Annotated[
        LogFormat, typer.Option(envvar="LOG_FORMAT", help="key=value lines, or JSON.")
    ] = LogFormat.LOGFMT,
    time_scale: Annotated[
        float,
        typer.Option(
            hidden=True, envvar="PROVIDER_DISCORD_TIME_SCALE", help="For tests: multiplies every wait."
        ),
    ] = 1.0,
) -> None:
    """Run the provider (the default command).

    Watches Guild, Channel, Role and ProviderConfig objects and makes Discord match them. Ctrl-C or SIGTERM lets
    running requests finish, gives the Lease back and ends with exit code 0. Exit code 1: it could not start.
    """
    faulthandler.enable()
    configure(json=log_format is LogFormat.JSON, debug=debug)
    if enable_changelogs:
        # Whoever asks for a record of every change must not believe that there is one.
        msg = "change logs are not supported: every write is in Discord's audit log with the object's UID; leave the flag out"
        raise typer.BadParameter(msg, param_hint="--enable-changelogs")
    del sync, poll_state_metric, changelogs_socket_path
    # Accepted, because others' manifests set them: Crossplane's resync passes the same filter as a watch and so
    # never did anything for managed resources, and gauges are made at each scrape.
    timings = Timings.with_poll(poll_seconds=poll, jitter_percentage=poll_jitter_percentage).scaled(
        time_scale
    )
    config = AppConfig(
        kubeconfig=kubeconfig,
        context=context,
        workers=max_reconcile_rate,
        leader_election=in_cluster() if leader_election is None else leader_election,
        lease_namespace=leader_election_namespace,
        lease_name=leader_election_id,
        identity=pod_name or _some_name(),
        metrics_address=_address("--metrics-bind-address", metrics_bind_address),
        health_address=_address("--health-probe-bind-address", health_probe_bind_address),
        management_policies=enable_management_policies,
        memory_limit_bytes=memory_limit,
        timings=timings,
    )
    raise typer.Exit(_serve(config))


def _serve(config: AppConfig) -> int:
    stop = threading.Event()

    def on_signal(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature of a handler
        if stop.is_set() and signum == signal.SIGINT:
            sys.stderr.write("stopped at once, on the second Ctrl-C\n")
            os._exit(130)
        # In a thread of its own: a handler runs in the main thread, which may be holding the event's lock.
        threading.Thread(target=stop.set, name="stop").start()

    previous: dict[int, Any] = {n: signal.signal(n, on_signal) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        return App(config).run(stop)
    except (StartError, KubeConfigError) as error:
        typer.echo(f"error: {error}", err=True)
        return 1
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _some_name() -> str:
    """Return a name that no other copy has: pods with the host's network, and processes of one host, share its name."""
    return f"{os.environ.get('HOSTNAME') or socket.gethostname()}_{uuid.uuid4().hex[:8]}"


def _address(flag: str, text: str) -> tuple[str, int] | None:
    """Read ``[host]:port``; "0" or "" is None. Raises BadParameter."""
    if text in {"", "0"}:
        return None
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or int(port) > 65535:
        msg = f"{text!r} is no address; write host:port or :port, such as :8080, or 0 to turn it off"
        raise typer.BadParameter(msg, param_hint=flag)
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104 - a container's ports are for its pod's network
