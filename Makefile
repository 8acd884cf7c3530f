# run, test, check, fix, bench, screenshots: each installs what it needs into .venv first.
PYTHON ?= python3
BIN := .venv/bin
export UV_NO_PROGRESS := 1
.PHONY: run test check fix bench screenshots lock clean

run: .venv/run.stamp
	@$(BIN)/regulars serve $(ARGS)

test: .venv/dev.stamp
	@$(BIN)/pytest $(ARGS)

check: .venv/dev.stamp
	@$(BIN)/ruff format --check -q . && $(BIN)/ruff check -q . && $(BIN)/basedpyright --level warning && $(BIN)/lint-imports --no-cache

fix: .venv/dev.stamp
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

bench: .venv/dev.stamp
	@$(BIN)/python -m bench $(ARGS)

screenshots: .venv/dev.stamp
	@PYTHONPATH=tests $(BIN)/python -m fakes.screenshots $(ARGS)

lock: .venv/uv.stamp
	@cd requirements && ../$(BIN)/uv pip compile -q --universal --generate-hashes --python-version 3.11 --no-header run.in -o run.txt && ../$(BIN)/uv pip compile -q --universal --generate-hashes --python-version 3.11 --no-header dev.in -o dev.txt && ../$(BIN)/uv pip compile -q --universal --generate-hashes --python-version 3.11 --no-header uv.in -o uv.txt

clean:
	rm -rf .venv

.venv/uv.stamp: requirements/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit("Regulars needs Python 3.11 or newer; set PYTHON=…") if sys.version_info < (3, 11) else 0'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $@

.venv/run.stamp: .venv/uv.stamp requirements/run.txt pyproject.toml
	@echo "Installing into .venv …"
	@VIRTUAL_ENV=.venv $(BIN)/uv pip install -q --require-hashes -r requirements/run.txt
	@VIRTUAL_ENV=.venv $(BIN)/uv pip install -q --no-deps --no-build-isolation -e .
	@touch $@

.venv/dev.stamp: .venv/run.stamp requirements/dev.txt
	@VIRTUAL_ENV=.venv $(BIN)/uv pip install -q --require-hashes -r requirements/dev.txt
	@touch $@
