"""The risk tasks of a run: probes of its frozen backbone beside baselines, all on the same rows."""

# Shapes: N rows, F features, W width of the predictor.

import hashlib
import importlib.metadata
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from tqdm import tqdm

import clin_jepa
from clin_jepa.data.datamodule import Split
from clin_jepa.errors import InputError
from clin_jepa.evaluation.bootstrap import interval
from clin_jepa.evaluation.classification import METRICS, Scored, drawn_metrics, drawn_prevalence, metrics, paired_differences
from clin_jepa.evaluation.finished_run import FinishedRun
from clin_jepa.evaluation.latent_features import hidden_states, hourly_features, reported_stay_features, stay_features
from clin_jepa.evaluation.numeric_grid import NumericGrid, summaries
from clin_jepa.evaluation.predictions_file import predictions, read_predictions, scored, write_predictions
from clin_jepa.evaluation.risk_models import BACKBONE, PREVALENCE, REPORTED_PROBE, TUNED, RiskModel, TwoProbes, fit_risk_model
from clin_jepa.evaluation.sequence_baselines import HourlyInputs, hourly_inputs, sequence_scores
from clin_jepa.evaluation.sequence_networks import KINDS
from clin_jepa.evaluation.store_latents import StoreLatents
from clin_jepa.evaluation.task_rows import TaskRows, task_rows, why_not
from clin_jepa.evaluation.tuned_encoder import encoder_as_tuned
from clin_jepa.evaluation.weighted import number_or_none
from data_pipelines.plan import sha256_of

# Of an hourly task of a large hospital, which has millions; features of all of them would not fit into memory.
_MOST_TRAINING_ROWS = 200_000
_ROWS_SCORED_AT_ONCE = 50_000

# Scores are made again with other code or other libraries.
_CODE = Path(clin_jepa.__file__).parent
_LIBRARIES = ("torch", "numpy", "scikit-learn", "lightgbm")

Floats = NDArray[np.float32]


class RiskTasks:
    """Fits and scores every model on every task of a run's store; what is finished is kept, so that an interrupted evaluation goes on.

    Args:
        opened: The run.
        latents: Latents of its store's texts.
        grid: The store's numbers.
        split: The split that is scored.
        seed: Of probes and trees.
        scratch: An empty folder, which the caller removes; it takes four bytes a feature of the predictor and an hour of the store.
        tuned: Checkpoint of the encoder before the curriculum, where probes of that are asked for.
    """

    def __init__(
        self,
        opened: FinishedRun,
        latents: StoreLatents,
        grid: NumericGrid,
        split: Split,
        seed: int,
        scratch: Path,
        tuned: Path | None = None,
    ) -> None:
        self.opened, self.latents, self.grid, self.split, self.seed = opened, latents, grid, split, seed
        self.store, self.data, self.scratch = opened.data.store, opened.data, scratch
        self.folder = opened.folder / "evaluation" / "scores" / self._key()
        self._tuned = tuned
        self._reported_probes: dict[str, RiskModel] = {}
        # Latents of the encoder before the curriculum, while its weights are in place.
        self._latents_as_tuned: StoreLatents | None = None

    def scores(self, tasks: Sequence[str], models: Sequence[str]) -> tuple[dict[str, pl.DataFrame], dict[str, str]]:
        """Predictions of all models by task, and why the other tasks have none."""
        for other in self.folder.parent.glob("*"):
            if other != self.folder:
                shutil.rmtree(other, ignore_errors=True)
        found: dict[str, dict[str, pl.DataFrame]] = {}
        unavailable: dict[str, str] = {}
        for task in tqdm(tasks, desc="risk tasks", unit="task"):
            rows = task_rows(self.store, task)
            if (reason := why_not(rows, self.store)) is not None:
                unavailable[task] = reason
                continue
            found[task] = {model: self._scores(model, rows) for model in models if model != TUNED}
        if TUNED in models and found:
            for task, table in self._scores_as_tuned(list(found)):
                found[task][TUNED] = table
        return {task: pl.concat([of_task[model] for model in models]) for task, of_task in found.items()}, unavailable

    def _scores_as_tuned(self, tasks: Sequence[str]) -> Iterator[tuple[str, pl.DataFrame]]:
        """Each task and its scores by probes of the encoder before the curriculum."""
        if self._tuned is None:
            raise ValueError("scores of the encoder before the curriculum need its checkpoint")
        encoder = self.opened.module.encoder
        with encoder_as_tuned(self.opened, self._tuned):
            self._latents_as_tuned = StoreLatents(
                self.opened.module, self.data.tokens, self.latents.tokenizer, self.opened.folder / "latents"
            )
            named = f"{TUNED}_{encoder.fingerprint()[:16]}"
            try:
                for task in tqdm(tasks, desc="risk tasks, encoder as tuned", unit="task"):
                    yield task, self._scores(TUNED, task_rows(self.store, task), named)
            finally:
                self._latents_as_tuned = None

    def _scores(self, model: str, rows: TaskRows, named: str = "") -> pl.DataFrame:
        part = self.folder / f"{named or model}.{rows.task}.parquet"
        with suppress(InputError):  # missing or damaged: scored anew
            return read_predictions(part)
        taken_N = rows.of_split(self.split)
        if model in KINDS:
            score_M = sequence_scores(model, self._inputs, rows, taken_N, self.seed, self.opened.module.device)
        else:
            fitted = self._fit(model, rows)
            score_M = np.concatenate([fitted.probabilities(self._features(model, part)) for part in _parts(rows.taken(taken_N))])
        table = predictions(model, rows, taken_N, score_M, self.store)
        write_predictions([table], part)
        return table

    def _fit(self, model: str, rows: TaskRows) -> RiskModel:
        # Of hours both probes read the same features: the reported one has been fitted with the backbone's.
        if model == REPORTED_PROBE and (probe := self._reported_probes.pop(rows.task, None)) is not None:
            return probe
        fitted_on = rows.taken(rows.for_fitting(_MOST_TRAINING_ROWS, self.seed))
        fitted = fit_risk_model(model, self._features(model, fitted_on), fitted_on, self.seed)
        if model == BACKBONE and isinstance(fitted, TwoProbes) and not rows.is_of_stays:
            self._reported_probes[rows.task] = fitted.hidden
        return fitted

    def _features(self, model: str, rows: TaskRows) -> Floats:
        if model == PREVALENCE:
            return np.zeros((len(rows), 0), dtype=np.float32)
        if model not in (BACKBONE, REPORTED_PROBE, TUNED):
            return summaries(self.grid, rows.stay_N, rows.hour_N)
        described = hourly_features
        if rows.is_of_stays:
            described = reported_stay_features if model == REPORTED_PROBE else stay_features
        feature_NF = described(self.data, *self._read_by(model), rows)
        # A probe that is fitted on them would keep the weights that it began with.
        if broken := int((~np.isfinite(feature_NF).all(axis=1)).sum()):
            raise InputError(
                f"{model}: latents of {broken} of {len(rows)} rows of {rows.task} are not finite: name another checkpoint with "
                "--checkpoint, or leave the task out with --tasks; scores that are finished are kept"
            )
        return feature_NF

    @cached_property
    def _inputs(self) -> HourlyInputs:
        return hourly_inputs(self.grid, (self.store.stays["split"] == "train").to_numpy())

    @cached_property
    def _hidden_HW(self) -> Floats:
        return hidden_states(self.opened.module, self.data, self.latents, self.scratch / "hidden.bin")

    def _read_by(self, model: str) -> tuple[StoreLatents, Floats | None]:
        """Latents and hidden states that probes read; no hidden states of a predictor that was not trained on these latents."""
        if model != TUNED:
            return self.latents, self._hidden_HW
        if self._latents_as_tuned is None:
            raise ValueError("the weights of the encoder before the curriculum are not in place")
        return self._latents_as_tuned, None

    def _key(self) -> str:
        """What scores depend on: weights of encoder and predictor, the store, split, seed and windows, and the code that makes them."""
        versions = [importlib.metadata.version(library) for library in _LIBRARIES]
        chosen = self.store.fingerprint, self.split, self.seed, self.data.windowing, self.opened.module.device.type
        digest = hashlib.sha256(repr((*versions, *chosen)).encode())
        digest.update(sha256_of(*sorted(_CODE.rglob("*.py"))).encode())
        digest.update(self.opened.module.encoder.fingerprint().encode())
        for name, parameter in sorted(self.opened.module.predictor.state_dict().items()):
            digest.update(name.encode() + parameter.cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]


