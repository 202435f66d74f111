"""A file that keeps the simulated guilds over restarts: written whole, and put in place in one step."""

from __future__ import annotations

import json
import os
from pathlib import Path

from provider_discord.simulator.state import World

_FORMAT = 1


class StateFileError(Exception):
    """The file holds no state of a simulator."""


class StateFile:
    """The file.

    Args:
        path: where it is; its directory exists.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read_into(self, world: World) -> bool:
        """Load the state; False if there is no file yet.

        Raises:
            StateFileError: it holds something else.
        """
        try:
            raw = self._path.read_text()
        except FileNotFoundError:
            return False
        except OSError as error:
            msg = f"cannot read the simulator's state from {self._path}: {error.strerror}"
            raise StateFileError(msg) from error
        try:
            dumped = json.loads(raw)
            if dumped["format"] != _FORMAT:
                msg = f"format {dumped['format']}"
                raise ValueError(msg)
            world.load(dumped["world"])
        except (ValueError, KeyError, TypeError) as error:
            msg = (
                f"{self._path} holds no state of a simulator ({type(error).__name__}: {error}); "
                "move it away, or give another --state"
            )
            raise StateFileError(msg) from error
        return True

    def save(self, world: World) -> None:
        """Write the state.

        Raises:
            StateFileError: the file cannot be written.
        """
        partial = self._path.with_name(f"{self._path.name}.{os.getpid()}.part")
        try:
            partial.write_text(json.dumps({"format": _FORMAT, "world": world.dump()}))
            partial.replace(self._path)
        except OSError as error:
            msg = f"cannot write the simulator's state to {self._path}: {error.strerror}"
            raise StateFileError(msg) from error
