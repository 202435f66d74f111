"""The control plane as a command: `python -m controlplane` starts it, `python -m controlplane tools` only builds.

Standard output carries what a program may want to read (the kubeconfig's path); all the talk goes to standard error.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from controlplane.cluster import ControlPlane
from controlplane.errors import ControlPlaneError, ToolMissing
from controlplane.tools import Tool, ensure, find, missing, to_stderr

_BASIC = (Tool.ETCD, Tool.APISERVER)
# How often to look whether a component ended by itself.
_LOOK_SECONDS = 1.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or (words[0].startswith("-") and words[0] not in {"-h", "--help"}):
        words.insert(0, "up")
    options = _parser().parse_args(words)
    try:
        if options.command == "tools":
            return _tools(options)
        return _up(options)
    except KeyboardInterrupt:
        to_stderr("\nInterrupted.")
        return 130
    except (ControlPlaneError, OSError) as error:
        to_stderr(f"Error: {error}")
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m controlplane",
        description="A real kube-apiserver and etcd on loopback, for development. Without a command: up.",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    up = commands.add_parser("up", help="start everything, run until Ctrl-C (the default)")
    up.add_argument(
        "--controller-manager",
        action=argparse.BooleanOptionalAction,
        help="run kube-controller-manager too, so that deleted namespaces go away and owner references count"
        " (default: if it has been built already)",
    )
    up.add_argument(
        "--crds",
        type=Path,
        action="append",
        default=[],
        metavar="PATH",
        help="apply the CRDs in this file or folder; can be given several times",
    )
    up.add_argument(
        "--data",
        type=Path,
        metavar="FOLDER",
        help="keep the objects here from one run to the next (default: a temporary folder)",
    )
    tools = commands.add_parser(
        "tools", help="find the programs, build those that are missing, and say where they are"
    )
    tools.add_argument(
        "--for-tests",
        action="store_true",
        help="also what only the tests need: kube-controller-manager, Prometheus and so on",
    )
    tools.add_argument(
        "--optional",
        action="store_true",
        help="where there is no Go to build with, say so and succeed all the same, unless CI=true",
    )
    return parser


def _tools(options: argparse.Namespace) -> int:
    wanted = [*Tool] if options.for_tests else [*_BASIC, Tool.KUBECTL]
    try:
        found = ensure(wanted)
    except ToolMissing as error:
        if not options.optional or os.environ.get("CI") == "true":
            raise
        to_stderr(f"Going on without what is missing. {error}")
        return 0
    for tool, path in found.items():
        print(f"{tool.value}={path}")
    return 0


def _up(options: argparse.Namespace) -> int:
    # A shell that has no terminal starts what it puts into the background with SIGINT ignored.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _interrupt)
    to_build = missing(_BASIC)
    with_manager = options.controller_manager
    if with_manager is None:
        with_manager = find(Tool.CONTROLLER_MANAGER) is not None
    if not to_build:
        to_stderr("Starting etcd and kube-apiserver, about 3 s ...")
    started = time.monotonic()
    with ControlPlane(
        controller_manager=with_manager,
        crds=[path.resolve() for path in options.crds],
        data_folder=options.data,
    ) as control_plane:
        took = "" if to_build else f" after {time.monotonic() - started:.1f} s"
        to_stderr(
            f"Ready{took}: {control_plane.url}; logs are in {control_plane.data_folder}. In another shell, type"
        )
        print(f"export KUBECONFIG={control_plane.kubeconfig}", flush=True)
        try:
            _advise(with_manager=with_manager)
            return _wait(control_plane)
        except KeyboardInterrupt:
            to_stderr("\nStopping ...")
            return 0


def _advise(*, with_manager: bool) -> None:
    kubectl = find(Tool.KUBECTL)
    name = "kubectl" if kubectl is None or kubectl.name == "kubectl" else str(kubectl)
    to_stderr(f"and for example\n{name} get namespaces")
    if kubectl is None:
        to_stderr("(kubectl is not on the PATH; `python -m controlplane tools` builds one)")
    if not with_manager:
        to_stderr(
            "There is no controller manager: a deleted namespace stays in Terminating, and owner references"
            " collect nothing. --controller-manager adds one."
        )
    to_stderr("Ctrl-C stops it.")


def _wait(control_plane: ControlPlane) -> int:
    idle = threading.Event()
    while not idle.wait(_LOOK_SECONDS):
        if control_plane.ended:
            to_stderr("\n".join(control_plane.ended))
            return 1
    return 0


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
