# Two commands do everything on a machine that has Python >= 3.11 and make:  `make up`  and  `make test`.
# Set-up happens in .venv and runs once: the stamp files below are older than what they were made from, or it is done again.

PYTHON ?= python3
PORT ?= 8080
VENV := .venv
BIN := $(VENV)/bin
# A stamp lies inside the thing it stands for: removing .venv or node_modules removes it too.
RUNTIME := $(VENV)/.runtime-installed
TESTTOOLS := $(VENV)/.test-tools-installed
PYPROJECTS := brokers/pyproject.toml emitter/pyproject.toml node/pyproject.toml
CHAT_PACKAGES := examples/chat/node_modules/.installed
INTEROP_PACKAGES := tests/interop/js/node_modules/.installed tests/interop/browser/node_modules/.installed
PIP := $(BIN)/python -m pip install --disable-pip-version-check --quiet --constraint constraints.txt

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help up install setup test test-all soak faults compose-trial bench bench-cluster bench-brokers bench-wsgi lint docs coverage clean

help:
	@echo "make up         install, start the chat example: two nodes, http://127.0.0.1:$(PORT) and the port after it"
	@echo "make test       install, run the suite (two processes; 10 minutes on 2 cores)"
	@echo "make test-all   the long matrices and official suites as well (75 minutes on 2 cores)"
	@echo "make soak       what must stay green when repeated; by hand"
	@echo "make faults     what goes wrong in clusters, at length; by hand, on a quiet machine"
	@echo "make compose-trial  docker-compose.yml in real containers; by hand"
	@echo "make bench      measure against the peers that are installed; writes bench/RESULTS.md"
	@echo "make bench-cluster  two nodes and Redis beside the peers; writes bench/CLUSTER.md"
	@echo "make bench-brokers  latency and highest rate of every broker; a section of bench/RESULTS.md"
	@echo "make bench-wsgi  the blocking servers under gunicorn; a section of bench/RESULTS.md"
	@echo "make lint       ruff, mypy --strict, import contracts, generated pages"
	@echo "make docs       write the generated pages anew"

# ------------------------------------------------------------------------------------------------ set-up
$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; name one:  make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
	  || { rm -rf $(VENV); echo "No virtual environment could be made. On Debian and Ubuntu: apt install python3-venv"; exit 1; }

$(RUNTIME): $(VENV)/pyvenv.cfg $(PYPROJECTS) constraints.txt
	$(PIP) --editable './brokers[zmq]' --editable ./emitter --editable ./node
	@touch $@

$(TESTTOOLS): $(RUNTIME) tests/requirements.txt
	$(PIP) --requirement tests/requirements.txt
	@touch $@

# package.json may be missing (nothing to install) and npm may be missing (the example then takes the client from
# a CDN, and the tests that need the packages say so). Exact versions stand in package.json; no lock file is written.
.SECONDEXPANSION:
%/node_modules/.installed: $$(wildcard $$*/package.json)
	@if [ ! -f $*/package.json ]; then exit 0; \
	elif ! command -v npm >/dev/null 2>&1; then echo "npm is not installed: $*/package.json is left alone"; \
	else echo "npm install in $*" && cd $* \
	  && npm install --no-package-lock --ignore-scripts --no-audit --no-fund --loglevel=error && touch node_modules/.installed; fi

install: $(RUNTIME)

setup: $(TESTTOOLS) $(CHAT_PACKAGES) $(INTEROP_PACKAGES)

# ------------------------------------------------------------------------------------------------ run
up: $(RUNTIME) $(CHAT_PACKAGES)
	exec $(BIN)/roomcast up examples.chat.app:app --nodes 2 --host 127.0.0.1 --port $(PORT)

# ------------------------------------------------------------------------------------------------ check
# Two processes, for two cores: most tests wait for something. More would disturb those with short times in them.
SHARED := --numprocesses=2 --dist=loadgroup

test: setup
	$(BIN)/python -m pytest $(SHARED)

test-all: setup
	$(BIN)/python -m pytest $(SHARED) -m "not soak and not faults and not trial"

soak: setup
	$(BIN)/python -m pytest -m soak --timeout=0

faults: setup
	$(BIN)/python -m pytest -m faults --timeout=0

# Needs Docker and Compose, or root, docker.io, docker-compose and debootstrap of Debian: then it makes its own images.
compose-trial: setup
	$(BIN)/python -m pytest -m trial --timeout=0 -p no:randomly -s tests/deploy/test_compose_trial.py

bench: setup
	$(BIN)/python -m bench

bench-cluster: setup
	$(BIN)/python -m bench.cluster

bench-brokers: setup
	$(BIN)/python -m bench.brokers

bench-wsgi: setup
	$(BIN)/python -m bench.wsgi

coverage: setup
	$(BIN)/python -m pytest --cov --cov-report=term-missing

lint: $(TESTTOOLS)
	$(BIN)/ruff check .
	$(BIN)/mypy brokers/roomcast_brokers emitter/roomcast_emitter node/roomcast tests tools bench examples
	$(BIN)/lint-imports
	$(BIN)/python tools/generate_docs.py --check
	$(BIN)/python tools/draw_states.py --check
	$(BIN)/python tools/draw_dashboard.py --check
	$(BIN)/python tools/draw_prometheus_rule.py --check
	$(BIN)/python tools/readme_table.py --check

docs: $(RUNTIME)
	$(BIN)/python tools/generate_docs.py
	$(BIN)/python tools/draw_states.py
	$(BIN)/python tools/draw_dashboard.py
	$(BIN)/python tools/draw_prometheus_rule.py
	$(BIN)/python tools/readme_table.py

clean:
	rm -rf $(VENV) build dist .coverage .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	rm -rf examples/chat/chat.sqlite3 examples/django_app/office.sqlite3 examples/chat/node_modules tests/interop/js/node_modules tests/interop/browser/node_modules
