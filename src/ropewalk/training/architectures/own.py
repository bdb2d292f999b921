"""The user's own architecture: a function, named "module:function", that builds a network from the schema.

With this in shop/networks.py, `architecture: shop.networks:build` trains it:

    class Network(torch.nn.Module):
        def __init__(self, schema: Schema) -> None:
            super().__init__()
            self.tables = torch.nn.ModuleList(torch.nn.Embedding(each.codes, 8) for each in schema.categories)
            self.layer = torch.nn.Linear(len(schema.numbers) + 8 * len(schema.categories), schema.outputs)

        def forward(self, numbers_BN: Tensor, missing_BN: Tensor, codes_BC: Tensor) -> Tensor:
            embedded = [table(codes_BC[:, index]) for index, table in enumerate(self.tables)]
            return self.layer(torch.cat([numbers_BN, *embedded], dim=1))

    def build(schema: Schema) -> Network:
        return Network(schema)
"""

import copy
import importlib
import inspect
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from ropewalk.artifacts import file_sha256
from ropewalk.errors import ConfigError, nearest
from ropewalk.training.architectures.schema import Schema

_DRY_ROWS = 4


def build_own(architecture: str, schema: Schema) -> nn.Module:
    """Return the network that `architecture`, a "module:function", builds, after trying it on a few made-up rows.

    Raises:
        ConfigError: There is no such module or function, it returns no nn.Module, or the network gives outputs of
            another shape or type than a `Schema` calls for.
    """
    network = _find(architecture)(schema)
    if not isinstance(network, nn.Module):
        raise ConfigError(
            f"training.architecture={architecture!r} returned {type(network).__name__}: "
            "it must return a torch.nn.Module."
        )
    _try(network, architecture, schema)
    return network


def own_code(architecture: str) -> str:
    """Return the SHA-256 (hex) of the file that builds the user's own network; "" for the others."""
    module_name, separator, _ = architecture.partition(":")
    file = importlib.import_module(module_name).__file__ if separator else None
    return file_sha256(Path(file)) if file else ""


def _find(architecture: str) -> Callable[[Schema], object]:
    module_name, _, function_name = architecture.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"training.architecture={architecture!r}: Python finds no module {error.name!r} here. Install the package "
            "that holds it where the model is trained and where it is loaded (in the steps' image), or put its folder "
            "on PYTHONPATH."
        ) from error
    function = getattr(module, function_name, None)
    if not callable(function):
        known = [name for name, _ in inspect.getmembers(module, callable)]
        raise ConfigError(
            f"training.architecture={architecture!r}: {module_name!r} ({module.__file__}) has no function "
            f"{function_name!r}.{nearest(function_name, known)}"
        )
    return function  # type: ignore[no-any-return]


def _try(network: nn.Module, architecture: str, schema: Schema) -> None:
    """Call a copy of `network` as training and scoring do: neither its state nor the random state changes."""
    tried = copy.deepcopy(network)
    for mode in (True, False):
        with torch.random.fork_rng():
            try:
                outputs = tried.train(mode)(*_made_up(schema))
            except Exception as error:
                error.add_note(
                    f"Raised by the network of training.architecture={architecture!r} on {_DRY_ROWS} made-up rows."
                )
                raise
        _check_outputs(outputs, architecture, schema)


def _made_up(schema: Schema) -> tuple[Tensor, Tensor, Tensor]:
    """Return rows whose codes include the first and the last of each category column."""
    numbers_BN = torch.linspace(-1, 1, _DRY_ROWS).unsqueeze(1).repeat(1, len(schema.numbers))
    last_C = torch.tensor([category.codes - 1 for category in schema.categories], dtype=torch.int32)
    codes_BC = torch.stack([last_C * 0, *[last_C] * (_DRY_ROWS - 1)])
    return numbers_BN, torch.zeros_like(numbers_BN), codes_BC


def _check_outputs(outputs: object, architecture: str, schema: Schema) -> None:
    found = f"{tuple(outputs.shape)}, {outputs.dtype}" if isinstance(outputs, Tensor) else type(outputs).__name__
    right = (
        isinstance(outputs, Tensor)
        and outputs.is_floating_point()
        and outputs.ndim in (2, 3)
        and (outputs.shape[0], outputs.shape[-1]) == (_DRY_ROWS, schema.outputs)
        and outputs.numel() > 0
    )
    if not right:
        raise ConfigError(
            f"The network of training.architecture={architecture!r} gave {found} for {_DRY_ROWS} rows: it must give "
            f"floating-point outputs of shape ({_DRY_ROWS}, {schema.outputs}), or ({_DRY_ROWS}, members, "
            f"{schema.outputs})."
        )
