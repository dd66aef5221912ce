# The handful of commands there are. Each sets up what it needs; only Python 3.11 or newer has to be there.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)
TESTS ?= tests

.PHONY: help demo test lint types docs docs-check bench bench-databases bench-budget bench-search bench-scale long scale soak build lock format clean

help: ## Show these commands
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

demo: $(VENV)/ready ## Serve the hub with real databases full of sample data
	@exec $(BIN)/pegboard demo

test: $(VENV)/ready ## Run all tests, real databases and clients included
	$(BIN)/python -m pytest $(TESTS)

lint: $(VENV)/ready ## Check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/ready ## Put style and formatting right
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/deploy ## Check types, strictly
	$(BIN)/pyright

docs: $(VENV)/ready ## Write the generated pages anew
	$(BIN)/python -m pegboard.cli.reference docs
	$(BIN)/python -m pegboard.cli.tables plugins/awx/README.md
	$(BIN)/python -m tests.threats

docs-check: docs ## Fail when a generated page is stale
	git diff --exit-code -- docs plugins

bench: $(VENV)/ready ## Measure against the bare SDK server and FastMCP
	$(BIN)/python -m bench
	$(MAKE) --no-print-directory bench-databases

bench-databases: $(VENV)/ready ## Measure the database plugins against their drivers
	$(BIN)/python -m bench.databases_postgres
	$(BIN)/python -m bench.databases_qdrant
	$(BIN)/python -m bench.databases_neo4j

bench-budget: $(VENV)/ready ## Measure what hidden tools cost, at 60 to 4 000 tools
	$(BIN)/python -m bench.budget

bench-search: $(VENV)/ready ## Measure the ranking of tools against FastMCP's on the development sets
	$(BIN)/python -m bench.search

bench-scale: $(VENV)/ready ## Measure what grows with sessions, tools and workers
	$(BIN)/python -m bench.scale

long: $(VENV)/deploy ## Run the tests of replicas, workers, load balancers, faults and deployment
	$(BIN)/python -m pytest $(TESTS) -m "long and not (scale or soak)"

scale: $(VENV)/ready ## Run the tests with thousands of clients
	$(BIN)/python -m pytest tests/system -m scale

soak: $(VENV)/ready ## Work for half an hour while everything goes wrong now and then
	$(BIN)/python -m pytest tests/system/faults -m soak -s

build: $(VENV)/ready ## Build every package's wheel into dist/
	$(UV) build -q --all-packages --wheel --out-dir dist

lock: ## Resolve all dependencies anew and write the two lock files
	$(UV) lock --upgrade
	$(UV) export -q --all-groups --no-group deploy --no-header --no-hashes --no-annotate -o requirements.lock
	$(UV) export -q --only-group deploy --no-header --no-hashes --no-annotate -o requirements-deploy.lock

clean: ## Remove what the commands above made
	rm -rf $(VENV) .uv dist

$(VENV)/ready: requirements.lock pyproject.toml $(wildcard */pyproject.toml */*/pyproject.toml)
	@test -x "$(UV)" || $(MAKE) --no-print-directory .uv/bin/uv
	@echo "setting up $(VENV) (first time only)"
	@test -d $(VENV) || $(UV) venv -q --python $(PYTHON) $(VENV)
	@$(UV) pip sync -q --python $(BIN)/python requirements.lock
	@touch $@

$(VENV)/deploy: requirements-deploy.lock $(VENV)/ready
	@echo "getting what checks deploy/ (first time only, 200 MB)"
	@$(UV) pip install -q --python $(BIN)/python -r requirements-deploy.lock
	@touch $@

.uv/bin/uv:
	@echo "setting up uv in .uv (first time only)"
	@$(PYTHON) -m venv .uv && .uv/bin/pip install -q uv
