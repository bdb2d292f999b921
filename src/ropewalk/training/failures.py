"""What a person reads when training cannot go on: out of memory, or a loss that is no number."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from ropewalk.errors import TrainingError
from ropewalk.training.config import TrainingConfig
from ropewalk.training.rows import Rows

_CPU_ALLOCATOR = "can't allocate memory"


@contextmanager
def memory_errors(config: TrainingConfig) -> Iterator[None]:
    """Turn "out of memory", on a GPU or in main memory, into a TrainingError that says what to lower."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise _too_large(error, config) from error
    except RuntimeError as error:
        if _CPU_ALLOCATOR not in str(error):
            raise
        raise _too_large(error, config) from error


def not_finite(
    loss: float, *, step: int, epoch: int, rows: Rows, batch: Tensor, config: TrainingConfig, checkpoint: str
) -> TrainingError:
    """Return the error for a loss that is no finite number; `batch` holds the indices of the step's rows."""
    numbers = rows.inputs[0].index_select(0, batch)
    target = rows.target.index_select(0, batch).float()
    return TrainingError(
        f"The training loss became {loss} at step {step:,} of epoch {epoch}. The step's {len(batch):,} rows hold "
        f"{_described('numbers (scaled)', numbers)} and {_described('a target', target)}. Lower "
        f"training.learning_rate (now {config.learning_rate:g}), limit the gradient with training.clip (such as 1.0), "
        f"and look for extreme values in the validation report. {checkpoint}."
    )


def not_finite_after(epoch: int, loss: float, *, config: TrainingConfig, checkpoint: str) -> TrainingError:
    """Return the error for a validation loss that is no finite number after `epoch`."""
    return TrainingError(
        f"The validation loss became {loss} after epoch {epoch}, whose training losses are finite. Lower "
        f"training.learning_rate (now {config.learning_rate:g}), limit the gradient with training.clip (such as 1.0), "
        f"and look for extreme values in the validation report. {checkpoint}."
    )


def _described(what: str, values: Tensor) -> str:
    finite = values[values.isfinite()].double()
    if not finite.numel():
        return f"no finite {what}" if values.numel() else f"no {what}"
    strange = values.numel() - finite.numel()
    text = f"{what} from {finite.min():.4g} to {finite.max():.4g} with mean {finite.mean():.4g}"
    return f"{text} and {strange:,} that are not finite" if strange else text


def _too_large(error: BaseException, config: TrainingConfig) -> TrainingError:
    rows = config.batch_size or "chosen by the table's size"
    return TrainingError(
        f"Out of memory: {str(error).splitlines()[0] if str(error) else type(error).__name__} Lower "
        f"training.batch_size (now {rows}), or compute a step's rows in parts with training.accumulate (now "
        f"{config.accumulate}); a smaller training.width or depth, or a table that is streamed "
        "(training.table_gigabytes below its size), takes less too."
    )
