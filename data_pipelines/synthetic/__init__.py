"""A synthetic hospital in the shape of MIMIC-IV v3.1: ``clinjepa synthesize``."""
