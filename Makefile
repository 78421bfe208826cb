# Two commands do everything on a fresh machine: `make demo` and `make test`.
SHELL := /bin/bash
VENV ?= .venv
BIN := $(VENV)/bin
# The first of some Python versions that is at hand, by name or in pyenv.
AT_HAND = $(shell for v in $(1); do for p in python$$v $$HOME/.pyenv/versions/$$v.*/bin/python$$v; do \
	$$p -c '' 2>/dev/null && echo $$p && exit; done; done)
PYTHON ?= $(call AT_HAND,3.11 3.10 3.12)
CONSTRAINTS ?= constraints/$(shell $(PYTHON) -c \
	'import sys; print("py%d%d.txt" % sys.version_info[:2])' 2>/dev/null)

# Real ImageNet weights and images, where the machine has them; the digits model serves elsewhere.
NC_SIGOPT_ASSETS ?= $(wildcard ../shared/assets)
export NC_SIGOPT_ASSETS
export TF_CPP_MIN_LOG_LEVEL ?= 2
export TF_ENABLE_ONEDNN_OPTS ?= 1

# schemathesis tests the server's API from an environment of its own.
SCHEMATHESIS := .venv-schemathesis

.PHONY: demo test test-full lint docs reference test-matrix clean
.PHONY: versions smoke smoke-newest smoke-oldest smoke-runtimes smoke-inc3
.PHONY: test-newest test-oldest test-torch

# A machine too slow for its 130 s may end with FP32 as the best model: that is a result too.
demo: $(VENV)/.demo
	$(BIN)/nc-sigopt compare configs/demo.yaml --accept-fp32

# Two files at a time: much of the time is spent waiting, for processes, databases, single threads.
# In their own order, so that the longest, which has few tests, is not the last.
PYTEST = $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

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

# The pages of docs/ as a site, in build/docs; a link that leads nowhere is an error.
docs: .venv-docs/.done
	.venv-docs/bin/sphinx-build -q -E -W --keep-going docs build/docs
	@echo "Open build/docs/index.html"

.venv-docs/.done: docs/requirements.txt
	$(PYTHON) -m venv --clear .venv-docs
	.venv-docs/bin/python -m pip install -q -r docs/requirements.txt
	touch $@

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.10, 3.11 or 3.12 is needed; name it: make PYTHON=..."; exit 2; }
	$(PYTHON) -m venv $(VENV)

# The product and the harness, two distributions, in one environment.
PACKAGING := setup.cfg pyproject.toml benchmarks/setup.cfg benchmarks/pyproject.toml
# What is installed beside what all tests need; a set of pins without OpenVINO leaves it out.
RUNTIMES ?= ,openvino
INSTALL = $(BIN)/python -m pip install -q $(addprefix -c ,$(CONSTRAINTS))

$(VENV)/.demo: $(PACKAGING) $(CONSTRAINTS) | $(VENV)/bin/python
	$(INSTALL) 'setuptools<81' wheel
	$(INSTALL) --no-build-isolation -e ".[inc]" -e benchmarks
	touch $@

$(VENV)/.test: $(PACKAGING) $(CONSTRAINTS) | $(VENV)/bin/python
	$(INSTALL) 'setuptools<81' wheel
	$(INSTALL) --no-build-isolation -e ".[test$(RUNTIMES)]" -e "benchmarks[strategies,notebook]"
	touch $(VENV)/.demo $@

$(SCHEMATHESIS)/.done: constraints/schemathesis.txt | $(VENV)/bin/python
	$(PYTHON) -m venv --clear $(SCHEMATHESIS)
	$(SCHEMATHESIS)/bin/python -m pip install -q -c constraints/schemathesis.txt schemathesis
	touch $@

# What pip resolves on its own, and the oldest of everything that setup.cfg allows. Where the
# newest or the oldest Python is not at hand, another one is used and said.
NEWEST = VENV=.venv-newest CONSTRAINTS= PYTHON=$(call AT_HAND,3.12 3.11 3.10)
OLDEST = VENV=.venv-oldest CONSTRAINTS=constraints/oldest.txt PYTHON=$(call AT_HAND,3.10 3.11) RUNTIMES=

# Imports, a model of each framework, the engine with every sampler, server, command line.
SMOKE := tests/examples tests/integration/test_onnx.py tests/integration/test_model_job.py \
	tests/engine/test_suggestions.py tests/server/test_process.py tests/test_package.py \
	tests/sampling/test_sampling.py tests/hosts/test_flat_keywords.py \
	tests/hosts/test_onnx_mapping.py tests/cli tests/test_wheels.py tests/docs/test_readme.py

smoke-newest smoke-oldest: smoke-%:
	$(MAKE) smoke $(if $(filter newest,$*),$(NEWEST),$(OLDEST))

test-newest test-oldest: test-%:
	$(MAKE) versions test $(if $(filter newest,$*),$(NEWEST),$(OLDEST))

smoke: versions
	$(PYTEST) $(SMOKE)

