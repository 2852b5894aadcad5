# The two commands a newcomer needs are `make demo` and `make test`; both make .venv from requirements.lock first.
#   PYTHON=...    the Python to build .venv with (3.11 or newer); found by itself when not given
#   ARGS=...      more words for `hedger demo` or pytest:  make demo ARGS="--minutes 60"   make pytest ARGS="tests/risk"
#   PEERS=1       `make bench` also installs the optional peers of requirements-bench.lock

.PHONY: demo test bench format lint types imports collected pytest lock clean
.DELETE_ON_ERROR:

bin       := .venv/bin
installed := .venv/.installed
ready     := .venv/.ready
pip       := $(bin)/python -m pip --disable-pip-version-check

demo: $(ready)
	@$(bin)/hedger demo $(ARGS)

# What needs one processor each goes two at a time; the tests, which take them all, come last and only if all that held.
test: $(installed)
	@$(MAKE) --no-print-directory --output-sync=target -j2 collected types imports lint
	@$(MAKE) --no-print-directory pytest

lint: $(installed)
	@echo "== format: ruff format --check"
	@$(bin)/ruff format --check .
	@echo "== lint: ruff check"
	@$(bin)/ruff check .

types: $(installed)
	@echo "== types: mypy --strict"
	@$(bin)/mypy

imports: $(installed)
	@echo "== import law: lint-imports"
	@$(bin)/lint-imports --no-logo

# Every worker of pytest would compile the tests anew where nobody has.
collected: $(ready)
	@PYTHONDONTWRITEBYTECODE= $(bin)/pytest --collect-only -qq >/dev/null 2>&1 || true

# A file's tests stay together, because they share what is dear to make; files keep the order of tests/conftest.py.
# Compiled bytecode is kept whatever the environment says: some hundred processes are started.
pytest: $(ready)
	@echo "== tests and doctests: pytest"
	@PYTHONDONTWRITEBYTECODE= $(bin)/pytest -n auto --dist loadfile --no-loadscope-reorder $(ARGS)

format: $(installed)
	@$(bin)/ruff check --fix .
	@$(bin)/ruff format .

bench: $(ready) $(if $(PEERS),.venv/.peers)
	@echo "== benchmarks: pytest --benchmark-only"
	@mkdir -p .benchmarks
	@$(bin)/pytest benchmarks -o addopts=-rs -W default --benchmark-only --benchmark-group-by=group \
		--benchmark-columns=median,iqr,rounds --benchmark-json=.benchmarks/latest.json $(ARGS)
	@$(bin)/python -m benchmarks.ratios .benchmarks/latest.json

# .venv counts as ready only when the stamp stands, and the stamp is written last: a half-made one is made anew.
.venv/.locked: requirements.lock
	@echo "== .venv: from requirements.lock (takes a minute or two, once)"
	@for python in $(or $(PYTHON),python3.13 python3.12 python3.11 python3 python); do \
		if "$$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			exec "$$python" -m venv --clear .venv; \
		fi; \
	done; \
	echo "hedger needs Python 3.11 or newer with its venv module. Looked for: $(or $(PYTHON),python3.13 python3.12 python3.11 python3 python)." >&2; \
	echo "Install one (Debian, Ubuntu: the package python3-venv), or name one: make PYTHON=/path/to/python3" >&2; \
	exit 1
	@$(pip) install --quiet --require-hashes -r requirements.lock
	@touch $@

$(installed): .venv/.locked pyproject.toml
	@$(pip) install --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(ready): $(installed)
	@echo "== kernels: compiled for this machine (takes a minute, once)"
	@$(bin)/python -c 'import hedger.demo.run, venues.wire.book_kernel, pricing.compiled; pricing.compiled.warm_up()'
	@touch $@

.venv/.peers: requirements-bench.lock $(ready)
	@echo "== .venv: the benchmarks' optional peers"
	@$(pip) install --quiet --require-hashes -r requirements-bench.lock
	@touch $@

# Writes both lock files anew, with the newest releases that live together; needs `uv`. Every platform's hashes are kept.
compile := uv pip compile --quiet --universal --fork-strategy fewest --python-version 3.11 \
	--generate-hashes --no-annotate --no-header --no-emit-index-url --no-emit-find-links
lock: $(ready)
	@$(compile) --upgrade --extra test --extra bench pyproject.toml -o .lock-all
	@$(compile) --extra test -c .lock-all pyproject.toml -o .lock-base
	@$(bin)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["bench"], sep="\n")' \
		| $(compile) -c .lock-all - -o .lock-peers
	@mv .lock-base requirements.lock && mv .lock-peers requirements-bench.lock && rm .lock-all

clean:
	rm -rf .venv .benchmarks .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
