"""Checked-in generated files are what the models say."""

from __future__ import annotations

from pathlib import Path

import chart_crds
import pytest
import typer
import yaml

from provider_discord.apis import crds, reference
from provider_discord.cli.crds import crds as command

REPOSITORY = Path(__file__).resolve().parents[3]
CRDS = REPOSITORY / "package" / "crds"
CHART_CRDS = REPOSITORY / "chart" / "provider-discord" / "crds"
REFERENCE = REPOSITORY / "docs" / "reference" / "fields.md"


def test_the_crds_are_not_stale() -> None:
    written = {path.name: path.read_text() for path in CRDS.glob("*.yaml")}
    assert written == crds.render(), "run `make generate` and commit the result"


def test_the_crds_of_the_chart_are_not_stale() -> None:
    written = {path.name: path.read_text() for path in CHART_CRDS.glob("*.yaml")}
    assert written == chart_crds.render(), "run `make generate` and commit the result"


def test_the_charts_copy_of_its_defaults_is_not_stale() -> None:
    assert chart_crds.DEFAULTS.read_text() == chart_crds.VALUES.read_text(), "run `make generate`"


def test_the_reference_page_is_not_stale() -> None:
    assert REFERENCE.read_text() == reference.render(), "run `make generate` and commit the result"


def test_what_is_written_passes_the_check_and_a_change_does_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, page = tmp_path / "crds", tmp_path / "docs" / "fields.md"
    command(output=folder, reference=page)
    command(output=folder, reference=page, check=True)
    changed = next(folder.iterdir())
    changed.write_text("x")
    (folder / "old.yaml").write_text(crds.HEADER)
    with pytest.raises(typer.Exit) as caught:
        command(output=folder, reference=page, check=True)
    assert caught.value.exit_code == 1
    told = capsys.readouterr().err
    assert str(changed) in told
    assert "old.yaml" in told
    command(output=folder, reference=page)
    command(output=folder, reference=page, check=True)
    assert not (folder / "old.yaml").exists()


def test_without_a_folder_all_is_printed_as_one_stream(capsys: pytest.CaptureFixture[str]) -> None:
    command()
    documents = list(yaml.safe_load_all(capsys.readouterr().out))
    assert [d["spec"]["names"]["kind"] for d in documents] == [
        "ProviderConfig",
        "ProviderConfigUsage",
        "Guild",
        "Channel",
        "Role",
    ]


def test_a_check_of_nothing_is_refused() -> None:
    with pytest.raises(typer.BadParameter, match="--output"):
        command(check=True)


def test_a_folder_that_cannot_be_written_is_an_error_not_a_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(typer.Exit):
        command(output=tmp_path / "file" / "crds")
    assert "cannot write" in capsys.readouterr().err
