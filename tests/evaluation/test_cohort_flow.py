"""The cohort flow: what is counted is shown, and what a store does not count is left out."""

import re
from typing import Any

from clin_jepa.evaluation.cohort_flow import cohort_flow, cohort_flow_html

COUNTS = {"in": 140, "kept": 126, "dropped": {"shorter_than_6_hours": 2, "not_first_icu_stay": 12, "invalid_times": 0}}
TASKS = {
    "icu_mortality": {"n": 19, "n_subjects": 18, "n_positive": 3},
    "sepsis": {"unavailable": "not available: needs sepsis-3"},
}


def given(metrics: dict[str, Any], **dataset: Any) -> dict[str, Any]:
    return {**metrics, "dataset": {**metrics["dataset"], **dataset}}


def test_excluded_stays_are_told_with_the_rule_in_words(metrics: dict[str, Any]) -> None:
    flow = cohort_flow(given(metrics, stay_counts=COUNTS))
    assert flow["source"] == flow["kept"] + sum(rule["n"] for rule in flow["excluded"])
    assert [rule["n"] for rule in flow["excluded"]] == [12, 2]
    assert flow["elsewhere"] == 0
    assert [split["split"] for split in flow["splits"]] == ["train", "tuning", "held_out"]

    html = cohort_flow_html(flow)
    words = re.sub(r"<[^>]*>", "", html)
    assert "140 stays in the source" in words and "14 stays excluded" in words and "126 stays in the cohort" in words
    assert "12: it is not the first ICU stay of its admission" in words
    assert "none of the splits" not in words
    assert html.count("box chosen") == 1 and "http" not in html


def test_stays_outside_the_splits_have_a_box(metrics: dict[str, Any]) -> None:
    counts = COUNTS | {"in": 1014, "kept": 1000}
    flow = cohort_flow(given(metrics, stay_counts=counts))
    assert flow["elsewhere"] == 1000 - (88 + 19 + 19)
    assert "<strong>874</strong> stays in none of the splits" in cohort_flow_html(flow)


def test_a_store_without_counts_begins_with_its_stays(metrics: dict[str, Any]) -> None:
    for dataset in ({}, {"stay_counts": None}):
        flow = cohort_flow(given(metrics, **dataset))
        assert (flow["source"], flow["excluded"], flow["kept"]) == (None, [], 126)
        assert "in the source" not in cohort_flow_html(flow)
    bare = cohort_flow(given(metrics, splits=None))
    assert bare["kept"] is None and bare["splits"] == []
    assert "in the cohort" not in cohort_flow_html(bare) and "windows" in cohort_flow_html(bare)


def test_the_evaluated_split_tells_windows_days_and_rows(metrics: dict[str, Any]) -> None:
    geometry = {"n_deteriorating": 30, "n_stable": 1, "n_stays": 17}
    flow = cohort_flow({**metrics, "geometry": geometry, "tasks": TASKS})
    assert flow["evaluated"]["tasks"] == [{"task": "icu_mortality", "rows": 19, "subjects": 18, "events": 3}]
    assert flow["evaluated"]["not_asked"] == [{"task": "sepsis", "reason": "not available: needs sepsis-3"}]
    words = re.sub(r"<[^>]*>", " ", cohort_flow_html(flow))
    assert re.search(r"30\s+days of deterioration,\s+1\s+stable one, of\s+17\s+stays", words)
    assert "ICU mortality" in words and "3 (15.8 %)" in words and "1 task that this data cannot tell" in words

    without = cohort_flow({**metrics, "geometry": {"unavailable": "not available: needs sofa"}})
    assert "not available: needs sofa" in cohort_flow_html(without)
    assert cohort_flow(metrics)["evaluated"]["days"] is None
