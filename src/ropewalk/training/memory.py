"""How much memory there is for a table."""

from pathlib import Path

import torch

from ropewalk.training.config import TrainingConfig

_CGROUP = Path("/sys/fs/cgroup")
_SHARE = 0.5


def table_bytes(config: TrainingConfig, device: torch.device) -> float:
    """Return how many bytes of encoded rows may be on `device`: as configured, or half of what is free."""
    if config.table_gigabytes is not None:
        return config.table_gigabytes * 1e9
    return _SHARE * (torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else _free_main_memory())


def _free_main_memory() -> float:
    """Return the bytes that this process may still take: what the machine has, or what the container is allowed."""
    import psutil

    free = float(psutil.virtual_memory().available)
    limit = _CGROUP / "memory.max"
    if not limit.exists() or limit.read_text().strip() == "max":
        return free
    statistics = dict(line.split() for line in (_CGROUP / "memory.stat").read_text().splitlines())
    # As the kubelet counts it: files that were read are cached, and given up when memory is short.
    used = float((_CGROUP / "memory.current").read_text()) - float(statistics["inactive_file"])
    return min(free, float(limit.read_text()) - used)
