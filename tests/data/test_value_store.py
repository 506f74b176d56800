"""The numbers of a store: standardised by the training split alone, the same for every way they are read."""

import pickle
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from clin_jepa.data.datamodule import TrajectoryDataModule
from clin_jepa.data.trajectory_store import TrajectoryStore
from clin_jepa.data.value_store import open_value_store
from clin_jepa.data.windows import Windowing
from clin_jepa.errors import InputError
from tests.evaluation.written_store import WrittenStay, write_store

# Training values of the heart rate: 60, 80, 100 (mean 80, deviation 16.33); the lactate of the held-out stay alone is no variable.
STAYS = [
    WrittenStay(1, 3, "train", {"heart_rate": {0: 60.0, 2: 80.0}}),
    WrittenStay(2, 2, "held_out", {"heart_rate": {1: 1000.0}, "lactate": {0: 9.0}}),
    WrittenStay(3, 2, "train", {"heart_rate": {0: 100.0}, "always": {0: 5.0, 1: 5.0}}),
]
DEVIATION = float(np.std([60, 80, 100]))


def test_values_by_hand(tmp_path: Path) -> None:
    numbers = open_value_store(write_store(tmp_path / "store", STAYS), tmp_path / "tokens")

    assert numbers.variables == ("heart_rate",)
    assert numbers.per_hour == pytest.approx(3 / 5)
    nan = np.nan
    expected = [-20 / DEVIATION, nan, 0.0, nan, 10.0, 20 / DEVIATION, nan]  # 1000 is cut to ten deviations
    np.testing.assert_allclose(numbers.hours(0, 7)[:, 0], expected, rtol=1e-6)
    np.testing.assert_allclose(numbers.hours(2, 3)[:, 0], expected[2:5], rtol=1e-6)


def test_no_statistic_is_fitted_on_other_splits(tmp_path: Path) -> None:
    others = [WrittenStay(2, 2, "tuning", {"heart_rate": {0: 5.0, 1: 7.0}}), STAYS[0], STAYS[2]]
    numbers = open_value_store(write_store(tmp_path / "store", STAYS), tmp_path / "tokens")
    changed = open_value_store(write_store(tmp_path / "changed", others), tmp_path / "other_tokens")

    for part in (slice(0, 3), slice(5, 7)):
        np.testing.assert_array_equal(numbers.hours(0, 7)[part], changed.hours(0, 7)[part])


def test_a_store_in_many_files_equals_one(store_path: Path, tmp_path: Path) -> None:
    store = TrajectoryStore(store_path)
    numbers = open_value_store(store, tmp_path / "tokens")

    first = 0
    values = store.scan_values().collect()
    trained = store.stays.filter(pl.col("split") == "train")["stay_id"].implode()
    for stay_id, hours in store.stays.select("stay_id", "n_hours").iter_rows():
        found = numbers.hours(first, hours)
        for column, variable in enumerate(numbers.variables):
            known = values.filter((pl.col("variable") == variable) & pl.col("stay_id").is_in(trained))["last"].cast(pl.Float64)
            own = values.filter((pl.col("variable") == variable) & (pl.col("stay_id") == stay_id))
            expected = np.full(hours, np.nan)
            scaled = (own["last"].cast(pl.Float64) - known.mean()) / known.std(ddof=0)
            expected[own["hour"].to_numpy()] = scaled.clip(-10, 10).to_numpy()
            np.testing.assert_allclose(found[:, column], expected, rtol=1e-4, atol=1e-4)
        first += hours


def test_batches_bring_the_numbers_of_their_hours(small_store_path: Path, tmp_path: Path) -> None:
    settings = {"vocab_size": 2048, "batch_size": 2, "windowing": Windowing(hours=24), "values": True}
    data = TrajectoryDataModule(str(small_store_path), **settings)  # type: ignore[arg-type]
    batch = next(iter(data.val_dataloader()))

    assert batch.values is not None and data.numbers is not None
    rows = data.store.stays.with_row_index("row")
    for place, (stay_id, hours) in enumerate(zip(batch.stay_id_B.tolist(), batch.n_hours.tolist(), strict=True)):
        stay = rows.filter(pl.col("stay_id") == stay_id)["row"][0]
        first = int(data.tokens.first_row_S[stay]) + int(batch.hour_BT[place, 0])
        np.testing.assert_array_equal(batch.values.value_BTV[place, :hours].numpy(), data.numbers.hours(first, hours))
        assert batch.values.value_BTV[place, hours:].isnan().all()
        np.testing.assert_array_equal(batch.values.static_BC[place].numpy(), data.numbers.static_SC[stay])


def test_batches_bring_none_where_nobody_asks(datamodule: TrajectoryDataModule) -> None:
    assert next(iter(datamodule.val_dataloader())).values is None
    assert datamodule.variables == []


def test_a_worker_opens_the_files_again(tmp_path: Path) -> None:
    numbers = open_value_store(write_store(tmp_path / "store", STAYS), tmp_path / "tokens")
    sent = pickle.dumps(numbers)

    assert len(sent) < 1000
    np.testing.assert_array_equal(pickle.loads(sent).hours(0, 7), numbers.hours(0, 7))


def test_a_store_without_numbers_is_refused(tmp_path: Path) -> None:
    store = write_store(tmp_path / "store", [WrittenStay(1, 3, "train"), WrittenStay(2, 3, "held_out", {"heart_rate": {0: 1.0}})])

    with pytest.raises(InputError, match=r"no number of a training stay.*--model.grounding.ahead, present and outlook to 0"):
        open_value_store(store, tmp_path / "tokens")
    assert not list((tmp_path / "tokens").iterdir())


@pytest.mark.parametrize("hour", [-1, 3])
def test_a_number_of_an_hour_that_its_stay_does_not_have_is_refused(tmp_path: Path, hour: int) -> None:
    """It would be one of another stay."""
    store = write_store(tmp_path / "store", [STAYS[1], WrittenStay(1, 3, "train", {"heart_rate": {0: 60.0, 1: 70.0, hour: 80.0}})])

    with pytest.raises(InputError, match=rf"values: 1 rows are of hours that their stays do not have \(hour {hour} is the first\)"):
        open_value_store(store, tmp_path / "tokens")
    assert not list((tmp_path / "tokens").iterdir())
