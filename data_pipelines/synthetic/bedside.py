"""What is there to be seen at the bedside each hour: vital signs, ventilator, gases, laboratory values, words and conditions."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_pipelines.synthetic.arrays import Flags, Floats
from data_pipelines.synthetic.people import People
from data_pipelines.synthetic.physiology import Course

# Readings are 32 or 64 bits wide, as the arithmetic leaves them.
Readings = NDArray[np.floating[Any]]

CANNULA, FACE_TENT, HIGH_FLOW, NON_REBREATHER, BIPAP, TUBE, TRACHEOSTOMY = range(1, 8)
DRIPS = (
    "norepinephrine",
    "phenylephrine",
    "vasopressin",
    "epinephrine",
    "propofol",
    "fentanyl",
    "midazolam",
    "dexmedetomidine",
    "insulin",
)


@dataclass(frozen=True)
class Bedside:
    """Hourly readings of all stays of a chunk.

    Attributes:
        quantity: Readings by name, in MIMIC's units, a value an hour; those of wording.py are codes of words.
        when: Conditions by name, true in the hours in which they hold.
        drip: Rates of the infusions that the course of the stay decides, 0 where none runs.
    """

    quantity: dict[str, Readings]
    when: dict[str, Flags]
    drip: dict[str, Floats]


class _Observer:
    """Draws an hour's or a stay's share of chance for each reading."""

    def __init__(self, rng: np.random.Generator, people: People, course: Course) -> None:
        self.rng, self.people, self.course = rng, people, course
        self.n_stays, self.n_hours = len(people.stay_id), len(course.stay)

    def noise(self, scale: float) -> Floats:
        return np.float32(scale) * self.rng.standard_normal(self.n_hours, dtype=np.float32)

    def luck(self) -> Floats:
        return self.rng.random(self.n_hours, dtype=np.float32)

    def habit(self, scale: float) -> Floats:
        """A deviation that a stay keeps."""
        return (scale * self.rng.standard_normal(self.n_stays)).astype(np.float32)[self.course.stay]

    def some_stays(self, share: float) -> Flags:
        return (self.rng.random(self.n_stays) < share)[self.course.stay]


def observe(rng: np.random.Generator, people: People, course: Course) -> Bedside:
    """Read all stays of a chunk, hour by hour."""
    observer = _Observer(rng, people, course)
    quantity: dict[str, Readings] = {}
    when = _conditions(observer, people, course)
    _consciousness(observer, course, when, quantity)
    _circulation(observer, course, when, quantity)
    _ventilation(observer, course, when, quantity)
    _gases(observer, course, when, quantity)
    _blood(observer, course, quantity)
    _kidney(observer, course, when, quantity)
    _late_conditions(observer, course, when, quantity)
    return Bedside(quantity, when, _drips(observer, course, when, quantity))


def _conditions(observer: _Observer, people: People, course: Course) -> dict[str, Flags]:
    state, stay, hour = course.state, course.stay, course.hour
    surgical, neuro = people.stay_surgical[stay], people.stay_neuro[stay]
    ventilated = state["ventilated"] > 0
    resting = (state["brain"] > 1.2) | (state["hours_ventilated"] < 14) | (state["fio2"] > 0.5)
    return {
        "always": np.ones(len(stay), dtype=np.bool_),
        "ventilated": ventilated,
        "controlled": ventilated & resting,
        "spontaneous": ventilated & ~resting,
        "noninvasive": state["noninvasive"] > 0,
        "arterial_line": state["arterial_line"] > 0,
        "central_line": state["central_line"] > 0,
        "pa_catheter": surgical & observer.some_stays(0.3) & (hour < 28),
        "icp": neuro & observer.some_stays(0.2) & (hour < 160),
        "crrt": state["crrt"] > 0,
        "dialysis": state["dialysis"] > 0,
        "vasopressor": state["norepinephrine_equivalent"] > 0,
        "tube_fed": state["hours_ventilated"] > 16,
        "surgical": surgical,
        "first_hours": hour < 3,
        "infected": (hour >= course.patients.antibiotic_hour[stay]),
    }


def _consciousness(observer: _Observer, course: Course, when: dict[str, Flags], quantity: dict[str, Readings]) -> None:
    brain, tube = course.state["brain"], when["ventilated"]
    depth = np.where(tube, 1.6 + 0.5 * np.maximum(brain, -0.5) - 0.012 * np.minimum(course.state["hours_ventilated"], 80), 0)
    depth = np.clip(depth + observer.habit(0.5) * tube, 0, 4)
    lost = np.maximum(brain - 0.6, 0) * 1.1 + 0.8 * depth + 0.35 * observer.noise(1)
    quantity["gcs_eye"] = np.digitize(-lost, [-3.2, -2.4, -1.2]).astype(np.float32)
    quantity["gcs_motor"] = np.digitize(-lost, [-4.2, -3.9, -3.6, -3.0, -2.2]).astype(np.float32)
    verbal = 1 + np.digitize(-lost, [-2.8, -2.0, -1.6, -0.7])
    quantity["gcs_verbal"] = np.where(tube, 0, verbal).astype(np.float32)
    rass = 5 - np.round(1.15 * depth + 0.4 * np.maximum(brain - 0.8, 0) + 0.5 * observer.noise(1))
    quantity["rass"] = np.clip(rass, 0, 9).astype(np.float32)
    quantity["sedation"] = depth.astype(np.float32)
    when["awake"] = ~tube & (lost < 0.9)
    when["agitated"] = quantity["rass"] > 5


def _circulation(observer: _Observer, course: Course, when: dict[str, Flags], quantity: dict[str, Readings]) -> None:
    state, stay = course.state, course.stay
    fibrillation = observer.some_stays(0.17)
    paced = observer.some_stays(0.05)
    temperature = state["temperature"] + observer.noise(0.1)
    rate = course.patients.heart_level[stay] + state["heart_drift"] + 5.5 * np.maximum(state["circulation"], -1.2)
    rate = np.clip(rate + 7 * (temperature - 36.8) + 6 * fibrillation + observer.noise(2.5), 32, 190)
    quantity["heart_rate"] = np.where(paced, np.maximum(rate, 80), rate).astype(np.float32)
    sinus = np.where(rate > 100, 1, np.where(rate < 60, 2, 0))
    quantity["heart_rhythm"] = np.where(paced, 4, np.where(fibrillation, 3, sinus)).astype(np.float32)
    quantity["mbp"] = state["mbp"]
    pulse = np.clip(48 + 0.35 * (state["mbp"] - 75) + observer.habit(9) + observer.noise(4), 14, 110)
    quantity["sbp"] = state["mbp"] + 0.64 * pulse
    quantity["dbp"] = state["mbp"] - 0.36 * pulse
    quantity["temperature"] = temperature
    quantity["temperature_f"] = temperature * 1.8 + 32
    quantity["cvp"] = np.clip(10 + 1.5 * state["kidney"] + observer.habit(3) + observer.noise(1.5), 0, 35)
    pap = np.clip(21 + 2.5 * state["respiration"] + observer.habit(5) + observer.noise(1.5), 8, 60)
    quantity["pap_mean"], quantity["pap_systolic"], quantity["pap_diastolic"] = pap, pap * 1.45, pap * 0.72
    quantity["cardiac_output"] = np.clip(5.2 - 0.3 * state["circulation"] + observer.habit(1) + observer.noise(0.3), 1.5, 12)
    quantity["svo2"] = np.clip(66 - 3 * state["circulation"] + observer.habit(4) + observer.noise(2), 25, 90)
    quantity["icp"] = np.clip(7 + 3 * np.maximum(state["brain"], 0) + observer.habit(2) + observer.noise(2), -2, 60)
    quantity["cpp"] = np.clip(state["mbp"] - quantity["icp"], 5, 150)
    quantity["weight"] = course.patients.weight[stay] * (1 + 0.002 * np.minimum(course.hour / 24, 10)).astype(np.float32)
    quantity["weight_lb"] = quantity["weight"] / np.float32(0.45359237)
    quantity["height"] = course.patients.height[stay]
    when["fibrillation"] = fibrillation & (rate > 95)
    when["low_pressure"] = state["mbp"] < 66
    when["hypertensive"] = state["mbp"] > 92
    when["overloaded"] = quantity["cvp"] > 11


def _ventilation(observer: _Observer, course: Course, when: dict[str, Flags], quantity: dict[str, Readings]) -> None:
    state = course.state
    tube, controlled = when["ventilated"], when["controlled"]
    fio2 = np.where(tube, np.round(state["fio2"] * 20) * 5, np.round(state["fio2"] * 100)).astype(np.float32)
    device = np.digitize(state["fio2"], [0.235, 0.42, 0.55, 0.72]).astype(np.int64)
    device = np.where(when["noninvasive"], BIPAP, device)
    device = np.where(tube, np.where(state["hours_ventilated"] > 300, TRACHEOSTOMY, TUBE), device)
    quantity["oxygen_device"] = device.astype(np.float32)
    when["oxygen"] = (device >= CANNULA) & (device <= NON_REBREATHER)
    quantity["fio2"] = fio2
    quantity["oxygen_flow"] = np.round(np.clip((state["fio2"] - 0.2) * 28, 1, 15)).astype(np.float32)
    set_rate = np.round(np.clip(16 + 1.6 * state["respiration"] + observer.habit(1.5), 10, 34))
    own_rate = np.clip(18 + 1.9 * np.maximum(state["respiration"], -1) + observer.habit(2) + observer.noise(1.8), 6, 48)
    quantity["respiratory_rate_set"] = set_rate.astype(np.float32)
    quantity["respiratory_rate"] = np.where(controlled, np.maximum(set_rate, set_rate + observer.noise(1)), own_rate).astype(np.float32)
    quantity["respiratory_rate_spontaneous"] = np.where(controlled, 0, own_rate).astype(np.float32)
    ideal = 50 + 0.91 * (quantity["height"] - 152.4) - 2
    quantity["tidal_volume_set"] = np.round(np.clip(ideal * 6.6, 260, 650) / 10) * 10
    quantity["tidal_volume"] = np.clip(quantity["tidal_volume_set"] * (1 + observer.noise(0.1)), 150, 1200)
    quantity["minute_volume"] = quantity["tidal_volume"] * quantity["respiratory_rate"] / 1000
    peep = np.digitize(state["fio2"], [0.45, 0.55, 0.65, 0.8, 0.95])
    quantity["peep"] = np.array([5, 8, 10, 12, 14, 16], dtype=np.float32)[peep]
    stiff = 13 + 2.2 * np.maximum(state["respiration"], 0) + observer.noise(1.2)
    quantity["plateau_pressure"] = np.clip(quantity["peep"] + stiff, 8, 45)
    quantity["peak_pressure"] = quantity["plateau_pressure"] + 4 + np.abs(observer.noise(2))
    quantity["airway_pressure"] = quantity["peep"] + 0.3 * stiff
    quantity["pressure_support"] = np.where(state["respiration"] > 0.8, 10, 5).astype(np.float32)
    quantity["pressure_control"] = np.round(stiff)
    quantity["nitric_oxide"] = np.full(len(fio2), 20, dtype=np.float32)
    quantity["ventilator_mode"] = np.where(controlled, 0, 1) + np.where(observer.luck() < 0.06, 2, 0).astype(np.float32)
    quantity["hamilton_mode"] = np.where(controlled, 0, 1) + np.where(observer.luck() < 0.06, 2, 0).astype(np.float32)
    quantity["niv_mode"] = np.where(observer.some_stays(0.7), 0, 1).astype(np.float32)
    quantity["ipap"] = np.where(state["respiration"] > 1.5, 15, 12).astype(np.float32)
    quantity["epap"] = np.where(state["respiration"] > 1.5, 8, 5).astype(np.float32)
    quantity["pao2"] = state["pao2"] * (1 + observer.noise(0.05))
    seen = quantity["pao2"] ** 2.7
    quantity["spo2"] = np.clip(100 * seen / (seen + 26.6**2.7) + observer.noise(0.9), 55, 100)


def _gases(observer: _Observer, course: Course, when: dict[str, Flags], quantity: dict[str, Readings]) -> None:
    state = course.state
    paco2 = np.clip(state["paco2"] - 1.2 * np.maximum(24 - state["bicarbonate"], 0) * 0.8 + observer.noise(1.5), 14, 110)
    bicarbonate = np.clip(state["bicarbonate"] - 0.8 * (np.exp(state["lactate"]) - 1.5), 4, 45)
    quantity["paco2"], quantity["bicarbonate"] = paco2, bicarbonate
    quantity["ph"] = np.clip(6.1 + np.log10(bicarbonate / (0.0307 * paco2)), 6.8, 7.65)
    quantity["base_excess"] = 0.93 * (bicarbonate - 24.4 + 14.8 * (quantity["ph"] - 7.4))
    quantity["total_co2"] = bicarbonate + 0.03 * paco2
    quantity["sao2"] = np.clip(quantity["spo2"] + observer.noise(0.7), 40, 100)
    quantity["etco2"] = np.clip(paco2 - 4 + observer.noise(1.5), 10, 90)
    quantity["lactate"] = np.exp(state["lactate"] + observer.noise(0.05))
    quantity["ionized_calcium"] = np.clip(1.14 + observer.habit(0.05) + observer.noise(0.03), 0.7, 1.6)


def _blood(observer: _Observer, course: Course, quantity: dict[str, Readings]) -> None:
    state = course.state
    liver, infection = np.maximum(state["liver"], 0), state["infection"]
    quantity["sodium"] = state["sodium"] + observer.noise(0.8)
    quantity["potassium"] = np.clip(state["potassium"] + observer.noise(0.12), 2.2, 8.5)
    quantity["chloride"] = quantity["sodium"] - quantity["bicarbonate"] - 11.5 + observer.habit(1.5) + observer.noise(1)
    quantity["anion_gap"] = np.clip(
        quantity["sodium"] + quantity["potassium"] - quantity["chloride"] - quantity["bicarbonate"] - 3 + np.exp(state["lactate"]), 4, 45
    )
    quantity["glucose"] = np.clip(np.exp(state["glucose"] + observer.noise(0.08)), 35, 900)
    quantity["magnesium"] = np.clip(2.05 + observer.habit(0.15) + observer.noise(0.12), 1, 4.5)
    quantity["calcium"] = np.clip(8.4 + observer.habit(0.5) + observer.noise(0.2), 5.5, 12.5)
    quantity["phosphate"] = np.clip(3.3 + 0.4 * np.maximum(state["kidney"], 0) + observer.habit(0.6) + observer.noise(0.4), 0.8, 11)
    quantity["creatinine"], quantity["bun"] = state["creatinine"] * (1 + observer.noise(0.02)), state["bun"] * (1 + observer.noise(0.02))
    quantity["hemoglobin"] = np.clip(state["hemoglobin"] + observer.noise(0.2), 4.5, 18)
    quantity["hematocrit"] = quantity["hemoglobin"] * 3.02 + observer.noise(0.4)
    quantity["red_cells"] = quantity["hemoglobin"] / 3 + observer.noise(0.05)
    quantity["platelets"] = np.clip(np.exp(state["platelets"] + observer.noise(0.03)), 5, 1200)
    quantity["wbc"] = np.clip(np.exp(state["wbc"] + observer.noise(0.06)), 0.2, 120)
    quantity["inr"] = np.clip(np.exp(state["inr"]) + observer.noise(0.03), 0.9, 14)
    quantity["pt"] = quantity["inr"] * 11.2 + observer.noise(0.3)
    quantity["ptt"] = np.clip(30 * quantity["inr"] ** 0.7 * np.exp(observer.habit(0.2) + observer.noise(0.05)), 20, 150)
    quantity["fibrinogen"] = np.clip(300 * np.exp(observer.habit(0.4)) * (1 + infection) / (1 + 0.3 * liver), 60, 1100)
    quantity["bilirubin"] = np.clip(np.exp(state["bilirubin"] + observer.noise(0.04)), 0.1, 60)
    quantity["bilirubin_direct"] = quantity["bilirubin"] * 0.55
    quantity["alt"] = np.clip(28 * np.exp(1.1 * liver + observer.habit(0.6) + observer.noise(0.1)), 4, 9000)
    quantity["ast"] = np.clip(quantity["alt"] * 1.3 * np.exp(observer.habit(0.3)), 5, 12000)
    quantity["alp"] = np.clip(90 * np.exp(0.3 * liver + observer.habit(0.4)), 25, 1500)
    quantity["ldh"] = np.clip(260 * np.exp(0.35 * liver + observer.habit(0.35) + observer.noise(0.05)), 90, 9000)
    quantity["albumin"] = np.clip(3.2 - 0.2 * liver - 0.3 * infection + observer.habit(0.4), 1.2, 5)
    quantity["neutrophils"] = np.clip(74 + 10 * infection + observer.habit(8) + observer.noise(3), 5, 98)
    quantity["lymphocytes"] = np.clip(98 - quantity["neutrophils"] - 8 + observer.noise(2), 0, 80)
    quantity["bands"] = np.clip(6 * infection + observer.noise(2), 0, 40)
    quantity["troponin"] = np.exp(-3.2 + 0.9 * np.maximum(state["circulation"], 0) + observer.habit(1.1))
    quantity["ntprobnp"] = np.clip(np.exp(7 + 0.5 * state["circulation"] + observer.habit(1.1)), 20, 70000)
    quantity["ck"] = np.clip(np.exp(5 + observer.habit(1.2) + 0.3 * state["circulation"]), 15, 60000)
    quantity["crp"] = np.clip(np.exp(2.2 + 2.2 * infection + observer.habit(0.8)), 0.3, 400)


def _kidney(observer: _Observer, course: Course, when: dict[str, Flags], quantity: dict[str, Readings]) -> None:
    state, stay = course.state, course.stay
    rate = quantity["weight"] * 1.05 * np.exp(-0.75 * np.maximum(state["kidney"], -0.6)) * np.clip((state["mbp"] - 38) / 35, 0.1, 1.3)
    rate = np.where(course.patients.dialysis_dependent[stay], 0.06, 1) * rate * np.where(when["crrt"], 0.35, 1)
    quantity["urine"] = np.clip(rate * np.exp(observer.noise(0.45) + observer.habit(0.25)), 0, 900)
    quantity["crrt_mode"] = np.where(observer.some_stays(0.85), 0, 1).astype(np.float32)
    quantity["blood_flow"] = np.round((180 + observer.habit(40)) / 10) * 10
    quantity["dialysate_rate"] = np.round((900 + observer.habit(300)) / 100) * 100
    quantity["replacement_rate"] = np.round((1600 + observer.habit(300)) / 100) * 100
    quantity["prefilter_rate"] = np.round((1400 + observer.habit(300)) / 100) * 100
    quantity["fluid_removal"] = np.clip(np.round((220 + observer.habit(80) + observer.noise(70)) / 10) * 10, 0, 800)
    quantity["citrate_rate"] = np.where(observer.some_stays(0.8), 180, 0).astype(np.float32)
    quantity["dialysis_output"] = np.clip(np.round((600 + observer.noise(300)) / 50) * 50, 100, 3000)


def _late_conditions(observer: _Observer, course: Course, when: dict[str, Flags], quantity: dict[str, Readings]) -> None:
    when["low_potassium"] = quantity["potassium"] < 4.0
    when["anemic"] = quantity["hemoglobin"] < 8.0
    when["low_platelets"] = quantity["platelets"] < 80
    when["high_inr"] = quantity["inr"] > 1.6
    when["hyperglycemic"] = quantity["glucose"] > 160


def _drips(observer: _Observer, course: Course, when: dict[str, Flags], quantity: dict[str, Readings]) -> dict[str, Floats]:
    """Doses in the units of MIMIC's rate column: mcg/kg/min, units/hour for vasopressin and insulin, mcg/hour for fentanyl."""
    dose = course.state["norepinephrine_equivalent"]
    with_phenylephrine = np.where(when["surgical"], observer.some_stays(0.55), observer.some_stays(0.18))
    depth = np.clip(quantity["sedation"] + 0.3, 0, 4) * when["ventilated"]
    # Doses change every other hour or so, when somebody looks at the depth of sedation.
    reread = (observer.luck() < 0.55) | (course.hour == 0) | course.starts(when["ventilated"])
    last_look = np.maximum.accumulate(np.where(reread, np.arange(len(depth)), 0))
    depth = np.clip(depth + observer.noise(0.25), 0.2, 4)[last_look] * when["ventilated"]
    sedative = observer.rng.random(observer.n_stays)[course.stay]
    sugar = observer.some_stays(0.28) & (quantity["glucose"] > 170)
    zero = np.float32(0)
    drips = {
        "norepinephrine": np.where(with_phenylephrine, zero, np.round(np.minimum(dose, 0.6), 2)),
        "phenylephrine": np.where(with_phenylephrine, np.round(dose * 8, 1), zero),
        "vasopressin": np.where(dose > 0.25, np.float32(2.4), zero),
        "epinephrine": np.where(dose > 0.55, np.round((dose - 0.5) * 0.4, 2), zero),
        "propofol": np.where(sedative < 0.7, np.round(depth * 15 / 5) * 5, zero),
        "midazolam": np.where(sedative > 0.84, np.round(depth * 1.6), zero),
        "dexmedetomidine": np.where((sedative >= 0.7) & (sedative <= 0.84), np.round(depth * 0.3, 1), zero),
        "fentanyl": np.where(observer.some_stays(0.6), np.round(depth * 40 / 25) * 25, zero),
        "insulin": np.where(sugar, np.round((quantity["glucose"] - 100) / 25), zero),
    }
    return {name: rate.astype(np.float32) for name, rate in drips.items()}
