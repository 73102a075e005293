# The commands of the course. Each sets up what it needs in .venv and does nothing that is already done.
#   make course    run the whole series; executed notebooks as HTML and the results lie under build/
#   make test      lint and all tests, the notebooks among them
#   make search    look for examples that break a property test, new ones each time (ten minutes)
#   make lab       open JupyterLab at the first notebook
#   make check     say what is installed and whether every notebook can run
#   make bench     measure everything that the course promises and write docs/benchmarks.md (about an hour)
#   make quantum   install GPAW for notebook 05 (built here: needs a C++ compiler, libxc and a BLAS, see below)
#   make handover  run the series and renew the copies that ship in data/handover
#                  some of them:  make BENCH="training finders" bench
# Repeat a search, or search for longer:  make SEED=7 MINUTES=60 search
# Tests run in two processes; more where there are more processors and some 2 GB for each:  make WORKERS=8 test
# Another Python:  make PYTHON=python3.12 course
# A CPU build of torch:  make TORCH="torch torchvision --index-url ADDRESS"  with the address that pytorch.org gives.

PYTHON ?= python3
TORCH ?= torch torchvision
MINUTES ?= 10
WORKERS ?= 2
VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready
PEERS := $(VENV)/.peers
QUANTUM := $(VENV)/.quantum

.DEFAULT_GOAL := setup
.PHONY: setup course test search lint lab check bench handover quantum

setup: $(READY)

# One recipe makes the environment and everything in it; the stamp is written last, so a set-up that was cut off starts again.
$(READY): pyproject.toml tools/setup_opencv.py
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { \
	  echo "The course needs Python 3.11, 3.12 or 3.13; $(PYTHON) is: $$($(PYTHON) --version 2>&1)."; \
	  echo "Install one of them and say which:  make PYTHON=python3.12 $(or $(MAKECMDGOALS),setup)"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "$(PYTHON) cannot make virtual environments. On Debian and Ubuntu:  sudo apt install python3-venv"; exit 1; }
	@test -x $(PY) || { echo "Making $(VENV) with $$($(PYTHON) --version) ..."; $(PYTHON) -m venv $(VENV); }
	@echo "Installing packages (several GB with the CUDA build of torch; some minutes the first time) ..."
# torch and torchvision are asked for together: pip then picks two builds that belong together, or they do not load.
	$(PY) -m pip install --quiet --disable-pip-version-check $(TORCH)
	$(PY) -m pip install --quiet --disable-pip-version-check -e '.[lab,test]'
	$(PY) tools/setup_opencv.py
	@touch $@

course: $(READY)
	$(PY) tools/run_course.py

handover: $(READY)
	$(PY) tools/run_course.py --handover

lint: $(READY)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

# A file of tests stays in one process: the notebooks of the series go on with one another's results.
test: lint
	$(PY) -m pytest -n $(WORKERS) --dist loadfile

search: $(READY)
	$(PY) -m pytest -m hypothesis --hypothesis-profile search --search-minutes $(MINUTES) \
	  $(if $(SEED),--hypothesis-seed $(SEED))

lab: $(READY)
	cd notebooks && ../$(PY) -m jupyterlab 00_start_here.ipynb

check: $(READY)
	$(PY) -m elit_helpers check

# GPAW comes as C++ and calls the C compiler for it, unless it finds that of MPI. Debian and Ubuntu have what it
# is built on:  sudo apt install g++ libxc-dev libopenblas-dev python3-dev
$(QUANTUM): $(READY)
	CC=g++ $(PY) -m pip install --quiet --disable-pip-version-check -e '.[quantum]'
	@touch $@

quantum: $(QUANTUM)

# The classical finders are only compared with: where they cannot be installed, the tables go without them.
$(PEERS): $(READY)
	@$(PY) -m pip install --quiet --disable-pip-version-check -e '.[bench]' && touch $@ || \
	  echo "The classical finders could not be installed; they are left out of the tables."

bench: $(PEERS)
	$(PY) tools/run_benchmarks.py $(BENCH) --write docs/benchmarks.md
