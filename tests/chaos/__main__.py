"""`make chaos`: many seeds on several lanes, resumable, with a table at the end.

Results are kept in `.cache/chaos`, one line a seed, and hold for the code that they were found with: a seed that
passed is not run again until the code changes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Final

from controlplane import ControlPlane

from tests.chaos.cluster import Endpoint
from tests.chaos.plan import FAMILIES, Family, family_of
from tests.chaos.report import FEWEST, table, thin
from tests.chaos.run_seed import Result
from tests.chaos.worker import endpoint_of

_REPOSITORY: Final = Path(__file__).resolve().parents[2]
_LONGEST_SECONDS: Final = 900.0
"""A seed that takes longer hangs."""
_FOLDER: Final = _REPOSITORY / ".cache" / "chaos"
_USUAL: Final = "1001-1024,2001-2012,3001-3010,4001-4012,5001-5012,6001-6004,7001-7003,1-150"
"""What is rare comes first, so that a run that was cut short has some of everything."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    options = _parser().parse_args(arguments)
    # A shell starts what runs in the background with SIGINT ignored; both shall end the lanes.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    seeds = _seeds(options.seeds)
    for seed in seeds:
        family_of(seed)
    _FOLDER.mkdir(parents=True, exist_ok=True)
    ledger = Ledger(_FOLDER / "results.jsonl", code=_fingerprint())
    if options.fresh:
        ledger.forget(seeds)
    left = [seed for seed in seeds if seed not in ledger.passed]
    print(f"{len(seeds)} seeds, {len(left)} to run, on {options.lanes} lanes", flush=True)
    try:
        if left:
            _run(left, options, ledger)
    except KeyboardInterrupt:
        print("stopped", flush=True)
    results = [ledger.results[seed] for seed in seeds if seed in ledger.results]
    print(table(results))
    failed = [one for one in results if not one.passed]
    for one in failed:
        print(f"\nseed {one.seed} ({one.family}) failed; again: make chaos SEED={one.seed}")
        for line in one.complaints[:12]:
            print(f"  {line[:600]}")
        if one.log:
            print(f"  log: {one.log}")
    missing = len(seeds) - len(results)
    if missing:
        print(f"\n{missing} seeds were not run; `make chaos` goes on with them")
    few = thin(results) if options.seeds == _USUAL and not missing else []
    if few:
        print(f"\nat these labels fewer than {FEWEST} lives ended: {', '.join(few)}")
    return 1 if failed or missing or few else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seeds", default=_USUAL, help="such as 7 or 1-20,1001")
    parser.add_argument("--lanes", type=int, default=6, help="how many seeds are run at once")
    parser.add_argument("--lives", type=int, help="how many lives end in a seed (its family's number)")
    parser.add_argument(
        "--times", type=int, default=1, help="run each seed so often: what fails now and then"
    )
    parser.add_argument("--minutes", type=float, default=58.0, help="no seed is begun after this time")
    parser.add_argument("--fresh", action="store_true", help="run seeds that have passed as well")
    parser.add_argument("--debug", action="store_true", help="let the provider log every decision")
    return parser


def _seeds(text: str) -> list[int]:
    seeds: list[int] = []
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        seeds += range(int(first), int(last or first) + 1)
    return list(dict.fromkeys(seeds))


