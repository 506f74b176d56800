"""A picture of the study's figures."""

from study.forest_plot import far_rows


def test_a_row_far_beyond_all_others_is_off_the_panel() -> None:
    figures = [(0.87, [0.82, 0.92]), (0.88, [0.85, 0.91]), None, (12.75, [11.9, 13.5]), (0.83, [0.80, 0.85])]
    assert far_rows(figures, 0.87) == [False, False, False, True, False]


def test_a_row_far_below_is_too_and_no_interval_is_needed() -> None:
    assert far_rows([(0.015, None), (0.02, None), (0.01, None), (-14.6, None)], 0.015) == [False, False, False, True]


def test_a_large_but_readable_effect_stays() -> None:
    assert far_rows([(157.0, [150.0, 165.0]), (14.0, [10.0, 18.0]), (150.0, [141.0, 160.0])], 157.0) == [False] * 3
