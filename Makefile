# The two commands: `make demo` and `make test`. Both set up .venv first; nothing else needs to be installed.
#   PYTHON=python3.11   the interpreter to build the environment with
#   EXTRA=cpu|gpu       which TensorFlow to install (default: gpu where nvidia-smi answers)
#   VENV=DIR            where the environment goes (default .venv)
#   WORKERS=N           tests at a time (default 2; 0: one, in the same process)

PYTHON ?= python3
VENV ?= .venv
EXTRA ?= $(shell nvidia-smi >/dev/null 2>&1 && echo gpu || echo cpu)
# tensorflow-cpu has wheels for x86-64 alone.
CPU_WHEEL = $(if $(filter Linux-x86_64,$(shell uname -s)-$(shell uname -m)),tensorflow-cpu,tensorflow)
TENSORFLOW = $(if $(filter gpu,$(EXTRA)),tensorflow[and-cuda],$(CPU_WHEEL))==2.21.*
BIN = $(VENV)/bin
# Most of a test is building graphs, on one core; WORKERS tests run at a time, each with up to 8 GiB of memory.
WORKERS ?= 2
PYTEST = $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check
NATIVE := $(wildcard csrc/*/*)

.PHONY: setup build demo test test-ops test-after test-slow sanitize bazel-check aarch64-check lint format golden parity bench cuda-check clean

setup: $(VENV)/.ready build

# TensorFlow and the build tools first, so that the ops are compiled against the TensorFlow that will run them.
$(VENV)/.ready: pyproject.toml setup.py
	@echo "setup 1/3: $(VENV) with $(TENSORFLOW) and the build tools (some 700 MB: a minute or more)"
	$(PYTHON) -m venv $(VENV)
	$(filter-out --quiet,$(PIP)) "$(TENSORFLOW)" "setuptools>=77" wheel pybind11==3.1.0
	@echo "setup 2/3: kerascnn with the extras $(EXTRA),dev (some 300 MB), its ops compiled (about two minutes on two cores)"
	$(PIP) --no-build-isolation -e ".[$(EXTRA),dev]"
	touch $@

build: $(VENV)/.built

$(VENV)/.built: $(VENV)/.ready $(NATIVE)
	@echo "setup 3/3: what changed of the ops"
	$(BIN)/python setup.py --quiet build_ext --inplace
	touch $@

demo: setup
	$(BIN)/python tools/demo.py

# As many tests as cores, so that each has one thread of TensorFlow's; test-ops leaves the ops all of them.
test: setup
	TF_NUM_INTRAOP_THREADS=1 $(PYTEST) --slowest-files 10 $(PYTEST_ARGS)

# Dear tests that the default run leaves to CI.
test-after: setup
	$(PYTEST) -m "after and not slow" --slowest-files 10 $(PYTEST_ARGS)

test-slow: setup
	$(PYTEST) -m slow $(PYTEST_ARGS)

# The ops again: without oneDNN, and with the compiled library required.
OPS = tests/ops tests/layers tests/csrc --ignore tests/ops/test_fuzz.py
test-ops: setup
	TF_ENABLE_ONEDNN_OPTS=0 $(PYTEST) $(OPS) $(PYTEST_ARGS)
	KERASCNN_NATIVE=require $(PYTEST) $(OPS) $(PYTEST_ARGS)

# The same sources by Bazel, loaded and run (Debian: bazel-bootstrap), and the kernels on 64-bit ARM
# (g++-aarch64-linux-gnu, qemu-user).
bazel-check: setup
	tools/bazel_check.sh $(BIN)/python

aarch64-check:
	tools/aarch64_check.sh

# The kernel tests under AddressSanitizer, UndefinedBehaviorSanitizer and ThreadSanitizer.
sanitize: setup
	$(BIN)/python tools/sanitize.py

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --project . --warnings --pythonpath $(BIN)/python
	$(BIN)/clang-format --dry-run --Werror $$(git ls-files 'csrc/*.h' 'csrc/*.cc' 'csrc/*.cu' 'csrc/*.inc')

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $$(git ls-files 'csrc/*.h' 'csrc/*.cc' 'csrc/*.cu' 'csrc/*.inc')

golden: setup
	$(BIN)/python tools/golden.py --check

# Every CUDA source for every architecture: no warnings, no spilled registers. Says so where there is no nvcc.
cuda-check: setup
	$(BIN)/python tools/cuda_check.py

# PEERS_PYTHON: an interpreter with torch, torchvision and timm.
# Every network beside its peers, in the interpreter PEERS_PYTHON, which has torch, torchvision and timm.
parity: setup
	KERASCNN_PEERS_PYTHON="$(PEERS_PYTHON)" $(BIN)/python -m pytest -m "slow or not slow" -o tmp_path_retention_policy=none tests/applications/test_parity.py tests/applications/test_save_torch_peers.py $(PYTEST_ARGS)

comma := ,
bench: setup
	$(BIN)/python tools/bench_ops.py --out results/ops $(if $(PEERS_PYTHON),--peers-python "$(PEERS_PYTHON)")
	$(BIN)/python -m kerascnn benchmark models resnext50_32x4d --batch 8 --step train,inference --runtime keras,keras_conv$(if $(PEERS_PYTHON),$(comma)torch --peers-python "$(PEERS_PYTHON)")

clean:
	rm -rf $(VENV) _build demo kerascnn/_bin kerascnn/*.so kerascnn/_build_info.json *.egg-info
