# Everything a person does with this repository. `make` alone prints this list.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
BENCH := .venv-bench
RUNS ?= 5
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
IMAGE ?= provider-discord:v$(VERSION)
ENGINE ?= docker
RUNTIME ?=
# Processes that share the tests out among them. They mostly wait, so there are more than cores.
JOBS ?= 4

.PHONY: help
help: ## print this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 24

$(STAMP): pyproject.toml constraints.txt
	@echo "==> Python environment in $(VENV) (about half a minute; no compiler needed)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: $(PYTHON) is older than 3.11; say make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

.PHONY: setup
setup: $(STAMP) ## make the Python environment

.PHONY: tools
tools: $(STAMP) ## find or build kube-apiserver and etcd (and kubectl where there is none)
	@PYTHONPATH=hack $(BIN)/python -m controlplane tools

.PHONY: test-tools
test-tools: $(STAMP)
	@PYTHONPATH=hack $(BIN)/python -m controlplane tools --for-tests --optional

.PHONY: demo
demo: tools ## the main job: apply examples/community to a real API server and watch it become true
	@$(BIN)/provider-discord demo

.PHONY: test
test: lint test-tools ## all checks and tests
	@echo "==> Tests"
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadscope --no-loadscope-reorder

.PHONY: test-fast
test-fast: lint ## checks and unit tests, without an API server
	@$(BIN)/python -m pytest tests/unit

.PHONY: lint
lint: $(STAMP) ## ruff, mypy --strict, import contracts
	@echo "==> Lint: ruff, mypy, import contracts (about a minute)"
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy --no-error-summary provider_discord hack tests
	@$(BIN)/lint-imports --no-cache > .lint-imports.log 2>&1 || { cat .lint-imports.log; exit 1; }
	@rm -f .lint-imports.log

.PHONY: format
format: $(STAMP) ## put every file in the house format
	@$(BIN)/ruff check --quiet --fix .
	@$(BIN)/ruff format --quiet .

.PHONY: controlplane
controlplane: tools ## a Kubernetes API server on loopback, until Ctrl-C
	@PYTHONPATH=hack $(BIN)/python -m controlplane

.PHONY: chaos
chaos: tools ## kill the provider thousands of times: up to an hour, resumable; SEED=7 replays one, SEEDS=1-20,1001 runs some
	@PYTHONPATH=.:hack $(BIN)/python -m tests.chaos $(if $(SEEDS),--seeds $(SEEDS)) $(if $(SEED),--seeds $(SEED) --fresh --debug)

.PHONY: bench-latency
bench-latency: tools ## from a manifest's change to Discord, memory, start: about fifteen minutes
	@$(BIN)/python bench/latency/run.py

.PHONY: bench-connections
bench-connections: $(STAMP) ## what a call costs over our connections and over httpx's: a minute
	@$(BIN)/python -m bench.connections.run

.PHONY: bench-env
bench-env:
	@echo "==> Environment of the benchmark in $(BENCH) (the peers need other versions than we do)"
	@$(PYTHON) -m venv $(BENCH)
	@$(BENCH)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'

.PHONY: bench-ratelimit
bench-ratelimit: bench-env ## the limiter beside hikari, discord.py and naive httpx: about 40 minutes; RUNS=1 is quicker
	@$(BENCH)/bin/python -m bench.ratelimit.run --runs $(RUNS) --write

.PHONY: bench-ratelimit-perturbed
bench-ratelimit-perturbed: RUNS = 1
bench-ratelimit-perturbed: bench-env ## the same with clocks, latency, restarts, outages ... gone wrong: about 15 minutes
	@$(BENCH)/bin/python -m bench.ratelimit.run --perturbations --runs $(RUNS) --write

.PHONY: bench-ratelimit-tuned
bench-ratelimit-tuned: RUNS = 1
bench-ratelimit-tuned: bench-env ## the same with the peers' best documented configuration: about 8 minutes
	@$(BENCH)/bin/python -m bench.ratelimit.run --tuned --runs $(RUNS) --write

.PHONY: generate
generate: $(STAMP) ## CRDs, references and dashboards, from the code
	@$(BIN)/provider-discord crds --output package/crds --reference docs/reference/fields.md
	@$(BIN)/provider-discord metrics --output docs/operations/metrics.md
	@PYTHONPATH=hack $(BIN)/python -m dashboards
	@$(BIN)/python hack/chart_crds.py

.PHONY: image
image: ## build the image; IMAGE=registry/name:tag, ENGINE=podman
	@$(ENGINE) build --file package/image/Dockerfile --tag $(IMAGE) .

.PHONY: xpkg
xpkg: $(STAMP) ## the Crossplane package, in dist/; RUNTIME=FILE (docker save) puts the provider in it
	@PYTHONPATH=hack $(BIN)/python -m xpkg --output dist/provider-discord-v$(VERSION).xpkg --tag $(IMAGE) $(if $(RUNTIME),--runtime $(RUNTIME))

.PHONY: constraints
constraints: $(STAMP) ## write constraints.txt anew from the installed versions
	@{ echo "# Exact versions for development and CI; made by 'make constraints'. No index address belongs here."; \
	   $(BIN)/python -m pip freeze --exclude-editable --exclude provider-discord; } > constraints.txt

.PHONY: clean
clean: ## remove the environment and what runs left behind; built tools stay
	@rm -rf $(VENV) $(BENCH) .demo .mypy_cache .ruff_cache .pytest_cache .import_linter_cache dist

.PHONY: distclean
distclean: clean ## remove the built tools as well
	@rm -rf .cache
