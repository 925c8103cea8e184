# Two commands on a fresh machine: `make bench` and `make test`. Python >= 3.11 and make are all they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export GREENBENCH_STATE ?= $(CURDIR)/.state
STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev
LAUNCHER ?= auto

.PHONY: bench test lint unit cloud-check sky fleet cuda-images gate-noise gpu-faults zeus-agreement aa-pairs kill-campaign fuzz-campaign soak soak-run audit protos wheel locks footprint clean help

help:  ## what the targets do
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "greenbench needs Python 3.11 or newer; set PYTHON=")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'

$(STAMP): $(VENV)/bin/python pyproject.toml controller/requirements.lock
	$(BIN)/python -m pip install --quiet --require-hashes --requirement controller/requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	touch $@

$(DEV_STAMP): $(STAMP)
	$(BIN)/python -m pip install --quiet --editable . --group dev
	touch $@

bench: $(STAMP)  ## build two runtimes, measure the suite `quick`; the last line is the run's folder
	$(BIN)/greenbench up pytorch onnxruntime --launcher $(LAUNCHER)
	# Status 1: measured, and the table names trials that are invalid; the folder stays the last line.
	@$(BIN)/greenbench run --launcher $(LAUNCHER) || [ $$? -eq 1 ]

lint: $(DEV_STAMP)  ## style, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONPATH=runtimes $(BIN)/lint-imports

unit: $(DEV_STAMP)  ## tests that need no runtime, no engine, no GPU
	$(BIN)/pytest -m 'not runtime and not container and not gpu and not ray'

test: lint  ## lint and every test; with CI=true a skipped container test is a failure
	$(BIN)/greenbench up --launcher venv
	$(BIN)/pytest -m 'not gpu'

protos: $(DEV_STAMP)  ## regenerate the committed stubs
	$(BIN)/python -m grpc_tools.protoc -I protos --python_out=protos --pyi_out=protos --grpc_python_out=protos \
	  protos/greenbench_wire/inference.proto protos/greenbench_wire/benchmark.proto

wheel: $(DEV_STAMP)  ## build dist/greenbench-*.whl
	$(BIN)/python -m build --wheel

footprint: $(DEV_STAMP)  ## what greenbench itself costs
	$(BIN)/python -m benchmarks.footprint

KEPT ?= docs/results/fleet.json
fleet: $(DEV_STAMP)  ## wall time against 1, 2, 4 and 8 Ray nodes of this machine (30 min, goes on after a break; KEPT=FILE.json elsewhere)
	$(BIN)/python -m benchmarks.fleet --kept $(KEPT)

cuda-images: $(DEV_STAMP)  ## build every CUDA image, start it, look for missing libraries (no GPU needed)
	$(BIN)/python -m campaigns.cuda_images $(RUNTIMES)

gate-noise: $(DEV_STAMP)  ## send 1,000 pairs of runs, their noise resampled from kept ones, through the gate
	$(BIN)/python -m campaigns.gate_noise --table docs/results/gate-noise.md

gpu-faults: $(DEV_STAMP)  ## fill a real GPU's memory, lose its context, compute again (needs an NVIDIA GPU)
	$(BIN)/greenbench up pytorch onnxruntime --device cuda
	$(BIN)/python -m campaigns.gpu_faults --table docs/results/gpu-faults.md

zeus-agreement: $(DEV_STAMP)  ## joules of ZeusMonitor and greenbench over the same stamps (needs an NVIDIA GPU; about 8 min)
	test -x $(VENV)-zeus/bin/python || ($(PYTHON) -m venv $(VENV)-zeus && $(VENV)-zeus/bin/pip install --quiet zeus==0.16.0)
	$(BIN)/greenbench up pytorch --device cuda --launcher venv
	$(BIN)/python -m campaigns.zeus_agreement --zeus-python $(VENV)-zeus/bin/python --kept docs/results/zeus-agreement.json

aa-pairs: $(DEV_STAMP)  ## 20 pairs of one cell against itself (needs an NVIDIA GPU; about 7 min, goes on after a break)
	$(BIN)/greenbench up pytorch --device cuda --launcher venv
	$(BIN)/python -m campaigns.aa_pairs --kept docs/results/aa-pairs.json

SKY_STAMP := $(VENV)-sky/.installed
$(SKY_STAMP): tests/cloud/skypilot.lock
	$(PYTHON) -m venv $(VENV)-sky
	$(VENV)-sky/bin/python -m pip install --quiet --require-hashes --requirement $<
	touch $@

cloud-check: $(DEV_STAMP) $(SKY_STAMP)  ## SkyPilot, in an environment apart, and Slurm, where installed, read and run cloud/
	GREENBENCH_SKY_PYTHON=$(CURDIR)/$(VENV)-sky/bin/python $(BIN)/pytest tests/cloud

