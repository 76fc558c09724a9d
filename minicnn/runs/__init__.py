"""Runs: one training from its config to its folder, and back from the folder to the trained model."""

from minicnn.runs.config import TrainConfig
from minicnn.runs.create import create_run, prolong, relocate
from minicnn.runs.data import Data, load_data
from minicnn.runs.evaluation_data import load_evaluation_data, load_parts, load_test_data, with_dataset
from minicnn.runs.folder import Run, open_run, open_unfinished_run
from minicnn.runs.pictures import draw, has_pictures, redraw
from minicnn.runs.records import is_finished, read_history, read_result
from minicnn.runs.report import report
from minicnn.runs.train import TrainResult, check_outputs, evaluate, train
from minicnn.runs.trained import open_trained

__all__ = [
    "Data",
    "Run",
    "TrainConfig",
    "TrainResult",
    "check_outputs",
    "create_run",
    "draw",
    "evaluate",
    "has_pictures",
    "is_finished",
    "load_data",
    "load_evaluation_data",
    "load_parts",
    "load_test_data",
    "open_run",
    "open_trained",
    "open_unfinished_run",
    "prolong",
    "read_history",
    "read_result",
    "redraw",
    "relocate",
    "report",
    "train",
    "with_dataset",
]
