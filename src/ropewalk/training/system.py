"""What the machine does while a network trains, under the names of MLflow's system metrics."""

import functools

import torch

_PREFIX = "system/"


class SystemMonitor:
    """Samples processor, memory and GPU; processor figures are means since the sample before."""

    def __init__(self, device: torch.device) -> None:
        import psutil

        self._device = device
        self._psutil = psutil
        self._process = psutil.Process()
        self._psutil.cpu_percent()

    def sample(self) -> dict[str, float]:
        """Return figures by name: percentages 0 to 100, memory in megabytes (1e6 bytes)."""
        figures = {
            "cpu_utilization_percentage": self._psutil.cpu_percent(),
            "system_memory_usage_megabytes": self._psutil.virtual_memory().used / 1e6,
            "process_memory_megabytes": self._process.memory_info().rss / 1e6,
        }
        if self._device.type == "cuda":
            number = self._device.index or 0
            free, total = torch.cuda.mem_get_info(self._device)
            figures[f"gpu_{number}_memory_usage_megabytes"] = (total - free) / 1e6
            figures[f"gpu_{number}_memory_usage_percentage"] = 100 * (1 - free / total)
            utilization = _gpu_utilization(number)
            if utilization is not None:
                figures[f"gpu_{number}_utilization_percentage"] = utilization
        return {f"{_PREFIX}{name}": round(value, 1) for name, value in figures.items()}


def gpu_words(figures: dict[str, float]) -> str:
    """Return a sample's GPU memory and utilisation for a progress line, "" without a GPU."""
    words = []
    for name, value in figures.items():
        if name.endswith("_memory_usage_megabytes") and "gpu" in name:
            words.append(f"{value / 1e3:.1f} GB of GPU memory")
        elif name.endswith("_utilization_percentage") and "gpu" in name:
            words.append(f"GPU {value:.0f} % busy")
    return "  ".join(words)


def _gpu_utilization(number: int) -> float | None:
    if not _has_nvml():
        return None
    return float(torch.cuda.utilization(number))


@functools.cache
def _has_nvml() -> bool:
    try:
        torch.cuda.utilization()
    except (ImportError, RuntimeError):
        return False
    return True
