"""Where to compute, and how precisely."""

import torch

from ropewalk.errors import TrainingError
from ropewalk.training.config import TrainingConfig
from ropewalk.training.distributed import local_rank


def choose_device(config: TrainingConfig) -> torch.device:
    """Return the device that `config` asks for.

    Raises:
        TrainingError: It asks for a GPU, and torch sees none; or there are fewer GPUs than processes.
    """
    if config.device == "cuda" and not torch.cuda.is_available():
        raise TrainingError(
            "device='cuda' was asked for, but torch sees no GPU here: give the step a GPU (an accelerator limit, and "
            "an image with a CUDA build of torch), or set training.device to 'auto' or 'cpu'."
        )
    if config.device == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    number = local_rank()
    if number >= torch.cuda.device_count():
        raise TrainingError(
            f"Process {number} of this machine has no GPU of its own: torch sees {torch.cuda.device_count()}. Start "
            "one process per GPU (torchrun --nproc-per-node)."
        )
    torch.cuda.set_device(number)
    return torch.device("cuda", number)


def choose_precision(config: TrainingConfig, device: torch.device, task: str) -> torch.dtype:
    """Return the type that matrix products are computed in; parameters and sums stay float32."""
    if config.precision != "auto":
        return torch.bfloat16 if config.precision == "bfloat16" else torch.float32
    if task == "regression":
        return torch.float32
    return torch.bfloat16 if _multiplies_bfloat16(device) else torch.float32


def _multiplies_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    able = torch.cpu.get_capabilities()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))
