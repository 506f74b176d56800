"""A task whose inputs the data set lacks has no labels; every other task keeps its own."""

import pytest

from data_pipelines.labels import TASKS, missing_needs, needs
from tests.data_pipelines.concepts.bedside import Stay, ward

# What a data set lacks, and the tasks that it then cannot tell.
LACKS = [
    ({"lactate"}, {"circulatory_failure"}),
    ({"norepinephrine"}, {"circulatory_failure"}),
    ({"mbp"}, set()),
    ({"mbp", "mbp_arterial"}, {"circulatory_failure"}),
    ({"po2_arterial"}, {"respiratory_failure", "severe_respiratory_failure"}),
    ({"creatinine"}, {"severe_liver_dysfunction"}),
    ({"urine_output"}, set()),
    ({"creatinine", "urine_output"}, {"severe_liver_dysfunction", "kidney_failure"}),
    ({"bilirubin_total"}, {"severe_liver_dysfunction"}),
    ({"inr"}, {"severe_liver_dysfunction"}),
    ({"sepsis-3"}, {"sepsis", "sepsis_onset"}),
    ({"hospital death"}, {"hospital_mortality"}),
    ({"ICU death"}, {"icu_mortality", "icu_mortality_at_24h"}),
    ({"hour of death"}, {"decompensation"}),
    ({"day of death"}, {f"death_within_{days}_days" for days in (7, 14, 30, 90)}),
    ({"length of stay"}, {"prolonged_stay"}),
]
# A stay that every task can label.
WHOLE = (
    Stay(60, death=50, died_in_hospital=True)
    .read(30, "mbp", 55).read(30, "lactate", 4).read(30, "po2_arterial", 60).read(30, "fio2_gas", 80)
    .read(10, "creatinine", 1).read(30, "creatinine", 3).read(30, "inr", 5).read(30, "bilirubin_total", 20).read(30, "platelets", 40)
    .infected([30], [31])
)  # fmt: skip


def test_every_task_labels_the_whole_stay() -> None:
    with ward({"whole": WHOLE}) as run:
        assert {task for (task,) in run.rows("labels", "whole", "DISTINCT task")} == set(TASKS)


@pytest.mark.parametrize(("lacks", "silent"), LACKS, ids=[" and ".join(sorted(lacks)) for lacks, _ in LACKS])
def test_a_task_without_its_inputs_gives_no_label(lacks: set[str], silent: set[str]) -> None:
    assert {task for task in TASKS if missing_needs(task, lacks)} == silent
    with ward({"whole": WHOLE}, unavailable=lacks) as run:
        assert {task for (task,) in run.rows("labels", "whole", "DISTINCT task")} == set(TASKS) - silent


def test_no_task_at_all() -> None:
    everything = {name for task in TASKS for either in needs(task) for name in either}
    with ward({"whole": WHOLE}, unavailable=everything) as run:
        assert not run.rows("labels", "whole", "task")


def test_every_need_is_tested() -> None:
    assert {name for task in TASKS for either in needs(task) for name in either} == set().union(*(lacks for lacks, _ in LACKS))


def test_labels_are_sorted_and_unique() -> None:
    with ward({"whole": WHOLE, "other": Stay(30)}) as run:
        keys = run.database.execute("SELECT task, stay_id, hour FROM labels")
        assert keys == sorted(keys) and len(keys) == len(set(keys))