sky: $(SKY_STAMP)  ## SkyPilot as CI has it, in an environment apart

N ?= 200
KILLED ?= venv
# Small disks to fill and an engine to kill need root.
AS_ROOT = $(if $(filter 0,$(shell id -u)),--small-disk $(if $(filter docker,$(KILLED)),--own-engine))
kill-campaign: $(DEV_STAMP)  ## hit runs at random moments N times, resume and verify them (KILLED=docker: in containers)
	$(BIN)/greenbench up onnxruntime --launcher $(KILLED)
	$(BIN)/python -m campaigns.kills --kills $(N) --launcher $(KILLED) --kept docs/results/kill-campaign.json $(AS_ROOT)

REQUESTS ?= 10000
SECONDS ?= 3600
SHARE ?= 1.0
# The environment of ONNX Runtime that `up` made, and the models beside it.
ONNXRUNTIME = $$(ls -d $(GREENBENCH_STATE)/venvs/onnxruntime-cpu-*/bin/python | head -n 1)

fuzz-campaign: $(DEV_STAMP)  ## send each service of a real runtime REQUESTS hostile requests
	$(BIN)/greenbench up onnxruntime --launcher venv
	$(BIN)/python -m campaigns.fuzz --requests $(REQUESTS) --python "$(ONNXRUNTIME)" \
	  --models $(GREENBENCH_STATE)/models --table docs/results/fuzz-campaign.md

soak: $(DEV_STAMP)  ## load, run, unload for SECONDS; memory, descriptors, sockets and threads must stay flat
	$(BIN)/greenbench up onnxruntime --launcher venv
	$(BIN)/python -m campaigns.soak --seconds $(SECONDS) --share $(SHARE) --python "$(ONNXRUNTIME)" \
	  --models $(GREENBENCH_STATE)/models --table docs/results/soak.md

soak-run: $(DEV_STAMP)  ## `greenbench run` for SECONDS in containers; memory, descriptors, sockets, threads, containers flat
	$(BIN)/greenbench up pytorch onnxruntime --launcher docker --device cpu --set model=mobilenet_v2
	$(BIN)/python -m campaigns.soak_run --seconds $(SECONDS) --launcher docker --table docs/results/soak-run.md

# --strict: a package that the service does not know is a failure, not a clean bill.
audit: $(DEV_STAMP)  ## ask the advisory service about every pinned requirement and the controller's own
	$(PYTHON) -m venv $(VENV)-audit && $(VENV)-audit/bin/pip install --quiet 'pip-audit>=2.9'
	$(BIN)/python -m pip freeze --exclude-editable > $(VENV)-audit/controller.txt
	for lock in $(VENV)-audit/controller.txt docker/requirements/*.lock; do \
	  echo "$$lock"; $(VENV)-audit/bin/pip-audit --strict --no-deps --disable-pip --requirement "$$lock" || exit 1; done

# torch for the CPU comes from an index of its own, whose files PyPI does not know: that lock stays without.
HASHED = $(filter-out docker/requirements/pytorch-cpu.lock,$(wildcard docker/requirements/*.lock))
locks: $(VENV)/bin/python  ## ask PyPI for the hashes of the versions that the locks pin, and for the newest of the controller and SkyPilot
	$(PYTHON) -m venv $(VENV)-locks && $(VENV)-locks/bin/pip install --quiet 'uv>=0.9'
	for lock in $(HASHED); do { grep '^#' "$$lock"; $(VENV)-locks/bin/uv pip compile "$$lock" --quiet --no-config \
	  --default-index https://pypi.org/simple --no-deps --generate-hashes --no-annotate --no-header --native-tls \
	  --python-version 3.11 --python-platform x86_64-manylinux_2_28; } > "$$lock.new" && mv "$$lock.new" "$$lock" || exit 1; done
	for pair in pyproject.toml:controller/requirements.lock tests/cloud/skypilot.in:tests/cloud/skypilot.lock; do \
	  lock=$${pair#*:}; { grep '^#' "$$lock"; $(VENV)-locks/bin/uv pip compile "$${pair%:*}" --quiet --no-config \
	  --default-index https://pypi.org/simple --generate-hashes --no-annotate --no-header --native-tls \
	  --universal --python-version 3.11; } > "$$lock.new" && mv "$$lock.new" "$$lock" || exit 1; done

clean:  ## remove environments, state and caches of this clone
	rm -rf $(VENV) $(VENV)-locks $(VENV)-sky $(VENV)-zeus $(VENV)-audit .venvs .state dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
