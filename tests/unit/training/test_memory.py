from pathlib import Path

import psutil
import pytest
import torch

from ropewalk.training import memory
from ropewalk.training.config import TrainingConfig

CPU = torch.device("cpu")


def test_a_configured_limit_is_taken() -> None:
    assert memory.table_bytes(TrainingConfig(table_gigabytes=1.5), CPU) == 1.5e9


def test_half_of_the_free_memory_is_taken_and_never_more_than_the_container_may_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    free = psutil.virtual_memory().available
    assert 0.3 * free < memory.table_bytes(TrainingConfig(), CPU) < 0.7 * free
    (tmp_path / "memory.current").write_text("400000000\n")
    (tmp_path / "memory.stat").write_text("anon 300000000\ninactive_file 100000000\n")
    (tmp_path / "memory.max").write_text("1000000000\n")
    assert memory.table_bytes(TrainingConfig(), CPU) == 0.5 * 700_000_000
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.table_bytes(TrainingConfig(), CPU) > 0.3 * free
