import pytest

from ropewalk.config import parse_config
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
        ({"architecture": "tabluar"}, "Did you mean 'tabular'"),
        ({"architecture": "my-nets:build"}, "or your own 'module:function'"),
        ({"architecture": "nets:build:twice"}, "or your own 'module:function'"),
        ({"boosting_rate": 0.0}, r"boosting_rate=0\.0"),
        ({"boosting_leaves": 1}, "boosting_leaves=1"),
        ({"class_weights": {"yes": -1.0}}, "need finite weights of 0 or more"),
        ({"class_weights": {"yes": float("nan")}}, "need finite weights of 0 or more"),
        ({"class_weights": {"yes": 0.0, "no": 0.0}}, "one above 0"),
    ],
)
def test_values_out_of_range_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TrainingConfig(**settings)


def test_settings_from_json_are_read() -> None:
    wanted = {"architecture": "shop.networks:build", "class_weights": {"yes": 3, "no": 0.5}, "weight_column": "w"}
    config = parse_config(TrainingConfig, wanted, section="training")
    assert config.architecture == "shop.networks:build"
    assert config.class_weights == {"yes": 3.0, "no": 0.5}
    assert parse_config(TrainingConfig, {"class_weights": "balanced"}).class_weights == "balanced"
    with pytest.raises(ConfigError, match="class_weights"):
        parse_config(TrainingConfig, {"class_weights": "balancd"})
