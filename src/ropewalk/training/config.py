"""Settings of training."""

import math
import re
from dataclasses import dataclass
from typing import Literal

from ropewalk.errors import ConfigError, nearest

TABULAR = "tabular"
MLP = "mlp"
LINEAR = "linear"
GBDT = "gbdt"
ARCHITECTURES = (TABULAR, MLP, LINEAR, GBDT)
DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = ("auto", "float32", "bfloat16")

_COUNTS = (
    "batch_size",
    "patience",
    "width",
    "depth",
    "number_embedding",
    "category_embedding",
    "accumulate",
    "checkpoint_steps",
    "shuffle_rows",
)
_AMOUNTS = ("clip", "max_seconds", "checkpoint_seconds", "log_seconds", "table_gigabytes")
_FUNCTION = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """What to train and how. The defaults suit tables of a few hundred to millions of rows."""

    architecture: str = TABULAR
    """"tabular": a network with piecewise-linear number embeddings; "mlp": a plain multilayer perceptron; "linear";
    "gbdt": gradient-boosted trees; or your own "module:function", which builds a network from a `Schema`."""
    class_weights: Literal["balanced"] | dict[str, float] | None = None
    """Weight of each class's rows in the training loss, 0 or more: "balanced" for weights inverse to the classes'
    shares, or weights by class name, 1 for those not named; absent: all rows weigh the same."""
    weight_column: str = ""
    """Raw column with each row's weight in the loss and in the score that chooses the best epoch, finite and 0 or more;
    to be named in `preprocess.ignore` too, so that the model does not read it. Evaluation weighs all rows the same."""
    batch_size: int | None = None
    """Rows per step, at least 1; absent: 1,024, or less for small tables, so that an epoch has 16 steps or more."""
    learning_rate: float = 1e-3
    """Peak learning rate of AdamW, above 0; warms up linearly, then falls along a cosine to 0."""
    warmup: float = 0.03
    """Share of all steps over which the learning rate warms up, in [0, 1)."""
    weight_decay: float = 0.02
    """AdamW's decoupled weight decay, 0 or more."""
    width: int = 256
    """Units of each hidden layer, at least 1."""
    depth: int = 3
    """Hidden layers, at least 1."""
    dropout: float = 0.2
    """Share of hidden units left out in a training step, in [0, 1)."""
    number_embedding: int = 8
    """Dimensions of each number's piecewise-linear embedding, at least 1."""
    category_embedding: int = 8
    """Most dimensions of a category column's embedding, at least 1; columns with few categories get fewer."""
    unknown_rate: float = 0.1
    """Share of category codes made "unknown" in a training step, in [0, 1): what new categories will meet."""
    patience: int | None = None
    """Epochs without a better score after which training stops, at least 1; absent: a quarter of all, 3 or more;
    for gbdt 50 rounds."""
    clip: float | None = None
    """Largest norm of a step's gradient, above 0: a longer one is scaled down to it; absent: no limit."""
    accumulate: int = 1
    """Parts in which a step's rows are computed, one after the other, at least 1: more of them take less memory."""
    max_seconds: float | None = None
    """Seconds after which training ends with its best epoch, above 0, earlier attempts included; absent: no limit."""
    checkpoint: str = ""
    """Folder or fsspec URI (s3://bucket/folder) that outlives the step, for checkpoints; "": ROPEWALK_CHECKPOINTS, else
    beside the model."""
    checkpoint_seconds: float = 60.0
    """Seconds between checkpoints, above 0. SIGTERM writes one at once."""
    checkpoint_steps: int | None = None
    """Steps between checkpoints besides those by time, at least 1; absent: by time alone."""
    log_seconds: float = 10.0
    """Seconds between progress lines inside a long epoch, above 0."""
    table_gigabytes: float | None = None
    """Memory of the device that encoded rows may take, in GB; absent: half of what is free. Larger tables stream."""
    shuffle_rows: int = 1_048_576
    """Rows of a streamed table that are in memory at a time and shuffled among each other, at least 1."""
    device: str = "auto"
    """"cpu", "cuda", or "auto": a GPU where there is one."""
    precision: str = "auto"
    """"float32", "bfloat16", or "auto": bfloat16 for classification where the processor multiplies it natively."""

    boosting_rate: float = 0.05
    """gbdt: share of each tree that is added, in (0, 1]."""
    boosting_leaves: int = 31
    """gbdt: most leaves of a tree, at least 2."""
    boosting_columns: float = 0.5
    """gbdt: share of the columns, drawn anew, that each split may use, in (0, 1]."""

    def __post_init__(self) -> None:
        self._check_architecture()
        _check_ranges(self)
        for name, known in (("device", DEVICES), ("precision", PRECISIONS)):
            value = getattr(self, name)
            if value not in known:
                raise ConfigError(f"{name}={value!r}: need one of {', '.join(known)}.{nearest(value, known)}")

    def _check_architecture(self) -> None:
        if self.architecture not in ARCHITECTURES and not _FUNCTION.fullmatch(self.architecture):
            raise ConfigError(
                f"architecture={self.architecture!r}: need one of {', '.join(ARCHITECTURES)}, or your own "
                f"'module:function'.{nearest(self.architecture, ARCHITECTURES)}"
            )
        for name in ("boosting_rate", "boosting_columns"):
            value = getattr(self, name)
            if not 0 < value <= 1:
                raise ConfigError(f"{name}={value}: need a share above 0, at most 1.")
        if self.boosting_leaves < 2:
            raise ConfigError(f"boosting_leaves={self.boosting_leaves}: need at least 2.")
        if isinstance(self.class_weights, dict):
            wrong = {name: weight for name, weight in self.class_weights.items() if not 0 <= weight < math.inf}
            if wrong or not any(self.class_weights.values()):
                raise ConfigError(f"class_weights={self.class_weights}: need finite weights of 0 or more, one above 0.")


def _check_ranges(config: TrainingConfig) -> None:
    for name in _COUNTS:
        value = getattr(config, name)
        if value is not None and value < 1:
            raise ConfigError(f"{name}={value}: need at least 1.")
    for name in ("warmup", "dropout", "unknown_rate"):
        value = getattr(config, name)
        if not 0 <= value < 1:
            raise ConfigError(f"{name}={value}: need a share from 0 to under 1.")
    for name in _AMOUNTS:
        value = getattr(config, name)
        if value is not None and not value > 0:
            raise ConfigError(f"{name}={value}: need a value above 0.")
    if config.learning_rate <= 0:
        raise ConfigError(f"learning_rate={config.learning_rate}: need a value above 0, such as 0.002.")
    if config.weight_decay < 0:
        raise ConfigError(f"weight_decay={config.weight_decay}: need 0 or more.")
