# Two commands do everything on a fresh machine: `make demo` and `make test`.
SHELL := /bin/bash
VENV ?= .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell for p in python3.11 python3.10 python3 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 10), (3, 11)))' \
	2>/dev/null && echo $$p && break; done)
CONSTRAINTS ?= constraints/$(shell $(PYTHON) -c \
	'import sys; print("py%d%d.txt" % sys.version_info[:2])' 2>/dev/null)

# Real ImageNet weights and images, where the machine has them; the digits model serves elsewhere.
NC_SIGOPT_ASSETS ?= $(wildcard ../shared/assets)
export NC_SIGOPT_ASSETS
export TF_CPP_MIN_LOG_LEVEL ?= 2
export TF_ENABLE_ONEDNN_OPTS ?= 1

# schemathesis tests the server's API from an environment of its own.
SCHEMATHESIS := .venv-schemathesis

.PHONY: demo test test-full lint reference test-matrix clean

# A machine too slow for its 130 s may end with FP32 as the best model: that is a result too.
demo: $(VENV)/.demo
	$(BIN)/nc-sigopt compare configs/demo.yaml --accept-fp32

# Two files at a time: much of the time is spent waiting, for processes, databases, single threads.
# In their own order, so that the longest, which has few tests, is not the last.
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test: $(VENV)/.test $(SCHEMATHESIS)/.done
	$(PYTEST)

# The long proofs too, one at a time, so that each prints its figures: see docs/design/proofs.md.
test-full: test
	$(BIN)/python -m pytest -m full

# Stock INC's result on 100 images, against which tests check ours; needs the assets and minutes.
reference: $(VENV)/.test
	$(BIN)/python benchmarks/scripts/make_reference.py

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.10 or 3.11 is needed; name it: make PYTHON=..."; exit 2; }
	$(PYTHON) -m venv $(VENV)

# The product and the harness, two distributions, in one environment.
PACKAGING := setup.cfg pyproject.toml benchmarks/setup.cfg benchmarks/pyproject.toml
INSTALL := $(BIN)/python -m pip install -q -c $(CONSTRAINTS)

$(VENV)/.demo: $(PACKAGING) $(CONSTRAINTS) | $(VENV)/bin/python
	$(INSTALL) setuptools wheel
	$(INSTALL) --no-build-isolation -e . -e benchmarks
	touch $@

$(VENV)/.test: $(PACKAGING) $(CONSTRAINTS) | $(VENV)/bin/python
	$(INSTALL) setuptools wheel
	$(INSTALL) --no-build-isolation -e ".[test,onnxruntime]" -e "benchmarks[strategies,notebook]"
	touch $(VENV)/.demo $@

$(SCHEMATHESIS)/.done: constraints/schemathesis.txt | $(VENV)/bin/python
	$(PYTHON) -m venv --clear $(SCHEMATHESIS)
	$(SCHEMATHESIS)/bin/python -m pip install -q -c constraints/schemathesis.txt schemathesis
	touch $@

# The oldest supported Neural Compressor, and Python 3.10 where it is at hand, each in an
# environment of its own.
PYTHON310 := $(shell for p in python3.10 $$HOME/.pyenv/versions/3.10.*/bin/python3.10; do \
	$$p -c '' 2>/dev/null && echo $$p && break; done)

test-matrix:
	$(MAKE) test VENV=.venv-inc26 CONSTRAINTS=constraints/inc26.txt
ifeq ($(PYTHON310),)
	@echo "Python 3.10 is not at hand: not tested."
else
	$(MAKE) test VENV=.venv-py310 PYTHON=$(PYTHON310) CONSTRAINTS=constraints/py310.txt
endif

clean:
	rm -rf $(VENV) $(SCHEMATHESIS) build *.egg-info benchmarks/build benchmarks/*.egg-info
