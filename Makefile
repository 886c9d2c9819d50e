# Each target sets up .venv when it is missing or older than the lock; nothing outside this folder is installed.
PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.stamp
BIN := $(VENV)/bin

.PHONY: demo test lint venv base clean clients clients-pictures

demo: base
	$(BIN)/spa-lsp demo

# All but what needs a device, a network, an editor or Ray: on up to four cores, but for what counts answers under load
# or holds the real base in memory.
alone := model or protocol or liveness
elsewhere := gpu or network or editors or ray
test: venv
	$(BIN)/pytest -n auto --maxprocesses 4 --dist worksteal -m 'not ($(alone) or $(elsewhere)) and (not slow or resume or store)'
	$(BIN)/spa-lsp models pull
	$(BIN)/pytest -m '($(alone)) and not ($(elsewhere))' --quick

# On a machine with a CUDA device: tests, latencies and a training step in eight minutes, as one JSON document. Uses no
# network, and where there is no .venv the packages of PYTHON.
.PHONY: bench-gpu
bench-gpu:
	@$(if $(wildcard $(BIN)/python),$(BIN)/python,$(PYTHON)) -m tests.gpu.bench_gpu

lint: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

base: venv
	$(BIN)/spa-lsp models pull

venv: $(STAMP)

# pip warns of much that is of one machine only; all of it is shown when it fails.
PIP = $(BIN)/python -m pip install --disable-pip-version-check --no-color --progress-bar off
quietly = $(1) >$(VENV)/pip.log 2>&1 || { cat $(VENV)/pip.log >&2; echo "the installation failed, see above" >&2; exit 1; }

# The lock names the build back end too, so that the last step needs no network.
$(STAMP): requirements.lock pyproject.toml
	@echo "setting up $(VENV), 1 of 2: an environment for Python, some seconds"
	@$(PYTHON) -m venv $(VENV)
	@echo "setting up $(VENV), 2 of 2: download and install of $$(grep -c == requirements.lock) packages, two to three minutes"
	@$(call quietly,$(PIP) --requirement requirements.lock)
	@$(call quietly,$(PIP) --no-deps --no-build-isolation --editable .)
	@touch $@
	@echo "$(VENV) is ready"

# The Neovim plugin needs no building: every module is loaded and its own tests run, in each Neovim.
.PHONY: clients clients-neovim
clients: clients-neovim

clients-neovim: venv
	$(BIN)/pytest -m editors tests/e2e/test_neovim_units.py

# The VS Code extension. npm's packages are fetched once; later it builds without a network.
VSCODE := editor-clients/vscode

.PHONY: clients-vscode
clients: clients-vscode

clients-vscode: $(VSCODE)/node_modules/.stamp
	cd $(VSCODE) && npm run --silent check && npm test --silent && npm run --silent package

$(VSCODE)/node_modules/.stamp: $(VSCODE)/package.json $(VSCODE)/package-lock.json
	cd $(VSCODE) && npm ci --prefer-offline --silent
	@touch $@

# All tests in real editors, which are fetched below ~/.cache/spa-lsp-tests; one that cannot be had is skipped, with the
# reason at the end. The tests build the VS Code extension by the target above. They mostly wait: both kinds run at once.
# AGAIN=yes tries once more the tests that failed: two busy cores now and then let an editor miss a deadline.
in_editors = $(BIN)/pytest -m 'editors and not model' -k '$(2)' -o cache_dir=.pytest_cache/$(1) tests/e2e
try_in_editors = $(in_editors) $(if $(AGAIN),|| { test $$? -eq 1 && $(in_editors) --last-failed; })
.PHONY: test-editors test-editors-terminal test-editors-vscode
test-editors: venv
	@$(MAKE) --no-print-directory -j2 --keep-going --output-sync=target test-editors-terminal test-editors-vscode

test-editors-terminal: venv
	$(call try_in_editors,terminal,not vscode)

test-editors-vscode: venv
	$(call try_in_editors,vscode,vscode)

# The same with the real base and the shipped set, which takes 4 GB of memory and some minutes.
.PHONY: test-editors-model
test-editors-model: venv base
	$(BIN)/pytest -m 'editors and model'

# The pictures of the clients' pages, taken from the real editors with the real base.
clients-pictures: venv base clients-vscode
	SPA_PICTURES=editor-clients $(BIN)/pytest -m 'editors and model' tests/e2e/test_editors_model.py -k pictures

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache
