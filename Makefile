# Antiphon: everything a person or a machine runs on this project.
# `make` alone prints the list.

PYTHON ?= python3
VENV ?= .venv
DEMO ?= .demo
PEERS := .peers
PINS := tests/serving/peers/python/requirements.txt
BUNDLE ?= cafe
JOBS ?= 2
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check
CODE := src tests benchmarks
VOICES := flite festival festvox-kallpc16k festvox-kdlpc16k festvox-us-slt-hts espeak-ng

.DEFAULT_GOAL := help
.PHONY: help demo install peers voices kokoro browser test check lint format pytest bench order clean

help:  ## print this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(DEMO)/venv/.installed  ## hear the bundled agent answer an order (light install, no torch)
	$(DEMO)/venv/bin/antiphon talk examples/order.flac --bundle $(BUNDLE) --out .

install: $(VENV)/.installed  ## make .venv with everything that development needs

peers: $(PEERS)/.installed  ## install the stock clients whose pins are not ours, for the tests

voices:  ## install the speech engines that corpora are made with (Debian, Ubuntu)
	@bash .ci/debian $(VOICES)

kokoro: $(VENV)/.installed  ## fetch Kokoro's natural speakers for corpora into .kokoro (120 MB)
	@$(BIN)/python .ci/kokoro .kokoro

browser:
	@bash .ci/debian chromium postgresql

test: voices browser install peers  ## install what is needed, then run everything that CI runs
	@status=0; \
	$(MAKE) --no-print-directory lint || status=1; \
	$(MAKE) --no-print-directory pytest || status=1; \
	exit $$status

check: lint pytest  ## lint, types, import rules and tests, without installing anything

lint: $(VENV)/.installed  ## style, format, types and import rules
	@status=0; \
	$(BIN)/ruff check $(CODE) || status=1; \
	$(BIN)/ruff format --check $(CODE) || status=1; \
	$(BIN)/pyright --project . || status=1; \
	$(BIN)/lint-imports || status=1; \
	exit $$status

format: $(VENV)/.installed  ## rewrite the code in the house format
	$(BIN)/ruff check --fix $(CODE)
	$(BIN)/ruff format $(CODE)

pytest: $(VENV)/.installed  ## the tests, with coverage
	@$(BIN)/pytest -n $(JOBS) --dist loadfile --cov=antiphon --cov-report=term:skip-covered $(PYTEST_ARGS)

bench: $(VENV)/.peers  ## cost per frame, sessions per core and memory, against peers; writes docs/performance.md
	$(BIN)/python benchmarks/bench.py --bundle $(BUNDLE) $(BENCH_ARGS)

order:  ## make the demo's recording again (needs flite)
	PYTHON=$(BIN)/python bash examples/make_order.sh

clean:  ## remove what tools leave behind; environments, bundles and runs stay
	rm -rf .pytest_cache .ruff_cache .hypothesis .import_linter_cache .coverage htmlcov build dist
	rm -f reply.wav call.wav call.png
	find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +

# ---------------------------------------------------------------- environments

$(DEMO)/venv/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "antiphon needs python 3.11 or newer: make PYTHON=python3.11")'
	@echo "installing the light runtime into $(DEMO)/venv"
	@$(PYTHON) -m venv $(DEMO)/venv
	@$(DEMO)/venv/bin/pip install --quiet --disable-pip-version-check -e .
	@touch $@

# torch comes first and by its exact name, so that no later package chooses another build of it.
$(VENV)/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "antiphon needs python 3.11 or newer: make PYTHON=python3.11")'
	@echo "installing the development environment into $(VENV)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) torch==2.13.0
	@$(PIP) -e '.[train,eval,cascade,live,serve,cluster,client,dev]'
	@touch $@

# Stock clients that the server is tested with, in an environment of their own. The list is whole,
# and says what it leaves out: --no-deps keeps that out. The stamp is a copy of the list, by which
# the tests see whether what is installed is what is pinned.
$(PEERS)/.installed: $(PINS)
	@echo "installing stock clients into $(PEERS)"
	@$(PYTHON) -m venv --clear $(PEERS)
	@$(PEERS)/bin/pip install --quiet --disable-pip-version-check --no-deps -r $(PINS)
	@cp $(PINS) $@

# The peers of the benchmark, without their pins on older versions of what we use. What the
# imports of moshi need beyond our own dependencies: einops, sphn.
$(VENV)/.peers: $(VENV)/.installed
	@$(PIP) --no-deps moshi==0.2.13 einops==0.8.2 sphn==0.2.1
	@touch $@
