"""Laboratory values outside the ICU: what a patient is used to, and how it changes from one draw to the next."""

import numpy as np

from data_pipelines.synthetic.arrays import Ints, Numbers

# Quantity: centre, spread between patients, spread between draws of a patient. A negative centre stands for a log scale.
_BASELINE: dict[str, tuple[float, float, float]] = {
    "sodium": (139, 2.5, 2),
    "potassium": (4.2, 0.25, 0.3),
    "chloride": (102, 2.5, 2.5),
    "bicarbonate": (25.5, 2, 2),
    "anion_gap": (13, 1.5, 2),
    "glucose": (-112, 0.22, 0.2),
    "magnesium": (2, 0.12, 0.15),
    "calcium": (9.1, 0.35, 0.35),
    "phosphate": (3.5, 0.4, 0.5),
    "creatinine": (-0.95, 0.38, 0.1),
    "bun": (-17, 0.4, 0.2),
    "hemoglobin": (11.8, 1.8, 0.7),
    "hematocrit": (35.6, 5, 2),
    "red_cells": (4, 0.6, 0.2),
    "platelets": (-225, 0.4, 0.15),
    "wbc": (-7.6, 0.3, 0.25),
    "inr": (-1.25, 0.25, 0.1),
    "pt": (-13.8, 0.25, 0.1),
    "ptt": (-31, 0.18, 0.12),
    "fibrinogen": (-340, 0.3, 0.2),
    "alt": (-24, 0.6, 0.25),
    "ast": (-27, 0.55, 0.25),
    "alp": (-85, 0.4, 0.12),
    "ldh": (-230, 0.35, 0.15),
    "bilirubin": (-0.5, 0.5, 0.2),
    "bilirubin_direct": (-0.25, 0.6, 0.3),
    "albumin": (3.8, 0.5, 0.2),
    "neutrophils": (65, 10, 6),
    "lymphocytes": (23, 8, 5),
    "bands": (1, 1, 1),
    "troponin": (-0.02, 0.8, 0.4),
    "ntprobnp": (-900, 1.3, 0.3),
    "ck": (-110, 0.8, 0.3),
    "crp": (-9, 1.2, 0.5),
    "ph": (7.38, 0.03, 0.03),
    "paco2": (41, 5, 4),
    "pao2": (85, 12, 15),
    "po2": (85, 12, 15),
    "so2": (94, 3, 3),
    "total_co2": (26, 3, 2),
    "base_excess": (0, 2, 2),
    "lactate": (-1.6, 0.25, 0.3),
    "ionized_calcium": (1.17, 0.04, 0.04),
    "fio2": (35, 10, 5),
    "peep": (5, 0, 1),
    "temperature": (36.8, 0.2, 0.3),
    "tidal_volume": (450, 40, 20),
}


def baseline(rng: np.random.Generator, quantity: str, patient: Ints, n_patients: int) -> Numbers:
    """Values of a quantity at draws outside the ICU.

    Args:
        rng: Stream of chance.
        quantity: Its name, as in laboratory_items.csv.
        patient: Patient of each draw.
        n_patients: How many there are.

    Returns:
        A value a draw, never below a tenth of the centre.
    """
    centre, between, within = _BASELINE[quantity]
    deviation = (between * rng.standard_normal(n_patients))[patient] + within * rng.standard_normal(len(patient))
    if centre < 0:
        return np.asarray(-centre * np.exp(deviation))
    return np.maximum(centre + deviation, 0.1 * centre if centre else -np.inf)
