# Every target does its own set-up. `make demo` and `make test` are all that a newcomer needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
IMAGES_READY := $(VENV)/.ready-images

.PHONY: help demo test test-containers check build bench golden images lock clean

help:  ## Show this list.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'

$(READY): constraints.txt setup.cfg setup.py pyproject.toml
	@echo "Setting up $(VENV) from pinned versions (a few minutes the first time) ..."
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Ropewalk needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: $(READY)  ## Train a model on 336,776 real flights, from a DVC repository to an MLflow registry.
	$(BIN)/python examples/flights/build_repository.py demo/flights
	$(BIN)/python compile.py
	$(BIN)/ropewalk run build/training.yaml --data demo/flights --data-path flights.parquet \
	    --target late --time-column time_hour --model-name flight-delay

test: check  ## Run all checks and all tests.
	$(BIN)/pytest --numprocesses 2 --dist worksteal --ignore tests/containers

test-containers: $(IMAGES_READY)  ## Build the images from nothing and test them; needs podman, and debootstrap or BASE.
	ROPEWALK_TEST_BASE=$(BASE) $(BIN)/pytest tests/containers

check: $(READY)  ## Lint, types, golden files.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python compile.py --check

build: $(READY)  ## Compile every pipeline and component to build/.
	$(BIN)/python compile.py

bench: $(READY)  ## Measure; see benchmarks/README.md.
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[bench]'
	$(BIN)/python benchmarks/pipeline_overhead.py
	$(BIN)/python benchmarks/pull.py
	$(BIN)/python benchmarks/validate.py
	$(BIN)/python benchmarks/training_loop.py
	$(BIN)/python benchmarks/preprocess.py --memory-rows 1000000,30000000
	$(BIN)/python benchmarks/tuning.py
	$(BIN)/python benchmarks/register.py
	$(BIN)/python benchmarks/evaluate.py

$(IMAGES_READY): $(READY)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[images]'
	@touch $@

images: $(IMAGES_READY)  ## Build the steps' images, SBOMs and images.lock; BASE=image, PUSH=registry, ACCELERATOR=cuda.
	$(BIN)/ropewalk images build $(if $(BASE),--base $(BASE)) $(if $(PUSH),--push $(PUSH)) $(if $(ACCELERATOR),--accelerator $(ACCELERATOR))

golden: $(READY)  ## Accept what compiles now: rewrite golden files and component READMEs.
	$(BIN)/python compile.py --update

lock: $(IMAGES_READY)  ## Write the versions that are installed now to constraints.txt, and lock the images with them.
	$(BIN)/python -m pip freeze --exclude-editable --exclude ropewalk | sed -e 's/+cpu$$//' -e '1i \# The exact versions that were tested; made by `make lock`.' > constraints.txt
	PATH=$(abspath $(BIN)):$$PATH $(BIN)/ropewalk images lock $(foreach page,$(PIP_FIND_LINKS),--find-links $(page))

clean:  ## Remove what can be made again; runs and models in .ropewalk/ are kept.
	rm -rf build dist demo *.egg-info .mypy_cache .ruff_cache .pytest_cache
