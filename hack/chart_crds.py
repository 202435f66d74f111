"""Writes the chart's CRDs: those of the package, marked as a Helm release's; and a copy of its default values.

A chart's `crds/` folder is the one place whose CRDs Helm installs, and waits for, before it looks up the kinds of
everything else; but Helm never upgrades what is there. So the chart has them as templates as well, for everything
after the first installation. A release takes over only what is marked as its own, and nothing in `crds/` is a
template: hence the marks are written here, for the release that the documents tell to make.

The templates can read any file of the chart but values.yaml, and want the defaults for what an upgrade with the values
of an older chart leaves out (`provider-discord.fill`).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from provider_discord.apis import crds

_CHART: Final = Path(__file__).resolve().parents[1] / "chart" / "provider-discord"
FOLDER: Final = _CHART / "crds"
VALUES: Final = _CHART / "values.yaml"
DEFAULTS: Final = _CHART / "files" / "defaults.yaml"
_MARKS: Final = """
metadata:
  annotations:
    helm.sh/resource-policy: keep
    meta.helm.sh/release-name: provider-discord
    meta.helm.sh/release-namespace: crossplane-system
  labels:
    app: provider-discord
    app.kubernetes.io/managed-by: Helm
"""


def render() -> dict[str, str]:
    """Return every CRD as YAML, by file name."""
    return {name: text.replace("\nmetadata:\n", _MARKS, 1) for name, text in crds.render().items()}


def main() -> None:
    """Write them, and remove those of kinds that are no more."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    wanted = render()
    for path in FOLDER.glob("*.yaml"):
        if path.name not in wanted:
            path.unlink()
    for name, text in wanted.items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    DEFAULTS.write_bytes(VALUES.read_bytes())
    print(f"wrote {len(wanted)} CRDs to {FOLDER}", file=sys.stderr)


if __name__ == "__main__":
    main()
