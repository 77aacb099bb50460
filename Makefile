# Needs Python 3.11 or later with venv, and make. Everything else is installed into $(VENV).

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

# Each seed is one try of the demonstration; more tries only where the ones before found nothing.
DEMO_SEEDS ?= 1 2 3 4 5
DEMO := test --cluster quorum --workload register --nemesis partition --nemesis-interval 2 --rate 400 --time-limit 20

SOAK_SEEDS ?= 20
SOAK := test --cluster quorum -o variant=corrected --workload register --time-limit 60

.PHONY: help demo test twins lint bench soak sanitize wheel installed clean

help:
	@echo 'make demo    find a real anomaly in a replicated store of five processes'
	@echo 'make test    run the test suite'
	@echo 'make twins   run the tests of the checkers without the compiled extension'
	@echo 'make lint    check style, types and imports'
	@echo 'make bench   measure what the documentation quotes'
	@echo 'make soak    long runs: random property tests, and the corrected store under faults'
	@echo 'make sanitize   test the compiled extension with the address and undefined-behaviour sanitizers'
	@echo 'make wheel   build the wheel into dist/; refuses where the extension cannot be compiled'
	@echo 'make installed   install the wheel elsewhere and try it, with and without a compiler'
	@echo 'make clean   remove what the other targets made, but for the results in store/'

# An exit code of 1 alone proves nothing: Python ends with it too when a module is missing. So the
# verdict must be there, be new, and say that the history is invalid.
demo: $(VENV)/.installed
	@touch $(VENV)/.demo-began; \
	for seed in $(DEMO_SEEDS); do \
	  code=0; $(BIN)/harness $(DEMO) --store store --seed $$seed || code=$$?; \
	  echo; \
	  if [ $$code = 1 ] && [ store/latest/verdict.json -nt $(VENV)/.demo-began ] \
	    && $(BIN)/python -c 'import json; exit(json.load(open("store/latest/verdict.json"))["valid"] is not False)'; then \
	    echo 'As expected: the quorum store, as it is documented, is not linearizable. The harness has found the proof.'; \
	    exit 0; \
	  elif [ $$code != 0 ]; then \
	    echo "The demonstration failed: the harness ended with exit code $$code and no verdict of valid or invalid."; \
	    echo 'See the messages above, and: $(BIN)/harness doctor'; \
	    [ $$code != 1 ] || code=255; exit $$code; \
	  fi; \
	  echo "No anomaly with seed $$seed: the partitions came at harmless moments."; \
	done; \
	echo "The demonstration failed: no anomaly with the seeds $(DEMO_SEEDS). Try others: make demo DEMO_SEEDS='6 7 8'"; \
	exit 1

test: $(VENV)/.installed-dev
	$(BIN)/pytest -n 2 $(PYTEST_ARGS)

# Where there is no compiler these serve; they must give the same answers.
twins: $(VENV)/.installed-dev
	SPLITBRAIN_KERNELS=python $(BIN)/pytest -n 2 $(wildcard tests/core tests/checkers tests/test_formats*.py) $(PYTEST_ARGS)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict
	$(BIN)/lint-imports

# The results lie in build/benchmarks.md. Into the documentation too: make bench BENCH='--docs docs/benchmarks.md';
# less of it: make bench BENCH='--only linearizable -- --quick'
bench: $(VENV)/.installed-dev
	$(BIN)/python -m benchmarks.collect --date "$$(date -u +%Y-%m-%d)" $(BENCH)

soak: $(VENV)/.installed-dev
	$(BIN)/pytest -n 2 --hypothesis-profile soak $(PYTEST_ARGS)
	$(BIN)/python -m tests.checkers.every_model --histories 100000 --jobs 2
	$(BIN)/python -m tests.checkers.twins --instances 200000 --jobs 2
	$(BIN)/python -m tests.checkers.cycles_oracle --graphs 100000
	$(BIN)/python -m tests.checkers.list_append_oracle --histories 50000
	$(BIN)/python -m tests.checkers.rw_register_oracle --histories 50000
	$(BIN)/python -m tests.checkers.sequential_oracle --histories 50000
	$(BIN)/python -m tests.checkers.causal_oracle --histories 120000
	$(BIN)/python -m tests.checkers.convergence_oracle --histories 50000
	$(BIN)/python -m tests.checkers.invariants_oracle --histories 20000
	$(BIN)/python -m tests.placement --seeds 1000
	$(BIN)/python -m tests.fuzz_tokens --seconds 600
	@for seed in $$(seq $(SOAK_SEEDS)); do \
	  for nemesis in partition kill pause partition,kill,pause; do \
	    echo "== $$nemesis, seed $$seed"; \
	    $(BIN)/harness $(SOAK) --nemesis $$nemesis --seed $$seed || exit 1; \
	  done; \
	done

sanitize: $(VENV)/.installed-dev
	PYTHON=$(BIN)/python .ci/sanitize $(PYTEST_ARGS)

wheel: $(VENV)/.installed
	@PYTHON=$(BIN)/python .ci/wheel dist

installed: $(VENV)/.installed
	@PYTHON=$(BIN)/python .ci/installed

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .grimp_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { \
	  echo "Found no $(PYTHON); needed Python 3.11 or later. On Debian: apt-get install python3 python3-venv"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Found $$($(PYTHON) --version); needed Python 3.11 or later. If there is one: make PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "Found $(PYTHON) without venv; needed venv and ensurepip. On Debian: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

KERNELS := $(wildcard harness/core/kernels/*.cpp harness/core/kernels/*.hpp)

$(VENV)/.installed: pyproject.toml $(KERNELS) | $(BIN)/python
	@echo 'Installing into $(VENV) ...'
	@$(PIP) install -e .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml $(KERNELS) | $(BIN)/python
	@echo 'Installing into $(VENV), with what the tests need ...'
	@$(PIP) install -e '.[dev]'
	@touch $(VENV)/.installed $@
