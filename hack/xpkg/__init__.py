"""Builds the Crossplane package: an OCI image that Crossplane's package manager installs a provider from.

The image is the provider's own (the runtime, where one is given) with one more layer, which holds the file
`package.yaml`: a stream of the package's metadata (`package/crossplane.yaml`) and its CRDs. The layer is marked in
two places, as Crossplane's own builder and `crossplane xpkg push` mark it: the image's configuration has the label
`io.crossplane.xpkg:<digest of the layer>`, the manifest has the annotation `io.crossplane.xpkg` on the layer
(crossplane-runtime `pkg/xpkg`, and the xpkg specification in Crossplane's contributing guide). A second such layer
holds the examples.

`python -m xpkg --help`, from the folder `hack/`, is this as a command.
"""

from __future__ import annotations

from xpkg.errors import PackageError
from xpkg.image import Image, Layer
from xpkg.package import build

__all__ = ["Image", "Layer", "PackageError", "build"]
