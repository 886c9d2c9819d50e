# Each target sets up .venv when it is missing or older than the lock; nothing outside this folder is installed.
PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.stamp
BIN := $(VENV)/bin

.PHONY: demo test lint venv base clean

demo: base
	$(BIN)/spa-lsp demo

test: venv
	$(BIN)/pytest
	$(BIN)/pytest -m 'protocol or liveness' --quick
	$(BIN)/spa-lsp models pull
	$(BIN)/pytest -m model

lint: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

base: venv
	$(BIN)/spa-lsp models pull

venv: $(STAMP)

# The lock names the build back end too, so that the last step needs no network.
$(STAMP): requirements.lock pyproject.toml
	@echo "setting up $(VENV): a minute or two"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache
