"""The same seed and size give the same bytes, however many processes work."""

from pathlib import Path

from data_pipelines.synthetic.synthesize import synthesize


def _bytes(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_one_and_two_workers_write_the_same_bytes(tmp_path: Path) -> None:
    alone = synthesize(tmp_path / "alone", stays=130, seed=5, workers=1)
    together = synthesize(tmp_path / "together", stays=130, seed=5, workers=2)
    assert _bytes(alone) == _bytes(together)


def test_another_seed_writes_another_hospital(tmp_path: Path) -> None:
    one = _bytes(synthesize(tmp_path / "one", stays=3, seed=1, workers=1))
    two = _bytes(synthesize(tmp_path / "two", stays=3, seed=2, workers=1))
    same = {name for name in one if one[name] == two[name]}
    assert same == {"hosp/d_labitems.csv.gz", "icu/d_items.csv.gz"}


def test_scale_counts_in_stays_of_mimic(tmp_path: Path) -> None:
    by_scale = _bytes(synthesize(tmp_path / "by_scale", scale=3 / 94_458, workers=1))
    by_stays = _bytes(synthesize(tmp_path / "by_stays", stays=3, workers=1))
    assert by_scale == by_stays
