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
        ({"device": "gpu"}, "device='gpu': need one of auto, cpu, cuda"),
        ({"precision": "float23"}, "Did you mean 'float32'"),
    ],
)
def test_values_out_of_range_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TrainingConfig(**settings)