def task_report(
    by_task: Mapping[str, pl.DataFrame], unavailable: Mapping[str, str], opened: FinishedRun, draws: int, seed: int
) -> dict[str, Any]:
    """The sections ``tasks`` (the backbone's), ``other_probes`` (of the same latents) and ``baselines`` of ``metrics.json``.

    Args:
        by_task: Predictions of all models by task.
        unavailable: Why the other tasks have none.
        opened: The run.
        draws: Bootstrap draws, by subject.
        seed: Of the draws.

    Returns:
        ``{"tasks": {task: figures}, "other_probes": {model: {task: figures}}, "baselines": {model: {task: figures}}}``. Figures are
        each of `METRICS`, ``n``, ``n_positive``, ``n_subjects``, ``prevalence`` and ``ci95``; those of other models also hold
        ``backbone_minus_this`` with intervals of paired differences. A task that cannot be asked is ``{"unavailable": why}``.
    """
    tasks: dict[str, Any] = {}
    others: dict[str, dict[str, dict[str, Any]]] = {"other_probes": {}, "baselines": {}}
    for task, table in tqdm(by_task.items(), desc="bootstrap", unit="task"):
        models = {str(name): scored(part, opened.data.store) for (name,), part in table.group_by("model", maintain_order=True)}
        drawn = {name: drawn_metrics(given, draws, seed) for name, given in models.items()}
        prevalence_R = drawn_prevalence(models[BACKBONE], draws, seed)
        plain = {name: metrics(given) for name, given in models.items()}
        for name, given in models.items():
            figures = _figures(given, plain[name], {**drawn[name], "prevalence": prevalence_R})
            if name == BACKBONE:
                tasks[task] = figures
                continue
            figures["backbone_minus_this"] = {
                **{metric: number_or_none(plain[BACKBONE][metric] - plain[name][metric]) for metric in METRICS},
                "ci95": paired_differences(drawn[BACKBONE], drawn[name]),
            }
            others["other_probes" if name == REPORTED_PROBE else "baselines"].setdefault(name, {})[task] = figures
    return {"tasks": {**tasks, **{task: {"unavailable": reason} for task, reason in unavailable.items()}}, **others}


def _parts(rows: TaskRows) -> Iterator[TaskRows]:
    """The rows, some at a time."""
    for first in range(0, len(rows), _ROWS_SCORED_AT_ONCE):
        yield rows.taken(slice(first, first + _ROWS_SCORED_AT_ONCE))


def _figures(given: Scored, plain: Mapping[str, float], drawn: Mapping[str, NDArray[np.float64]]) -> dict[str, Any]:
    return {
        **{name: number_or_none(value) for name, value in plain.items()},
        "n": len(given.label_N),
        "n_positive": int(given.label_N.sum()),
        "n_subjects": len(np.unique(given.subject_N)),
        "prevalence": float(given.label_N.mean()),
        "ci95": {name: interval(value_R) for name, value_R in drawn.items()},
    }
