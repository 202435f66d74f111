"""What a person types: ``provider-discord run | simulate | crds | demo``.

Without a command it is ``run``, because a container's entry point has no arguments under Crossplane's package
manager. Only the command that was asked for is imported: the provider's process carries neither the simulator
nor the CRD generator, and ``--help`` of one command answers at once.
"""

from __future__ import annotations

import sys


def main(argv: list[str] | None = None) -> None:
    """Run the command line; exits the process with 0, 1 (it failed) or 2 (wrong usage)."""
    from provider_discord.cli.main import COMMANDS, build  # noqa: PLC0415 - typer takes a while to load

    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in {"--help", "--version"}):
        arguments.insert(0, "run")
    wanted = (arguments[0],) if arguments[0] in COMMANDS else COMMANDS
    build(wanted)(args=arguments)
