//go:build tools

// Package tools keeps `go mod tidy` from dropping what is built from this module and imported by nothing.
package tools

import (
	_ "github.com/yannh/kubeconform/cmd/kubeconform"
	_ "helm.sh/helm/v3/cmd/helm"
)
