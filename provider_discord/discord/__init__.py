"""Discord's REST API as a library: routes, rate limits, errors, snapshots. Knows no Kubernetes."""
