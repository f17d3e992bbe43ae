# Two commands are enough: `make serve` and `make test`. README shows what each does without make.
SHELL := /bin/bash
NEW_ENOUGH := -c 'import sys; sys.exit(sys.version_info < (3, 11))'
# Many systems have an older python3, and a newer one beside it.
PYTHON ?= $(shell for each in python3 python3.13 python3.12 python3.11 python3.14; do \
	$$each $(NEW_ENOUGH) 2>/dev/null && echo $$each && break; done)
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# Most tests wait for a server or a browser most of the time. One module stays in one process: its tests share servers.
TEST_PROCESSES ?= 4
PARALLEL := -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder

.PHONY: serve test check fmt bench bench-peers faults dist clean

$(INSTALLED): requirements.lock
	@test -n "$(PYTHON)" && $(PYTHON) $(NEW_ENOUGH) || \
	{ echo "This needs Python 3.11 or newer: install one, or say where it is, as in: make serve PYTHON=python3.12" >&2; exit 1; }
	@$(BIN)/python $(NEW_ENOUGH) 2>/dev/null || $(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv 2>/dev/null || true
	@# uv is thirty times faster than pip; where it cannot be had, or cannot reach the index, pip does the same.
	$(BIN)/uv pip install --quiet --compile-bytecode --require-hashes --python $(BIN)/python -r requirements.lock || \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	touch $(INSTALLED)

serve: $(INSTALLED)
	$(BIN)/python manage.py serve

test: $(INSTALLED)
	$(BIN)/python -m pytest $(PARALLEL)

check: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy proxy_site routing monitoring providers accounts rows
	$(BIN)/lint-imports --no-cache
	DJANGO_SETTINGS_MODULE=tests.settings $(BIN)/python manage.py makemigrations --check --dry-run
	$(MAKE) test

fmt: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(INSTALLED)
	$(BIN)/python -m tests.bench.compare

bench-peers: $(INSTALLED)
	@# LiteLLM and, where there is npm, Portkey: into dist/peers, outside the lock.
	test -x dist/peers/litellm/bin/litellm || $(BIN)/python -m tests.bench.peers --install
	$(BIN)/python -m tests.bench.peers

faults: $(INSTALLED)
	$(BIN)/python -m pytest -m slow tests

dist: $(INSTALLED)
	$(BIN)/python docker/single_file/build.py

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
