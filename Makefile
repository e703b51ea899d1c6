# Every target sets up .venv by itself when it is missing or older than the list of dependencies.

PYTHON ?= python3
VENV := .venv
INSTALLED := $(VENV)/.installed
export TF_CPP_MIN_LOG_LEVEL ?= 2

.PHONY: train test lint demo

train: $(INSTALLED)
	$(VENV)/bin/python tasks/image_classification.py tasks/recipes/digits_mlp_mixer.py

test: $(INSTALLED)
	$(VENV)/bin/python -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal

lint: $(INSTALLED)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

demo: $(INSTALLED)
	@echo "The demo does not exist yet; make train trains a first model and exports it."

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev]"
	touch $@
