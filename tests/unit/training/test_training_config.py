import pytest

from ropewalk.errors import ConfigError
from ropewalk.training.config import TrainingConfig


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 0}, "batch_size=0"),
        ({"width": 0}, "width=0"),
        ({"dropout": 1.0}, r"dropout=1\.0"),
        ({"unknown_rate": -0.1}, "unknown_rate"),
        ({"learning_rate": 0}, "learning_rate=0"),
        ({"weight_decay": -1}, "weight_decay=-1"),
        ({"clip": 0}, "clip=0: need a value above 0"),
        ({"accumulate": 0}, "accumulate=0: need at least 1"),
        ({"max_seconds": -1.0}, r"max_seconds=-1\.0"),
        ({"checkpoint_steps": 0}, "checkpoint_steps=0"),
        ({"checkpoint_seconds": 0.0}, r"checkpoint_seconds=0\.0"),
        ({"log_seconds": float("nan")}, "log_seconds=nan"),
        ({"table_gigabytes": 0.0}, r"table_gigabytes=0\.0"),
        ({"shuffle_rows": 0}, "shuffle_rows=0"),
        ({"device": "gpu"}, "device='gpu': need one of auto, cpu, cuda"),
        ({"precision": "float23"}, "Did you mean 'float32'"),
    ],
)
def test_values_out_of_range_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TrainingConfig(**settings)
