// Prometheus and promtool, which the tests of alerts and dashboards run.
module provider-discord/hack/prometheus

go 1.26.7

require github.com/prometheus/prometheus v0.316.0
