# The commands of the README are `make demo`, `make test` and `make test-image`; `make` alone lists the rest.

VENV := .venv
PYTHON := $(VENV)/bin/python
AGENT := $(VENV)/bin/dockmon-agent
INSTALLED := $(VENV)/.installed
PYTEST := $(PYTHON) -m pytest
WITH_ENGINE := .ci/with-engine
WITH_REGISTRY := .ci/with-registry
COVERAGE_PERCENT := 90

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

.PHONY: help
help: ## list what make can do here
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(INSTALLED): pyproject.toml .ci/make-venv
	@.ci/make-venv $(VENV)
	@touch $@

.PHONY: demo
demo: $(INSTALLED) ## see the agent at work, on a real engine
	@$(WITH_ENGINE) $(AGENT) demo

.PHONY: test
test: lint ## everything: lint, types, all tests on a real engine, coverage
	$(PYTEST) -n auto --cov --cov-report= tests --ignore=tests/integration --ignore=tests/e2e
	$(WITH_ENGINE) $(WITH_REGISTRY) $(PYTEST) --cov --cov-append --cov-fail-under=$(COVERAGE_PERCENT) tests/integration

.PHONY: test-core
test-core: $(INSTALLED) ## the decisions alone: no engine, no time, seconds
	$(PYTEST) -n auto tests/core tests/hub $(wildcard tests/test_*.py)

.PHONY: test-scenarios
test-scenarios: $(INSTALLED) ## agent and server in one loop on frozen time
	$(PYTEST) tests/scenarios

.PHONY: test-integration
test-integration: $(INSTALLED) ## against a real engine, on the real clock
	$(WITH_ENGINE) $(WITH_REGISTRY) $(PYTEST) tests/integration

.PHONY: image
image: $(INSTALLED) ## build the container image, from what this machine can get
	$(WITH_ENGINE) .ci/build-image dockmon-agent:dev

# Two at a time: an engine remembers 256 events, and each test makes dozens of them. Power is cut where nobody else is at
# work: each agent writes down what it sees of others, and what is written makes durable what came before.
POWER_CUTS := tests/e2e/test_power_cut.py
TEST_IMAGE = $(WITH_ENGINE) $(WITH_REGISTRY) env DOCKMON_TEST_IMAGE=dockmon-agent:test $(PYTEST) -v

.PHONY: test-image
test-image: $(INSTALLED) ## the image as users run it: updates, bad releases, kill -9 and power cuts at every moment
	$(WITH_ENGINE) .ci/build-image dockmon-agent:test
	$(TEST_IMAGE) -n 2 tests/e2e --ignore=$(POWER_CUTS)
	$(TEST_IMAGE) $(POWER_CUTS)

.PHONY: lint
lint: $(INSTALLED) ## ruff and mypy, changing nothing
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy

.PHONY: format
format: $(INSTALLED) ## let ruff lay the code out
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

.PHONY: charts
charts: $(INSTALLED) ## draw every statechart into docs/charts
	$(AGENT) chart --all --out docs/charts

.PHONY: docs
docs: charts ## write the generated references into docs/reference
	$(AGENT) reference
	$(PYTHON) tests/protocol_coverage.py

.PHONY: bench
bench: $(INSTALLED) ## measure what the docs claim, on a real engine; BENCH="--only cost --containers 10" for less
	$(WITH_ENGINE) env PYTHONPATH=.:tests $(PYTHON) -m benchmarks $(BENCH)

.PHONY: soak
soak: $(INSTALLED) ## half an hour of churn, outages and floods; SOAK_SECONDS=300 for less
	$(WITH_ENGINE) env PYTHONPATH=.:tests $(PYTHON) -m benchmarks.soak

.PHONY: clean
clean: ## remove the virtual environment and everything the tools left
	rm -rf $(VENV) build dist .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
