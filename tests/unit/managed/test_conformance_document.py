"""`docs/design/conformance.md` names the test that holds each rule of the contract: they exist."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.unit.telemetry.test_metrics import PROMISED

ROOT = Path(__file__).resolve().parents[3]
DOCUMENT = ROOT / "docs" / "design" / "conformance.md"
NAMED = re.compile(r"`(tests/[\w/]+\.py)::([\w:]+)`")


def held_by(file: Path) -> Iterator[str]:
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.FunctionDef):
            yield node.name
        elif isinstance(node, ast.ClassDef):
            yield from (
                f"{node.name}::{inner.name}" for inner in node.body if isinstance(inner, ast.FunctionDef)
            )


def test_every_test_that_the_document_names_exists() -> None:
    named = set(NAMED.findall(DOCUMENT.read_text()))
    assert len(named) > 100
    known = {path: set(held_by(ROOT / path)) if (ROOT / path).exists() else set() for path, _ in named}
    assert sorted(f"{path}::{name}" for path, name in named if name not in known[path]) == []


def test_every_step_and_every_metric_has_a_row() -> None:
    text = DOCUMENT.read_text()
    steps = set(re.findall(r"^\| (\d+)[abc]? \|", text, re.MULTILINE))
    assert steps == {str(number) for number in range(1, 20)}
    missing = [
        name
        for name in PROMISED
        if name.startswith(("crossplane_", "controller_runtime_", "workqueue_", "rest_client", "leader_"))
        and name not in text
        and f"`_{name.removeprefix('crossplane_managed_resource_')}`" not in text
        and f"`_{name.removeprefix('controller_runtime_')}`" not in text
        and f"`_{name.removeprefix('workqueue_')}`" not in text
    ]
    assert missing == []


def test_every_row_names_a_test_or_says_that_there_is_nothing_to_test() -> None:
    rules = DOCUMENT.read_text().split("## Deviations")[0]
    rows = [row for row in rules.splitlines() if row.startswith("| ") and not row.startswith("| ---")]
    headings = [row for row in rows if row.endswith("| test |")]
    bare = [
        row for row in rows if row not in headings and not NAMED.search(row) and not row.endswith("| - |")
    ]
    assert bare == []
