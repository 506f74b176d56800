"""Rank correlations of draws are those of scipy on the rows that were drawn."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from clin_jepa.evaluation.rank_correlation import rank_correlations


@pytest.mark.parametrize("levels", [None, 5])
def test_each_draw_has_the_rank_correlation_of_its_rows(levels: int | None) -> None:
    random = np.random.default_rng(0)
    one_M = random.random(50)
    other_M = one_M + random.random(50)
    if levels:
        one_M, other_M = np.round(one_M * levels), np.round(other_M * levels)
    weight_RM = random.multinomial(50, np.full(50, 1 / 50), size=20).astype(np.float64)
    found_R = rank_correlations(one_M, other_M, weight_RM)
    for found, weight_M in zip(found_R, weight_RM, strict=True):
        drawn = np.repeat(np.arange(50), weight_M.astype(int))
        assert found == pytest.approx(spearmanr(one_M[drawn], other_M[drawn]).statistic)


def test_a_column_that_does_not_vary_has_none() -> None:
    assert np.isnan(rank_correlations(np.ones(4), np.arange(4.0), np.ones((1, 4)))).all()
    assert np.isnan(rank_correlations(np.arange(4.0), np.arange(4.0), np.zeros((1, 4)))).all()
