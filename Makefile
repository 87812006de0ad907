# The door. A fresh machine needs Python 3.11 or newer, make and bash; the first target that needs packages installs them.

SHELL := bash
.SHELLFLAGS := -o pipefail -ec
.DEFAULT_GOAL := help
.PHONY: help setup demo up test faults check bench rules-test prometheus-test browser-test compose-test

PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3.13 python3,$(shell command -v $(name))))
BIN := .venv/bin
INSTALLED := .venv/installed
DATASET ?= ml-100k
MODEL ?= wmf
TEST_PROCESSES ?= 3
BENCH_SPLIT := ml-100k/cure4rec
BENCH_DATA ?= $(ALTERASER_DATA_DIR)/$(BENCH_SPLIT)
MEASUREMENTS := docs/measurements

help: ## list these commands
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

setup: $(INSTALLED) ## create .venv and install the pinned packages (the others do it when needed)

demo: $(INSTALLED) ## forget a person end to end and check it; DATASET=ml-1m is larger, MODEL=neumf neural
	@$(BIN)/alteraser demo --dataset $(DATASET) --model $(MODEL)

up: $(INSTALLED) ## run the whole system in ./.alteraser until Ctrl-C
	@$(BIN)/alteraser up

test: $(INSTALLED) ## run the tests against real PostgreSQL, Valkey and Celery
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadfile

faults: $(INSTALLED) ## kill, stop, fill, flip and restart a real deployment and print what was lost; ARGS="--seed 7 --times 2 --only disk"
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m faults tests
	@OMP_NUM_THREADS=1 $(BIN)/python -m tests.faults $(ARGS)

rules-test: ## check the alert rules and show each alert firing and not firing; needs promtool
	@command -v promtool >/dev/null || { echo "error: promtool is not on PATH; it comes with Prometheus"; exit 1; }
	@promtool check config --syntax-only observability/prometheus/prometheus.yml
	@promtool check rules observability/prometheus/rules.yml
	@promtool test rules observability/prometheus/rules_test.yml

prometheus-test: $(INSTALLED) ## have a real Prometheus scrape a real deployment until the overdue alert fires
	@command -v prometheus >/dev/null || { echo "error: prometheus is not on PATH"; exit 1; }
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m prometheus tests/prometheus

browser-test: $(INSTALLED) ## click through the /ops pages in a real Chromium; SCREENSHOTS=docs/screenshots keeps pictures
	@$(BIN)/python -m pytest -n0 -m browser tests/browser $(if $(SCREENSHOTS),--screenshots $(SCREENSHOTS))

compose-test: $(INSTALLED) ## build, start, kill, upgrade, restore and remove the deployment of docker-compose.yml; COMPOSE="docker compose"
	@$(BIN)/python -m tests.compose

check: $(INSTALLED) ## lint, formatting, types and layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(INSTALLED) ## measure unlearning on MovieLens-100K in minutes and write docs/benchmarks.md; needs ALTERASER_DATA_DIR
	@test -d "$(BENCH_DATA)" || { echo "error: set ALTERASER_DATA_DIR to the folder that has $(BENCH_SPLIT)"; exit 1; }
	@$(BIN)/python -m benchmarks.suite --data $(BENCH_DATA) --name quick --seeds 2 \
	  --forget user=median --forget user=heavy --forget users=20 --forget interactions=1% --forget item=popular
	@$(BIN)/python -m benchmarks.accuracy --data $(BENCH_DATA) --seeds 2 --users 20 \
	  --json $(MEASUREMENTS)/quick-accuracy.json
	@$(BIN)/python -m benchmarks.scaling --sizes 100k,300k \
	  --json $(MEASUREMENTS)/quick-scaling.json --picture $(MEASUREMENTS)/quick-scaling.svg
	@$(BIN)/python -m benchmarks.tables

$(INSTALLED): requirements.lock requirements-dev.lock pyproject.toml
	@'$(PYTHON)' -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "error: Python 3.11 or newer is needed; name one with make PYTHON=/path/to/python3.11"; exit 1; }
	@test -x $(BIN)/python || { echo "creating .venv with $(PYTHON)"; '$(PYTHON)' -m venv .venv; }
	@echo "installing the pinned packages into .venv (a minute or two, once)"
	@$(BIN)/python -m pip install --disable-pip-version-check -r requirements-dev.lock \
	  | awk '/^(Collecting|Requirement already)/ { printf "\r  %3d packages", ++n; fflush() } /^Installing/ { printf "\n  unpacking\n"; fflush() } END { print "" }'
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation --editable .
	@touch $@
