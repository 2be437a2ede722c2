# Everything a fresh machine needs is made here: `make start` and `make test` are the two commands.
PYTHON ?= $(shell for v in python3 python3.13 python3.12 python3.11 python3.10 python; do \
	command -v $$v >/dev/null 2>&1 && $$v -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null \
	&& echo $$v && break; done)
# Where this is set, every start would compile the whole package again.
unexport PYTHONDONTWRITEBYTECODE
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed

.PHONY: start test check bench chaos simulate fuzz clean

start: $(STAMP)
	@$(BIN)/durable start

test: check
	$(BIN)/python -m pytest

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

chaos: $(STAMP)
	CHAOS_KILLS=200 $(BIN)/python -m pytest -s -o faulthandler_timeout=0 tests/chaos

SEEDS ?= 10000
simulate: $(STAMP)
	@$(BIN)/python -m tests.simulation --seeds $(SEEDS)

TIMES ?= 40
fuzz: $(STAMP)
	FUZZ_TIMES=$(TIMES) $(BIN)/python -m pytest -o faulthandler_timeout=0 tests/http/test_fuzz.py tests/host/test_server_fuzz.py

bench: $(STAMP)
	$(BIN)/python -m benchmarks

$(STAMP): pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.10 to 3.13 is needed; set PYTHON to one." >&2; exit 1; }
	@echo "Setting up $(VENV) with $(PYTHON) ..."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --progress-bar on -e '.[dev]'
	$(BIN)/python -m compileall -q durable_core functions
	@touch $(STAMP)

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis
