# One command each; `make help` lists them. Needs python3 (3.11 to 3.13) with venv, and nothing else.

SHELL := /bin/sh
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
# Compiling in parallel afterwards takes half as long as what pip does.
ADDRESS := $(if $(HOST),--host $(HOST)) $(if $(PORT),--port $(PORT))
PYTEST_ARGS ?=
COMPILE_LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate --no-emit-index-url
LOCK := $(COMPILE_LOCK) pyproject.toml
AUDIT := $(VENV)/audit

.PHONY: help run demo test chaos check audit bench house lock format install develop image clean

help: ## Show what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' Makefile

run: install ## Serve the whole site on http://127.0.0.1:8000 (HOST=, PORT=)
	@exec $(BIN)/python manage.py up $(ADDRESS)

demo: install ## The same with simulated machines, in a data directory of its own
	@exec $(BIN)/python manage.py up --demo $(ADDRESS)

test: develop ## Run the whole suite (PYTEST_ARGS="-k words" for a part)
	@exec $(BIN)/python -m pytest -n auto --dist worksteal $(PYTEST_ARGS)

chaos: develop ## Run all fault trials (SEED=, TRIALS= of jobs)
	@DGX_CHAOS=1 DGX_TRIALS=$(TRIALS) exec $(BIN)/python -m pytest -m chaos -n 0 $(if $(SEED),--randomly-seed=$(SEED)) $(PYTEST_ARGS)

check: develop ## Formatters, linters, types, arrows, deployment checks, missing migrations
	$(BIN)/ruff format --check .
	$(BIN)/djangofmt --check templates
	$(BIN)/ruff check .
	$(BIN)/bandit --quiet --configfile pyproject.toml --severity-level medium --recursive .
	$(BIN)/mypy .
	$(BIN)/python -m pytest -q -n 0 tests/test_imports.py tests/test_documents.py
	DGX_DATA_DIR=$(VENV)/check DGX_BASE_URL=https://dgx.example.org \
		DGX_SECRET_KEY="$$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(64))')" \
		$(BIN)/python manage.py check --deploy --fail-level WARNING
	DGX_DATA_DIR=$(VENV)/check $(BIN)/python -W ignore::RuntimeWarning manage.py \
		makemigrations --check --dry-run --skip-checks

audit: $(AUDIT)/audit.lock ## Ask the advisory database about every locked dependency; needs the network
	@sh scripts/audit $(AUDIT)/bin/pip-audit requirements/base.txt requirements/dev.txt

bench: develop ## Measure, as a table with ratios (BENCH_ARGS=)
	@exec $(BIN)/python -m bench $(BENCH_ARGS)

format: develop ## Format code and templates, sort imports
	$(BIN)/ruff format .
	$(BIN)/djangofmt templates
	$(BIN)/ruff check --fix .

house: develop ## Print how the source reads: imports, sizes, words
	@exec $(BIN)/python -m bench.house

lock: develop ## Resolve the dependencies anew into requirements/
	$(LOCK) --upgrade --output-file requirements/base.txt
	$(LOCK) --upgrade --extra dev --constraint requirements/base.txt --output-file requirements/dev.txt
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate \
		--no-emit-index-url requirements/npm.in --upgrade --output-file requirements/npm.txt
	$(COMPILE_LOCK) --constraint requirements/dev.txt requirements/uv.in --output-file requirements/uv.txt
	$(COMPILE_LOCK) requirements/audit.in --upgrade --output-file requirements/audit.txt

image: ## Build the container image
	docker build --tag dgxsite .

clean: ## Remove what can be made again; data in var/ stay
	rm -rf $(VENV) node_modules staticfiles .mypy_cache .ruff_cache .pytest_cache .hypothesis

# --- What the commands above stand on -----------------------------------------------------------

install: $(VENV)/base.lock $(VENV)/npm.lock

develop: install $(VENV)/dev.lock

$(BIN)/python:
	@sh scripts/make-venv $(VENV)

# The stamp is a copy of the lock: a new checkout with the same lock installs nothing.
$(VENV)/base.lock: requirements/base.txt | $(BIN)/python
	@cmp -s $< $@ || { echo "Installing dependencies"; sh scripts/install-locked $(VENV) $<; }
	@cp $< $@

$(VENV)/dev.lock: requirements/dev.txt $(VENV)/base.lock
	@cmp -s $< $@ || { echo "Installing development tools"; sh scripts/install-locked $(VENV) $<; }
	@cp $< $@

# An environment of its own: pip-audit brings another pip.
$(AUDIT)/audit.lock: requirements/audit.txt | $(BIN)/python
	@test -x $(AUDIT)/bin/python || sh scripts/make-venv $(AUDIT)
	@$(AUDIT)/bin/python -m pip install --quiet --quiet --require-hashes --disable-pip-version-check \
		--no-input --requirement $<
	@cp $< $@

$(VENV)/npm.lock: $(wildcard package-lock.json) scripts/install-packages $(VENV)/base.lock
	@sh scripts/install-packages $(VENV)
	@touch $@
