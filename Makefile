# What there is to run. Each target makes its own virtual environment under .venv/ from the pinned
# files in requirements/, and makes it anew when they have changed.
#
#   make test                    the tests, against the built wheel and a real Kafka
#   make test PYTEST_ARGS="-k lanes -x"
#   make test WORKERS=0          in one process; default: three side by side
#   make check                   format, lint (the Dockerfile too), types, import directions
#   make demo                    the whole of Hooklane on this machine
#   make bench                   measures it; see bench/README.md
#   make bench BENCH_ARGS="--only latency"
#   make explore                 every run of the lane protocol: EXPLORE_ARGS="--keys aaa --failures 3"
#   make chaos                   everything dies at random for ten minutes: SECONDS=600 SEED=7
#   make rolling                 rolling upgrades under load: ROUNDS=10
#   make chaos-slow              the tests that take long, which make test leaves out
#   make simulate                both services under faults, from seeds: SEEDS=500, 500-999, =1234
#   make chart                   writes anew what of the Helm chart is made
#   make licences                writes docs/licences.md anew, after a change of the pins
#   make pins                    writes requirements/ anew, with the newest versions
#
# PYTHON chooses the interpreter (3.11 to 3.13).

PYTHON ?= python3
PYTEST_ARGS ?=
WORKERS ?= 3
BENCH_ARGS ?=
EXPLORE_ARGS ?=
SECONDS ?= 600
ROUNDS ?= 10
SEED ?=
SEEDS ?= 500
SIMULATE_ARGS ?=

ROOMS := producer fanout retrier delivery schemas runtime ops
PINS := requirements/build.txt requirements/services.txt requirements/test.txt requirements/check.txt
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check --no-input
CODE = $(ROOMS) helm tests requirements examples docs/receiving $(if $(wildcard bench/*.py),bench)

.DEFAULT_GOAL := test
.PHONY: demo test check bench explore chaos rolling chaos-slow simulate chart licences pins wheel python kafka registry chromium postgres
# One environment or wheel at a time: pip runs side by side would only share two cores.
.NOTPARALLEL:
.DELETE_ON_ERROR:

test: kafka registry chromium postgres wheel .venv/test/.made
	@.venv/test/bin/python $(PIP_INSTALL) --no-deps --force-reinstall dist/wheel/hooklane-*.whl
	HOOKLANE_TEST_INSTALLED=1 .venv/test/bin/python -m pytest -n $(WORKERS) $(PYTEST_ARGS)

check: .venv/check/.made
	.venv/check/bin/ruff format --check $(CODE)
	.venv/check/bin/ruff check $(CODE)
	.venv/check/bin/mypy $(CODE)
	.venv/check/bin/hadolint Dockerfile examples/outbox-kubernetes/Dockerfile
	.venv/check/bin/python -m pytest -q -p no:cacheprovider tests/unit/test_imports.py

demo: wheel .venv/demo/.made
	@.venv/demo/bin/python $(PIP_INSTALL) --no-deps --force-reinstall dist/wheel/hooklane-*.whl
	.venv/demo/bin/hooklane demo

bench: kafka wheel .venv/bench/.made
	@.venv/bench/bin/python $(PIP_INSTALL) --no-deps --force-reinstall dist/wheel/hooklane-*.whl
	.venv/bench/bin/python -m bench.run $(BENCH_ARGS)

explore: wheel .venv/test/.made
	@.venv/test/bin/python $(PIP_INSTALL) --no-deps --force-reinstall dist/wheel/hooklane-*.whl
	.venv/test/bin/python -m tests.model.explore $(EXPLORE_ARGS)

chaos: kafka wheel .venv/test/.made
	@.venv/test/bin/python $(PIP_INSTALL) --no-deps --force-reinstall dist/wheel/hooklane-*.whl
	.venv/test/bin/python -m tests.chaos.run --seconds $(SECONDS) $(if $(SEED),--seed $(SEED))

rolling: kafka wheel .venv/test/.made
	@.venv/test/bin/python $(PIP_INSTALL) --no-deps --force-reinstall dist/wheel/hooklane-*.whl
	.venv/test/bin/python -m tests.chaos.rolling --rounds $(ROUNDS)

chaos-slow: kafka wheel .venv/test/.made
	@.venv/test/bin/python $(PIP_INSTALL) --no-deps --force-reinstall dist/wheel/hooklane-*.whl
	HOOKLANE_TEST_INSTALLED=1 .venv/test/bin/python -m pytest -m slow tests/chaos tests/e2e

simulate: wheel .venv/test/.made
	@.venv/test/bin/python $(PIP_INSTALL) --no-deps --force-reinstall dist/wheel/hooklane-*.whl
	.venv/test/bin/python -m tests.simulation $(SEEDS) $(SIMULATE_ARGS)

chart: .venv/check/.made
	PYTHONPATH=$(subst $() ,:,$(ROOMS)) .venv/check/bin/python -m helm.generate

licences: .venv/check/.made
	.venv/check/bin/python requirements/licences.py docs/licences.md

pins: python
	$(PYTHON) requirements/pins.py requirements

wheel: .venv/build/.made
	@rm -rf dist/wheel
	@.venv/build/bin/hatchling build --target wheel --directory dist/wheel >/dev/null

# The jars of the broker that the tests start: says in one sentence what is missing for them.
kafka: python
	@$(PYTHON) -m tests.kafka.fetch

# The schema registry that one test file starts: without it only these tests fail.
registry: python
	-@$(PYTHON) -m tests.registry.fetch

# The browser that the console is tested in: installed here if root asks on a machine with apt; else
# it says in one sentence what is missing, and only the tests that need it fail.
chromium: python
	@$(PYTHON) -m tests.support.chromium

# The database that the outbox is tested with, likewise.
postgres: python
	@$(PYTHON) -m tests.support.postgres

python:
	@command -v $(PYTHON) >/dev/null || { echo "There is no $(PYTHON): install Python 3.11, 3.12 or 3.13, or name one: make PYTHON=/path/to/python3.12." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(None if (3, 11) <= sys.version_info[:2] <= (3, 13) else "Hooklane runs on Python 3.11 to 3.13, and $(PYTHON) is %d.%d: name another one, such as make PYTHON=python3.12." % sys.version_info[:2])'

.venv/build/.made: requirements/build.txt
.venv/demo/.made: requirements/services.txt
.venv/test/.made: requirements/test.txt requirements/services.txt requirements/build.txt
.venv/bench/.made: requirements/bench.txt requirements/test.txt requirements/services.txt requirements/build.txt
.venv/check/.made: requirements/check.txt requirements/test.txt requirements/services.txt requirements/build.txt

# The first of the files above brings the others by its `-r` lines.
.venv/%/.made: | python
	@rm -rf $(@D)
	@$(PYTHON) -m venv $(@D) >/dev/null || { echo "$(PYTHON) cannot make virtual environments: install its venv and ensurepip (Debian: python3-venv), or name another one: make PYTHON=/path/to/python3.12." >&2; exit 1; }
	@echo "Installing $< into $(@D)"
	@$(@D)/bin/python $(PIP_INSTALL) --requirement $<
	@touch $@
