"""The simulator's HTTP server: an aiohttp application in a thread of its own.

All state belongs to that thread's event loop; everybody else talks to it over HTTP alone.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

from aiohttp import web

from provider_discord.simulator.config import SimulatorConfig
from provider_discord.simulator.control import Control, control_routes
from provider_discord.simulator.control_client import ControlClient
from provider_discord.simulator.edge import API, Simulator
from provider_discord.simulator.persistence import StateFile
from provider_discord.simulator.seeding import seed

_SAVE_EVERY_SECONDS = 0.25
_START_SECONDS = 15.0
_STOP_SECONDS = 5.0
_MAX_BODY_BYTES = 32 * 1024 * 1024


class StartError(Exception):
    """The simulator cannot be started."""


class SimulatorServer:
    """A simulator on a loopback port.

    As a context manager it runs while the block does. Its address is known once it has started.

    Args:
        config: how it is started.
    """

    def __init__(self, config: SimulatorConfig | None = None) -> None:
        self.config = config or SimulatorConfig()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self._port = 0
        self._control: ControlClient | None = None

    @property
    def origin(self) -> str:
        """The address without a path, such as http://127.0.0.1:8585."""
        return f"http://{self.config.host}:{self._port}"

    @property
    def base_url(self) -> str:
        """What takes the place of https://discord.com/api/v10."""
        return f"{self.origin}{API}"

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._port

    @property
    def running(self) -> bool:
        """Whether it is up."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def failure(self) -> str:
        """Why it stopped by itself; "" if it did not."""
        return "" if self._failure is None else str(self._failure)

    @property
    def control(self) -> ControlClient:
        """A client of the control API."""
        if self._control is None:
            self._control = ControlClient(self.origin)
        return self._control

    def start(self) -> None:
        """Start, and return once it listens.

        Raises:
            StartError: the port is taken, or the state file is unusable.
        """
        self._started.clear()
        self._failure = None
        self._thread = threading.Thread(target=self._run, name="simulator", daemon=True)
        self._thread.start()
        if not self._started.wait(_START_SECONDS):
            msg = f"the simulator did not start within {_START_SECONDS:g} s"
            raise StartError(msg)
        if self._failure is not None:
            self._thread.join(_STOP_SECONDS)
            raise StartError(str(self._failure)) from self._failure

    def stop(self) -> None:
        """Stop; a state file is written."""
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._loop is not None and self._stop is not None and self._loop.is_running():
            self._loop.call_soon_threadsafe(self._stop.set)
        if self._thread is not None:
            self._thread.join(_STOP_SECONDS)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as error:  # noqa: BLE001 - told to whoever waits in start()
            self._failure = error
        finally:
            self._started.set()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        runner = web.AppRunner(application(self.config), access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            # A stopped simulator's port is taken again at once, after it was killed as well.
            site = web.TCPSite(runner, self.config.host, self.config.port, reuse_address=True)
            try:
                await site.start()
            except OSError as error:
                where = f"{self.config.host}:{self.config.port}"
                msg = f"cannot listen on {where}: {os.strerror(error.errno or 0)}; give another port, or 0 for a free one"
                raise StartError(msg) from error
            self._port = runner.addresses[0][1]
            self._started.set()
            await self._stop.wait()
        finally:
            await runner.cleanup()


def application(config: SimulatorConfig) -> web.Application:
    """Return the aiohttp application of a new simulator.

    Raises:
        StateFileError: the state file is unusable.
    """
    simulator = Simulator(config)
    file = StateFile(config.state_file) if config.state_file else None
    if file is None or not file.read_into(simulator.world):
        seed(simulator.world, config)
    app = web.Application(client_max_size=_MAX_BODY_BYTES)
    app.add_routes(control_routes(Control(simulator), simulator))
    app.router.add_route("*", f"{API}{{path:/.*}}", simulator.handle)
    app.router.add_route("*", "/{path:.*}", simulator.lost)

    async def late_commits(_app: web.Application) -> AsyncIterator[None]:
        yield
        simulator.forget_late_commits()

    app.cleanup_ctx.append(late_commits)
    if file is not None:
        app.cleanup_ctx.append(lambda _app: _saving(file, simulator))
    return app


async def _saving(file: StateFile, simulator: Simulator) -> AsyncIterator[None]:
    """Write the state soon after it changed, and once more at the end."""

    async def save() -> None:
        while True:
            if simulator.dirty:
                simulator.dirty = False
                file.save(simulator.world)
            await asyncio.sleep(_SAVE_EVERY_SECONDS)

    file.save(simulator.world)
    task = asyncio.create_task(save())
    yield
    task.cancel()
    file.save(simulator.world)
