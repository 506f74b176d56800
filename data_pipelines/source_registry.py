"""The sources that ``clinjepa extract --source`` knows."""

from data_pipelines.cinc_2012 import CINC_2012
from data_pipelines.cinc_2019 import CINC_2019
from data_pipelines.meds import MEDS
from data_pipelines.mimic_iv import MIMIC_IV
from data_pipelines.source import Source

SOURCES: dict[str, Source] = {source.name: source for source in (MIMIC_IV, MEDS, CINC_2012, CINC_2019)}
