"""Ropewalk's KFP components: one thin adapter per step."""

from ropewalk.components.check.component import check_config
from ropewalk.components.evaluate.component import evaluate_model
from ropewalk.components.fetch.component import fetch_champion
from ropewalk.components.launch.component import launch_training
from ropewalk.components.preprocess.component import preprocess_table
from ropewalk.components.pull.component import pull_data
from ropewalk.components.push.component import push_data
from ropewalk.components.register.component import register_model
from ropewalk.components.report.component import report_run
from ropewalk.components.resolve.component import resolve_data
from ropewalk.components.train.component import train_model
from ropewalk.components.tune.component import tune_model
from ropewalk.components.validate.component import validate_data
from ropewalk.components.version.component import version_results

__all__ = [
    "check_config",
    "evaluate_model",
    "fetch_champion",
    "launch_training",
    "preprocess_table",
    "pull_data",
    "push_data",
    "register_model",
    "report_run",
    "resolve_data",
    "train_model",
    "tune_model",
    "validate_data",
    "version_results",
]
