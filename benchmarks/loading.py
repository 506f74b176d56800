"""Loading: how far one worker stays ahead of the encoder, and memory as the store grows."""

import statistics
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl
import torch

from benchmarks.material import Material
from benchmarks.resident_memory import Peak, measured_apart
from benchmarks.timing import REPEATS, seconds, spread
from benchmarks.training_steps import BareTraining
from clin_jepa.callbacks import PredictorWarmup
from clin_jepa.data.datamodule import TrajectoryDataModule
from clin_jepa.data.latent_cache import LatentCache

_BATCHES = 200
_SIZES = (1, 10, 100)
_STEPS = 8
# Each size in so many processes, in turn.
_PROCESSES = 5


def measure_loading(material: Material) -> dict[str, Any]:
    """Batches a second of one worker, and of the packed encoder's forward pass, the fastest that ever waits for them."""
    data = TrajectoryDataModule(str(material.store), batch_size=8, num_workers=1)
    loader = iter(data.train_dataloader())
    batches = list(islice(loader, 5))
    loading = [seconds(lambda: list(islice(loader, _BATCHES))) / _BATCHES for _ in range(REPEATS)]
    encoder = material.module().encoder

    @torch.no_grad()
    def encode(batch: Any) -> None:
        encoder(batch.token_N, batch.length_U)

    encode(batches[0])
    encoding = [seconds(encode, batch) for batch in batches]
    row = {"name": "batch: one worker's, and the encoder's", "ours_s": spread(loading), "plain_s": spread(encoding)}
    row["ratio"] = round(sorted(encoding)[len(encoding) // 2] / sorted(loading)[REPEATS // 2], 1)
    sizes: dict[int, dict[str, Any]] = {}
    for size in _SIZES:
        store = _replicated(material, size)
        TrajectoryDataModule(str(store)).prepare_data()  # tokens are written once, by the first run on a store
        sizes[size] = {"training_mb": []}
    for _ in range(_PROCESSES):
        for size in _SIZES:
            found = measured_apart(_train, str(_replicated(material, size)))
            sizes[size] = {**found, "training_mb": [*sizes[size]["training_mb"], found["training_mb"]]}
    smallest, largest = (statistics.median(sizes[size]["training_mb"]) for size in (_SIZES[0], _SIZES[-1]))
    return {"rows": [row], "memory_by_size": sizes, "growth_share": round(largest / smallest - 1, 4)}


def _replicated(material: Material, times: int) -> Path:
    """The store with each stay several times, under other numbers and with other texts, so that nothing is shared."""
    store = material.folder / f"store_times_{times}"
    if (store / "dataset.json").is_file():
        return store
    (store / "hours").mkdir(parents=True, exist_ok=True)
    stays = pl.read_parquet(material.store / "stays.parquet")
    hours = pl.read_parquet(sorted((material.store / "hours").glob("*.parquet")))
    step = int(stays["stay_id"].max()) + 1  # type: ignore[arg-type]

    def copy(frame: pl.DataFrame, number: int) -> pl.DataFrame:
        texts = [column for column in frame.columns if column.endswith("_text")]
        return frame.with_columns(pl.col("stay_id") + number * step, *(pl.format("{} {}", column, pl.lit(str(number))) for column in texts))

    pl.concat([copy(stays, number) for number in range(times)]).write_parquet(store / "stays.parquet")
    for number in range(times):
        copy(hours, number).write_parquet(store / "hours" / f"part-{number:04d}.parquet")
    about = (material.store / "dataset.json").read_text(encoding="utf-8")
    (store / "dataset.json").write_text(about.replace('"content_hash": "', f'"content_hash": "{times}x'), encoding="utf-8")
    return store


def _train(store: str) -> dict[str, Any]:
    """All private memory of a process that trains a predictor on a store's cached latents."""
    torch.set_num_threads(2)
    data = TrajectoryDataModule(store, batch_size=8)
    module = Material(Path(store), "", Path(store)).module()
    cache = LatentCache(Path(store) / "latents", data.tokens, module.encoder.fingerprint(), module.encoder.latent_dim)
    training, regime = BareTraining(module, cache), PredictorWarmup(1).planned_regime()
    with Peak() as peak:
        for batch in islice(data.train_dataloader(), _STEPS):
            training.step(batch, regime)
    return {"stays": len(data.store.stays), "texts": data.tokens.n_texts, "training_mb": round(peak.most / 2**20)}
