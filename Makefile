# make run    create .venv, install dlx, run experiments/quickstart.yaml
# make test   create what the tests need and run the quick ones, those of training on both engines (TESTS="-m slow" for others)
# make test-cluster   the executors `ray` and `slurm`, on clusters that the tests start on this machine
# make lint   ruff, mypy, import-linter
# make docs   write the generated parts of README.md and docs/ again

PYTHON ?= python3
VENV   ?= .venv
TESTS  ?=
SPEC   ?= experiments/quickstart.yaml

# where a virtual environment keeps its programs: Scripts on Windows, bin elsewhere
BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: run test test-cluster lint docs clean
.DELETE_ON_ERROR:

run: $(VENV)/run.stamp
	$(BIN)/dlx run $(SPEC)

test: $(VENV)/dev.stamp
	$(BIN)/python -m pytest -n 2 --dist worksteal $(TESTS)
	DLX_ENGINE=jax $(BIN)/python -m pytest -n 2 --dist worksteal $(TESTS) tests/training

test-cluster: $(VENV)/cluster.stamp
	$(BIN)/python -m pytest -m "ray or slurm" $(TESTS)

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/dev.stamp
	$(BIN)/python docs/generate.py
	$(BIN)/python docs/catalogues.py

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
	  { echo "dlx needs Python 3.11, 3.12 or 3.13; $(PYTHON) is $$($(PYTHON) --version). Try: make PYTHON=python3.12" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/run.stamp: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing dlx and TensorFlow into $(VENV) (600 MB to download, a minute or more)"
	$(PIP) install --quiet --constraint constraints.txt --editable .
	@touch $@

$(VENV)/dev.stamp: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing dlx, TensorFlow and the tools of its tests into $(VENV) (700 MB to download, minutes)"
	$(PIP) install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@ $(VENV)/run.stamp

$(VENV)/cluster.stamp: $(VENV)/dev.stamp
	@if ! command -v sbatch >/dev/null && command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	  echo "installing SLURM (Debian's slurm-wlm and munge) for the tests"; \
	  { apt-get install --yes --no-install-recommends slurm-wlm munge || \
	    { apt-get update && apt-get install --yes --no-install-recommends slurm-wlm munge; }; } >/dev/null; \
	fi
	$(PIP) install --quiet --constraint constraints.txt --editable '.[ray,slurm,dev]'
	@touch $@
