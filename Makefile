# make run   everything, in the foreground      make test   the whole suite
# make check what is wrong without running it   make fmt    format
# make lock  compile the requirements           make bench  all benchmarks
PYTHON ?= python3
BIN := .venv/bin
CODE := manage.py e2i_site training registry deployments tests benchmarks scripts
BENCHMARKS := training sync latency pages queue gateway audit trail footprint guard gates

.DEFAULT_GOAL := run
.PHONY: run test check fmt lock bench environment environment-dev \
	lint format templates contracts django types

environment:
	@$(PYTHON) scripts/environment.py

environment-dev:
	@$(PYTHON) scripts/environment.py --dev

run: environment
	@$(BIN)/python -m e2i_site.run

test: environment-dev
	@$(BIN)/python -m tests

check: environment-dev
	@$(MAKE) --keep-going --no-print-directory lint format templates contracts django types

lint:
	$(BIN)/ruff check $(CODE)
format:
	$(BIN)/ruff format --check --quiet $(CODE) || { echo "make fmt formats them."; exit 1; }
templates:
	$(BIN)/djlint --lint --quiet templates
contracts:
	@$(BIN)/lint-imports --no-cache
django:
	@$(BIN)/python scripts/check_django.py
types:
	$(BIN)/mypy e2i_site training registry deployments

fmt: environment-dev
	$(BIN)/ruff check --fix-only $(CODE)
	$(BIN)/ruff format $(CODE)

lock: environment-dev
	uv pip compile --universal --python-version 3.11 requirements.in -o requirements.txt --no-header
	uv pip compile --universal --python-version 3.11 requirements-dev.in -o requirements-dev.txt --no-header

bench: environment-dev
	@for name in $(BENCHMARKS); do $(BIN)/python -m benchmarks.$$name || exit 1; done
