"""Notices of other libraries that tell a user of Clin-JEPA nothing and look like trouble."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_WARNINGS = (
    ".*does not have many workers.*",  # windows are assembled in microseconds from memory-mapped files
    ".*Checkpoint directory .* exists and is not empty.*",  # phases share their run's folder, guarded by our own check
    ".*callbacks used to create the checkpoint need to be provided.*",  # a phase's state is the module's
    "The dirpath has changed from .*",  # a phase may continue in a folder of its own
    r"It is recommended to use `self.log\('(collapse|rollout|step)",  # every process validates all windows, so the figures are equal
    "FSDP2-wrapped module .* returned a view tensor.*",  # nobody changes the predictor's output in place
    ".*is_gradient_checkpointing.*",  # peft 0.21 on transformers 5.23
    ".*isinstance.treespec, LeafSpec.*",  # Lightning 2.6 on torch 2.13
)


def silence_expected_notices() -> None:
    """Silence what is expected; everything else stays audible."""
    for message in _WARNINGS:
        warnings.filterwarnings("ignore", message=message)
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # an optional CPU kernel is missing
    logging.getLogger("lightning.pytorch.utilities.rank_zero").addFilter(_is_no_tip)
    logging.getLogger("lightning.fabric.utilities.rank_zero").addFilter(_is_no_tip)


@contextmanager
def without_lightning_notices() -> Iterator[None]:
    """Keep Lightning from telling about devices and loggers within a block: for the many small trainings of an evaluation."""
    logger = logging.getLogger("lightning.pytorch")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _is_no_tip(record: logging.LogRecord) -> bool:
    text = record.getMessage().lower()
    return "litlogger" not in text and "litmodels" not in text and "tip:" not in text
