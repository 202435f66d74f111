"""What the process tells about itself."""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path

import pytest

from provider_discord.telemetry.health import CheckResult
from provider_discord.telemetry.logs import configure
from provider_discord.telemetry.memory import MemoryReports
from provider_discord.telemetry.metrics import Metrics
from provider_discord.telemetry.process import memory_limit_bytes, resident_bytes
from provider_discord.telemetry.timings import TelemetryTimings


@pytest.mark.parametrize(
    ("file", "text", "limit", "reason"),
    [
        ("sys/fs/cgroup/memory.max", "268435456\n", 268435456, "cgroup v2"),
        ("sys/fs/cgroup/memory.max", "max\n", None, "no limit"),
        ("sys/fs/cgroup/memory/memory.limit_in_bytes", "268435456\n", 268435456, "cgroup v1"),
        ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n", None, "no limit in v1"),
        ("somewhere/else", "1", None, "no cgroup at all"),
    ],
)
def test_the_limit_is_the_containers(
    tmp_path: Path, file: str, text: str, limit: int | None, reason: str
) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert memory_limit_bytes(tmp_path) == limit, reason


def test_the_resident_size_is_the_one_of_the_metric() -> None:
    text = Metrics().render().decode()
    found = re.search(r"^process_resident_memory_bytes (\S+)$", text, re.MULTILINE)
    assert found is not None
    assert resident_bytes() == pytest.approx(float(found[1]), rel=0.1)
    assert resident_bytes(Path(os.devnull)) == 0


def test_each_health_check_is_a_series() -> None:
    metrics = Metrics()
    assert "\nprovider_discord_memory_limit_bytes" not in metrics.render().decode()
    metrics.process.watch(
        checks=lambda: (CheckResult("ping", ok=True), CheckResult("discord", ok=False)), memory_limit=1024
    )
    text = metrics.render().decode()
    assert 'provider_discord_health_check_ok{check="ping"} 1.0' in text
    assert 'provider_discord_health_check_ok{check="discord"} 0.0' in text
    assert "provider_discord_memory_limit_bytes 1024.0" in text


@pytest.mark.usefixtures("own_logging")
def test_memory_is_told_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    configure(json=False, debug=False)
    told = threading.Event()

    def objects() -> dict[str, int]:
        told.set()
        return {"Channel": 3, "Role": 2}

    reports = MemoryReports(
        objects=objects,
        limit_bytes=512 * 1024 * 1024,
        timings=TelemetryTimings(memory_first_seconds=0.0, memory_every_seconds=60.0),
    )
    reports.start()
    assert told.wait(5.0)
    reports.stop()
    line = capsys.readouterr().err
    assert re.search(r"event=memory resident_mib=\d+ limit_mib=512 channels=3 roles=2$", line.strip())
