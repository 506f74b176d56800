"""A picture of the study's figures."""

from study.forest_plot import far_rows


def test_a_row_far_beyond_all_others_is_off_the_panel() -> None:
    assert far_rows([0.87, 0.88, None, 12.75, 0.83, 0.90, 0.86], 0.87) == [False, False, False, True, False, False, False]


def test_a_row_far_below_is_too() -> None:
    assert far_rows([0.015, 0.02, 0.01, -14.6, 0.03], 0.015) == [False, False, False, True, False]


def test_a_large_but_readable_effect_stays() -> None:
    assert far_rows([157.0, 14.0, 130.0, 120.0], 157.0) == [False] * 4


def test_the_reference_stays_where_others_hardly_differ_from_it() -> None:
    assert not far_rows([0.8, 0.8, 0.81, 0.79], 0.8)[0]
