"""Findings that MIMIC-IV words, as it words them, with the number beside the word where there is one."""

# Each tuple is ordered by the code that bedside.py gives the finding.
WORDED: dict[str, tuple[tuple[str, int | None], ...]] = {
    "heart_rhythm": (
        ("SR (Sinus Rhythm)", None),
        ("ST (Sinus Tachycardia) ", None),
        ("SB (Sinus Bradycardia)", None),
        ("AF (Atrial Fibrillation)", None),
        ("V Paced", None),
        ("A Paced", None),
        ("1st AV (First degree AV Block) ", None),
    ),
    "oxygen_device": (
        ("None", None),
        ("Nasal cannula", None),
        ("Face tent", None),
        ("High flow nasal cannula", None),
        ("Non-rebreather", None),
        ("Bipap mask ", None),
        ("Endotracheal tube", None),
        ("Tracheostomy tube", None),
    ),
    "ventilator_mode": (
        ("CMV/ASSIST/AutoFlow", 49),
        ("CPAP/PSV", 11),
        ("CMV/ASSIST", 2),
        ("PSV/SBT", None),
        ("MMV/PSV/AutoFlow", 51),
        ("PCV+Assist", 50),
    ),
    "hamilton_mode": (("APV (cmv)", 9), ("SPONT", 5), ("P-CMV", 7), ("VS", 16), ("NIV", 13)),
    "niv_mode": (("Spontaneous (S)", None), ("Spontaneous/Timed (S/T)", None)),
    "crrt_mode": (("CVVHDF", None), ("CVVHD", None), ("CVVH", None), ("SCUF", None)),
    "gcs_eye": (("None", 1), ("To Pain", 2), ("To Speech", 3), ("Spontaneously", 4)),
    "gcs_verbal": (
        ("No Response-ETT", 1),
        ("No Response", 1),
        ("Incomprehensible sounds", 2),
        ("Inappropriate Words", 3),
        ("Confused", 4),
        ("Oriented", 5),
    ),
    "gcs_motor": (
        ("No response", 1),
        ("Abnormal extension", 2),
        ("Abnormal Flexion", 3),
        ("Flex-withdraws", 4),
        ("Localizes Pain", 5),
        ("Obeys Commands", 6),
    ),
    "rass": (
        ("-5 Unarousable, no response to voice or physical stimulation", -5),
        ("-4 Deep sedation, no response to voice, but movement or eye opening to physical stimulation", -4),
        ("-3 Moderate sedation, movement or eye opening; No eye contact", -3),
        ("-2 Light sedation, briefly awakens to voice (eye opening/contact) < 10 sec", -2),
        ("-1 Awakens to voice (eye opening/contact) > 10 sec", -1),
        (" 0  Alert and calm", 0),
        ("+1 Anxious, apprehensive, but not aggressive", 1),
        ("+2 Frequent nonpurposeful movement, fights ventilator", 2),
        ("+3 Pulls or removes tube(s) or catheter(s); aggressive", 3),
        ("+4 Combative, violent, danger to staff", 4),
    ),
}

SPECIMENS = ("ART.", "VEN.", "CENTRAL VENOUS.", "MIX.")
"""Words of the specimen type that MIMIC-IV files beside a blood gas (item 52033)."""
