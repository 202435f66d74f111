//go:build tools

// Package tools keeps `go mod tidy` from dropping what is built from this module and imported by nothing.
//
// Both are built with the tag remove_all_sd, without the cloud providers' service discovery: one of those needs a
// module that no proxy has, and nothing here uses any. `go mod tidy` looks at every tag and therefore fails; to
// change the version, edit go.mod and run the two builds with -mod=mod, which brings go.sum up to date.
package tools

import (
	_ "github.com/prometheus/prometheus/cmd/prometheus"
	_ "github.com/prometheus/prometheus/cmd/promtool"
)
