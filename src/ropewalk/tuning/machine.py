"""What each trial gets of this machine: its part of the processors, and GPUs in turn."""

import os
from pathlib import Path


class Machine:
    """The processors and GPUs that trials may use."""

    def __init__(self, *, cpus: int | None = None, gpus: int | None = None) -> None:
        """Take `cpus` processors and the first `gpus` GPUs; by default all that this process may use."""
        visible = visible_gpus()
        self.cpus = cpus or usable_cpus()
        self.gpus = visible if gpus is None else visible[:gpus]
        self._hides_gpus = bool(visible)

    def env(self, slot: int, *, parallel: int, processes: int, gpus: int) -> dict[str, str]:
        """Return what keeps trials from taking each other's processors, GPUs and ports.

        Args:
            slot: The trial's place among those that run, from 0.
            parallel: How many run at the same time.
            processes: Processes of each trial.
            gpus: GPUs that each asks for; one is given where there are any.
        """
        threads = max(1, self.cpus // (parallel * processes))
        env = {"OMP_NUM_THREADS": str(threads), "PYTHONUNBUFFERED": "1"}
        if self._hides_gpus:
            env["CUDA_VISIBLE_DEVICES"] = ",".join(self._share(slot, max(1, gpus)))
        # torchrun reads PET_*: without the first, every trial would listen on the same port.
        return {**env, "PET_STANDALONE": "1", "PET_NPROC_PER_NODE": str(processes)}

    def _share(self, slot: int, count: int) -> list[str]:
        most = len(self.gpus)
        return [self.gpus[(slot * count + place) % most] for place in range(min(count, most))]


def usable_cpus() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def visible_gpus() -> list[str]:
    """Return the GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [each.strip() for each in named.split(",") if each.strip()]
    places = [path.name.removeprefix("nvidia") for path in Path("/dev").glob("nvidia[0-9]*")]
    return sorted(places, key=int)
