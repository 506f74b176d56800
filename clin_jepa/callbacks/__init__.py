"""The curriculum's phases, one callback a file, and the monitors that watch a run."""

from clin_jepa.callbacks.co_training import CoTraining
from clin_jepa.callbacks.collapse_monitor import CollapseMonitor
from clin_jepa.callbacks.ema_alignment import EMAAlignment
from clin_jepa.callbacks.gap_monitor import GapMonitor
from clin_jepa.callbacks.hard_sync import HardSync
from clin_jepa.callbacks.joint_refinement import JointRefinement
from clin_jepa.callbacks.next_token_tuning import NextTokenTuning
from clin_jepa.callbacks.prediction_writer import PredictionWriter
from clin_jepa.callbacks.predictor_finalization import PredictorFinalization
from clin_jepa.callbacks.predictor_warmup import PredictorWarmup
from clin_jepa.callbacks.progress_bar import CurriculumProgressBar
from clin_jepa.callbacks.rollout_monitor import RolloutMonitor
from clin_jepa.callbacks.tensorboard_page import TensorBoardPage
from clin_jepa.callbacks.throughput import Throughput

__all__ = [
    "CoTraining",
    "CollapseMonitor",
    "CurriculumProgressBar",
    "EMAAlignment",
    "GapMonitor",
    "HardSync",
    "JointRefinement",
    "NextTokenTuning",
    "PredictionWriter",
    "PredictorFinalization",
    "PredictorWarmup",
    "RolloutMonitor",
    "TensorBoardPage",
    "Throughput",
]
