"""The package as a command: `python -m xpkg --output dist/provider-discord.xpkg`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from xpkg.errors import PackageError
from xpkg.image import digest
from xpkg.package import build

_REPOSITORY = Path(__file__).resolve().parents[2]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m xpkg", description="Builds the Crossplane package.")
    parser.add_argument(
        "--output", type=Path, required=True, metavar="FILE", help="where to write it, such as dist/x.xpkg"
    )
    parser.add_argument("--package-root", type=Path, default=_REPOSITORY / "package", metavar="FOLDER")
    parser.add_argument("--examples-root", type=Path, default=_REPOSITORY / "examples", metavar="FOLDER")
    parser.add_argument(
        "--runtime",
        type=Path,
        metavar="FILE",
        help="the provider's image as `docker save` writes it; without it the package holds only the API",
    )
    parser.add_argument("--tag", default="", metavar="NAME:TAG", help="what `docker load` calls it")
    options = parser.parse_args(arguments)
    try:
        image = build(package=options.package_root, examples=options.examples_root, runtime=options.runtime)
        image.write(options.output, tag=options.tag)
    except (PackageError, OSError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    layers = f"{len(image.layers)} layers, {'with' if options.runtime else 'without'} the provider in it"
    print(f"wrote {options.output}: {layers}, {digest(options.output.read_bytes())}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
