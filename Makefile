# make demo   install the package alone and send a photograph through it
# make test   install everything and run every check that a push must pass
# make test-web   install what the browser decoder's tests need, too, and run them
# Nothing needs to be installed beforehand but Python >= 3.11 with venv; a C compiler is optional.

PYTHON ?= python3
BIN := .venv/bin
# One thread each: the test machines have two cores, and thread pools fight on small arrays.
TEST_ENV := OMP_NUM_THREADS=1
# torch is named exactly: a plain name may fetch gigabytes of CUDA libraries.
TORCH := torch==2.13.0
BUILD_INPUTS := pyproject.toml setup.py $(wildcard native/*.c native/*.h)

.PHONY: demo test test-web test-slow lint format clean

.venv/.pip:
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade "pip>=25.1"
	@touch $@

# The stamps are the installed state: newer than what the build reads, or the step runs again.
# An editable install keeps no bytecode: without it the first command compiles, which takes 0.1 s
# (and where PYTHONDONTWRITEBYTECODE is set, every command).
.venv/.base: .venv/.pip $(BUILD_INPUTS)
	$(BIN)/pip install --quiet --editable .
	$(BIN)/python -m compileall -q src
	@touch $@

.venv/.dev: .venv/.pip $(BUILD_INPUTS)
	$(BIN)/pip install --quiet $(TORCH)
	$(BIN)/pip install --quiet --editable ".[train]" --group dev
	$(BIN)/python -m compileall -q src
	@touch $@ .venv/.base

demo: .venv/.base
	$(BIN)/python demo/run.py

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/pyright --pythonpath $(BIN)/python

test: lint
	$(TEST_ENV) $(BIN)/python -m pytest

# The browser decoder: Node with its packages, Chromium, and clang with WebAssembly. Debian's, where missing.
.venv/.web: .venv/.dev web/package-lock.json
	@for tool in node npm chromium clang wasm-ld; do command -v $$tool >/dev/null || missing=1; done; \
	test -z "$$missing" || { apt-get update && \
		apt-get install -y --no-install-recommends nodejs npm chromium clang lld; }
	cd web && npm ci --no-audit --no-fund --ignore-scripts
	@touch $@

test-web: .venv/.web
	$(TEST_ENV) $(BIN)/python -m pytest tests/web

test-slow: .venv/.dev
	$(TEST_ENV) $(BIN)/python -m pytest -m "slow"

format: .venv/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv build dist src/*.egg-info src/intact/_native*.so
