"""One lane: a process that runs one seed after the other, as it is told by lines on standard input.

A process of its own, because a lane holds a simulated Discord, two proxies and two actors, and six of those would
wait for one interpreter's lock. The first line tells where the API server is (null: the lane starts one of its own,
which it may restart); every further line is a seed. Each result is a line of JSON on standard output.

Run as `python -m tests.chaos.worker`.
"""

from __future__ import annotations

import json
import sys
import traceback
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from controlplane import ControlPlane

from tests.chaos.cluster import Endpoint
from tests.chaos.incarnation import die_with_parent
from tests.chaos.plan import plan_of
from tests.chaos.processes import Zygote
from tests.chaos.run_seed import Result, run_seed

_REPOSITORY = Path(__file__).resolve().parents[2]


def main() -> None:
    """Serve until standard input ends."""
    die_with_parent()
    told = json.loads(sys.stdin.readline())
    with ExitStack() as stack:
        lane = Lane(stack, told)
        for line in sys.stdin:
            result = lane.run(json.loads(line)["seed"])
            sys.stdout.write(json.dumps(result.as_json()) + "\n")
            sys.stdout.flush()


class Lane:
    """What a lane keeps from one seed to the next.

    Args:
        stack: ends all of it.
        told: the first line.
    """

    def __init__(self, stack: ExitStack, told: dict[str, Any]) -> None:
        self._stack = stack
        self._folder = Path(told["folder"])
        self._debug = bool(told.get("debug"))
        self._lives = told.get("lives")
        self._control_plane: ControlPlane | None = None
        if told["endpoint"] is None:
            crds = [_REPOSITORY / "package" / "crds"]
            self._control_plane = stack.enter_context(ControlPlane(crds=crds))
        self._endpoint = told["endpoint"]
        self._zygote: Zygote | None = None

    def run(self, seed: int) -> Result:
        """Run a seed; whatever happens, there is a result."""
        plan = plan_of(seed, lives=self._lives)
        try:
            return run_seed(
                plan,
                endpoint=self._where(),
                processes=self._processes(),
                folder=self._folder,
                restart=None if self._control_plane is None else self._restart,
                debug=self._debug,
            )
        except Exception:  # noqa: BLE001 - one seed's trouble is not the next one's
            said = f"the harness failed: {traceback.format_exc()}"
            return Result(seed=seed, family=plan.family.value, complaints=[said])

    def _processes(self) -> Zygote:
        if self._zygote is None:
            self._zygote = Zygote()
            self._stack.callback(self._zygote.close)
        return self._zygote

    def _where(self) -> Endpoint:
        if self._control_plane is None:
            return Endpoint(**self._endpoint)
        return endpoint_of(self._control_plane)

    def _restart(self, kill: bool) -> None:
        assert self._control_plane is not None
        self._control_plane.stop_apiserver(kill=kill)
        self._control_plane.start_apiserver()


def endpoint_of(control_plane: ControlPlane) -> Endpoint:
    """Return a control plane's endpoint as a lane takes it."""
    found = control_plane.endpoint
    return Endpoint(url=found.url, authority=found.authority.decode(), token=found.token)


if __name__ == "__main__":
    main()