# ONNX Runtime and OpenVINO as pip resolves them today, without Neural Compressor and TensorFlow:
# their hosts, autotune and the command line.
WITHOUT_INC := .venv-runtimes
RUNTIMES_PYTHON ?= $(call AT_HAND,3.13 3.12 3.11 3.10)
WITHOUT_INC_TESTS := $(wildcard tests/hosts/onnxruntime tests/hosts/openvino) tests/autotuning \
	tests/hosts/test_given_host.py tests/hosts/test_predictor.py \
	tests/measurement/test_timed_batches.py tests/test_without_inc.py tests/docs/test_autotune_page.py

$(WITHOUT_INC)/.done: setup.cfg pyproject.toml
	@test -n "$(RUNTIMES_PYTHON)" || { echo "Python 3.10 to 3.13 is needed: make RUNTIMES_PYTHON=..."; exit 2; }
	$(RUNTIMES_PYTHON) -m venv --clear $(WITHOUT_INC)
	$(WITHOUT_INC)/bin/python -m pip install -q -e ".[onnxruntime,openvino,test-tools]"
	touch $@

smoke-runtimes: $(WITHOUT_INC)/.done
	@$(WITHOUT_INC)/bin/python -c 'import sys; print("Python", sys.version.split()[0])'
	@$(WITHOUT_INC)/bin/python -m pip list --format freeze | grep -iE \
		'^(neural.compressor|tensorflow.cpu|onnx|onnxruntime|openvino|nncf|optuna|numpy)='
	$(WITHOUT_INC)/bin/python -m pytest -n 2 --dist loadfile $(WITHOUT_INC_TESTS)

# Neural Compressor as pip resolves it today, which has no tuning strategies any more: its host,
# `autotune` and the command line.
WITH_INC3 := .venv-inc3
INC3_PYTHON ?= $(call AT_HAND,3.12 3.11 3.13)
WITH_INC3_TESTS := tests/hosts/inc3 tests/benchmarks/test_inc3_rival.py tests/hosts/test_given_graph.py tests/hosts/test_light_constants.py \
	tests/hosts/test_tensorflow_graphs.py tests/hosts/test_reaches.py

$(WITH_INC3)/.done: setup.cfg pyproject.toml
	@test -n "$(INC3_PYTHON)" || { echo "Python 3.11 to 3.13 is needed: make INC3_PYTHON=..."; exit 2; }
	$(INC3_PYTHON) -m venv --clear $(WITH_INC3)
	$(WITH_INC3)/bin/python -m pip install -q -e ".[inc3,test-tools]"
	touch $@

smoke-inc3: $(WITH_INC3)/.done
	@$(WITH_INC3)/bin/python -c 'import sys; print("Python", sys.version.split()[0])'
	@$(WITH_INC3)/bin/python -m pip list --format freeze | grep -iE \
		'^(neural.compressor|tensorflow.cpu|keras|optuna|numpy|setuptools)='
	PYTHONPATH=benchmarks $(WITH_INC3)/bin/python -m pytest -n 2 --dist loadfile $(WITH_INC3_TESTS)

# PyTorch's host, and its modules on OpenVINO. pip's default torch is the build for CUDA: a download
# of 2 to 3 GB, 5.5 GB unpacked. TORCH_INDEX names an index with a build for CPUs (200 MB), TORCH a wheel.
WITH_TORCH := .venv-torch
TORCH_INDEX ?=
TORCH ?=

$(WITH_TORCH)/.done: setup.cfg pyproject.toml
	@test -n "$(RUNTIMES_PYTHON)" || { echo "Python 3.10 to 3.13 is needed: make RUNTIMES_PYTHON=..."; exit 2; }
	$(RUNTIMES_PYTHON) -m venv --clear $(WITH_TORCH)
	$(WITH_TORCH)/bin/python -m pip install -q $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) \
		$(TORCH) -e ".[torch,openvino,test-tools]"
	touch $@

test-torch: $(WITH_TORCH)/.done
	@$(WITH_TORCH)/bin/python -c 'import sys; print("Python", sys.version.split()[0])'
	@$(WITH_TORCH)/bin/python -m pip list --format freeze | grep -iE '^(torch|torchao|openvino|nncf|numpy)='
	$(WITH_TORCH)/bin/python -m pytest tests/hosts/torch tests/hosts/openvino/test_torch_modules.py

versions: $(VENV)/.test
	@$(BIN)/python -c 'import sys; print("Python", sys.version.split()[0])'
	@$(BIN)/python -m pip list --format freeze | grep -iE \
		'^(neural.compressor|tensorflow.cpu|onnx|onnxruntime|optuna|numpy|keras|starlette)='

# The oldest supported Neural Compressor beside what is pinned, and Python 3.10 where it is at
# hand, each in an environment of its own.
PYTHON310 = $(call AT_HAND,3.10)

test-matrix:
	$(MAKE) test VENV=.venv-inc26 CONSTRAINTS=constraints/inc26.txt
	$(if $(PYTHON310),$(MAKE) test VENV=.venv-py310 PYTHON=$(PYTHON310) \
		CONSTRAINTS=constraints/py310.txt,@echo "Python 3.10 is not at hand: not tested.")

clean:
	rm -rf $(VENV) .venv-newest .venv-oldest $(WITHOUT_INC) $(WITH_INC3) $(SCHEMATHESIS) .venv-docs build *.egg-info benchmarks/build benchmarks/*.egg-info
