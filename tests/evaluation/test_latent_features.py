"""What a probe reads of a stay's hour is what the predictor makes of the hours up to it, and of nothing later."""

from pathlib import Path

import numpy as np
import pytest
import torch

from clin_jepa.data.datamodule import TrajectoryDataModule
from clin_jepa.data.windows import Windowing
from clin_jepa.evaluation.latent_features import hidden_states, hourly_features, reported_stay_features, stay_features
from clin_jepa.evaluation.store_latents import StoreLatents
from clin_jepa.evaluation.task_rows import TaskRows
from clin_jepa.language_model import EncoderConfig
from clin_jepa.module import ClinJEPA
from clin_jepa.predictor import PredictorConfig
from tests.evaluation.written_store import WrittenStay, write_store

HOURS, STRIDE = 8, 3


@pytest.fixture(scope="module")
def module() -> ClinJEPA:
    torch.manual_seed(0)
    config = PredictorConfig(layers=2, width=16, heads=2, feed_forward=32, max_hours=HOURS)
    module = ClinJEPA(encoder=EncoderConfig(vocab_size=512), predictor=config)
    module.configure_model()
    return module.eval().requires_grad_(False)


def opened(folder: Path, module: ClinJEPA, stays: list[WrittenStay], token_folder: Path) -> tuple[TrajectoryDataModule, StoreLatents]:
    write_store(folder / "store", stays)
    data = TrajectoryDataModule(
        str(folder / "store"), vocab_size=512, windowing=Windowing(hours=HOURS, stride=STRIDE), token_folder=str(token_folder)
    )
    return data, StoreLatents(module, data.tokens, data.tokenizer(), folder / "latents")


STAYS = [WrittenStay(1, 20, actions={4: "propofol: 5 mg"}), WrittenStay(2, 8), WrittenStay(3, 3), WrittenStay(4, 9, "held_out")]


@torch.no_grad()
def test_the_hidden_state_of_each_hour_is_that_of_the_first_window_that_holds_it(tmp_path: Path, module: ClinJEPA) -> None:
    data, latents = opened(tmp_path, module, STAYS, tmp_path / "tokens")
    found_HW = hidden_states(module, data, latents, tmp_path / "hidden.bin")

    first_S = np.asarray(data.tokens.first_row_S)
    for stay, n_hours in enumerate(np.diff(first_S).tolist()):
        for hour in range(n_hours):
            start = max(0, -(-(hour - HOURS + 1) // STRIDE) * STRIDE)
            row_T = first_S[stay] + np.arange(start, hour + 1)
            state_1TD, action_1TD = (latents.of_texts(ids[row_T])[None] for ids in (data.tokens.state_H, data.tokens.action_H))
            expected_W = module.predictor.hidden(latents.of_texts(data.tokens.static_S[stay : stay + 1]), state_1TD, action_1TD)[0, -1]
            np.testing.assert_allclose(found_HW[first_S[stay] + hour], expected_W.numpy(), atol=1e-5, err_msg=f"stay {stay} hour {hour}")


def test_changing_all_that_comes_later_changes_no_feature(tmp_path: Path, module: ClinJEPA) -> None:
    now = 11
    changed = [
        WrittenStay(1, 20, actions={4: "propofol: 5 mg", **{hour: f"furosemide: {hour} mg" for hour in range(now + 1, 20)}}),
        *STAYS[1:],
    ]
    # One tokenizer for both: it is trained on the texts of the training stays.
    everything = [WrittenStay(1, 20, actions={**STAYS[0].actions, 5: "furosemide: 5 mg"}), *STAYS[1:]]
    write_store(tmp_path / "all" / "store", everything)
    features = []
    for name, stays in (("as_it_was", STAYS), ("changed", changed)):
        data, latents = opened(tmp_path / name, module, stays, tmp_path / name / "tokens")
        shared = TrajectoryDataModule(str(tmp_path / "all" / "store"), vocab_size=512).tokenizer()
        data.tokenizer = lambda shared=shared: shared  # type: ignore[method-assign]
        data._tokens = None
        latents = StoreLatents(module, data.tokens, shared, tmp_path / name / "latents")
        hidden_HW = hidden_states(module, data, latents, tmp_path / name / "hidden.bin")
        hours = np.arange(now + 1)
        rows = TaskRows("decompensation", np.zeros_like(hours), hours, hours > 5, hours, np.full(len(hours), "train"))
        features.append(
            (hourly_features(data, latents, hidden_HW, rows), stay_features(data, latents, hidden_HW, rows), hidden_HW[now + 3].copy())
        )
    np.testing.assert_allclose(features[0][0], features[1][0], atol=1e-5)
    np.testing.assert_allclose(features[0][1], features[1][1], atol=1e-5)
    assert not np.allclose(features[0][2], features[1][2], atol=1e-5)  # the change reaches what comes after it


def test_the_features_of_a_stay_describe_latents_and_hidden_states(tmp_path: Path, module: ClinJEPA) -> None:
    data, latents = opened(tmp_path, module, STAYS, tmp_path / "tokens")
    hidden_HW = np.asarray(hidden_states(module, data, latents, tmp_path / "hidden.bin"))
    rows = TaskRows("hospital_mortality", np.array([1]), np.array([5]), np.array([True]), np.array([2]), np.array(["train"]))
    first = int(data.tokens.first_row_S[1])
    state_TD, hidden_TW = latents.of_texts(data.tokens.state_H[first : first + 6]).numpy(), hidden_HW[first : first + 6]
    static_D = latents.of_texts(data.tokens.static_S[1:2])[0].numpy()
    expected = [part for seen in (state_TD, hidden_TW) for part in (seen.mean(axis=0), seen.std(axis=0), seen[-1])]
    np.testing.assert_allclose(stay_features(data, latents, hidden_HW, rows)[0], np.concatenate([*expected, static_D]), atol=1e-5)

    reported = np.concatenate([state_TD.mean(axis=0), state_TD[-1], state_TD.max(axis=0), static_D])
    np.testing.assert_allclose(reported_stay_features(data, latents, hidden_HW, rows)[0], reported, atol=1e-6)