def _fingerprint() -> str:
    """Return a digest of everything that a result depends on."""
    digest = hashlib.sha256()
    for folder, pattern in (
        ("provider_discord", "*.py"),
        ("tests/chaos", "*.py"),
        ("package/crds", "*.yaml"),
    ):
        for path in sorted((_REPOSITORY / folder).rglob(pattern)):
            digest.update(str(path.relative_to(_REPOSITORY)).encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


class Ledger:
    """The results so far; the latest of a seed counts."""

    def __init__(self, path: Path, *, code: str) -> None:
        self._path = path
        self._code = code
        self._lock = threading.Lock()
        self.results: dict[int, Result] = {}
        for line in path.read_text().splitlines() if path.exists() else ():
            entry = json.loads(line)
            if entry.pop("code") == code:
                self.results[entry["seed"]] = Result(**entry)

    @property
    def passed(self) -> set[int]:
        """The seeds that need not be run again."""
        return {seed for seed, result in self.results.items() if result.passed}

    def forget(self, seeds: Sequence[int]) -> None:
        """Drop results, for this run."""
        for seed in seeds:
            self.results.pop(seed, None)

    def add(self, result: Result) -> None:
        """Keep a result."""
        with self._lock:
            self.results[result.seed] = result
            with self._path.open("a") as file:
                file.write(json.dumps({"code": self._code, **result.as_json()}) + "\n")


class _Worker:
    """A lane's process."""

    def __init__(self, told: dict[str, Any]) -> None:
        environment = {**os.environ, "PYTHONPATH": f"{_REPOSITORY}:{_REPOSITORY / 'hack'}"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            cwd=_REPOSITORY,
            env=environment,
        )
        self._tell(told)

    def run(self, seed: int) -> Result:
        hangs = threading.Timer(_LONGEST_SECONDS, self._process.kill)
        hangs.start()
        try:
            self._tell({"seed": seed})
            line = _pipe(self._process.stdout).readline()
        except OSError:
            line = ""
        finally:
            hangs.cancel()
        if not line:
            said = f"the lane's process ended with {self._process.wait(10)}"
            return Result(seed=seed, family=family_of(seed).value, complaints=[said])
        return Result(**json.loads(line))

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        _pipe(self._process.stdin).close()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _tell(self, words: dict[str, Any]) -> None:
        pipe = _pipe(self._process.stdin)
        pipe.write(json.dumps(words) + "\n")
        pipe.flush()


@dataclass(slots=True)
class Deadline:
    """No seed is begun after this instant (monotonic seconds)."""

    at: float


def _run(seeds: Sequence[int], options: argparse.Namespace, ledger: Ledger) -> None:
    shared: queue.Queue[int] = queue.Queue()
    own: queue.Queue[int] = queue.Queue()
    for seed in [seed for seed in seeds for _ in range(options.times)]:
        (own if family_of(seed) is Family.RESTART else shared).put(seed)
    deadline = Deadline(time.monotonic() + options.minutes * 60)
    told = {"folder": str(_FOLDER), "debug": options.debug, "lives": options.lives}
    crds = [_REPOSITORY / "package" / "crds"]
    done = Counter[str]()
    workers: list[_Worker] = []

    def lane(endpoint: Endpoint | None, source: queue.Queue[int]) -> None:
        worker: _Worker | None = None
        while time.monotonic() < deadline.at:
            try:
                seed = source.get_nowait()
            except queue.Empty:
                break
            if worker is None or not worker.alive:
                worker = _Worker({**told, "endpoint": endpoint and asdict(endpoint)})
                workers.append(worker)
            result = worker.run(seed)
            if not deadline.at:
                break  # It was interrupted: that is no result.
            ledger.add(result)
            done["seeds"] += 1
            print(_line(result, f"{done['seeds']}/{len(seeds) * options.times}"), flush=True)
        if worker is not None:
            worker.close()

    threads = []
    with ControlPlane(crds=crds) as control_plane:
        if not own.empty():
            threads.append(threading.Thread(target=lane, args=(None, own)))
        lanes = min(options.lanes - len(threads), shared.qsize()) if options.lanes > 1 else 1
        threads += [
            threading.Thread(target=lane, args=(endpoint_of(control_plane), shared)) for _ in range(lanes)
        ]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        except KeyboardInterrupt:
            deadline.at = 0.0
            for worker in workers:
                worker.kill()
            raise


def _line(result: Result, number: str) -> str:
    wrong = "" if result.passed else f"  FAILED: {(result.complaints or ['?'])[0][:160]}"
    return (
        f"[{number}] seed {result.seed} ({result.family}): {sum(result.kills.values())} kills, "
        f"{sum(result.faults.values())} faults, {result.creates} creates, settled in {result.settle_seconds:.1f} s, "
        f"{result.seconds:.0f} s in all{wrong}"
    )


def _pipe(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream


if __name__ == "__main__":
    assert len(FAMILIES) == len(Family)
    sys.exit(main())
