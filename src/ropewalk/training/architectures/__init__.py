"""Architectures: networks for encoded rows, by the name that the settings give."""

from torch import nn

from ropewalk.preprocess.preprocessor import Preprocessor
from ropewalk.training.architectures.linear import LinearModel
from ropewalk.training.architectures.mlp import PlainMlp
from ropewalk.training.architectures.own import build_own
from ropewalk.training.architectures.schema import schema_of
from ropewalk.training.architectures.tabular import TabularNetwork
from ropewalk.training.config import LINEAR, MLP, TABULAR, TrainingConfig

_NETWORKS = {TABULAR: TabularNetwork, MLP: PlainMlp, LINEAR: LinearModel}


def build_network(preprocessor: Preprocessor, config: TrainingConfig) -> nn.Module:
    """Return the network that `config.architecture` names, with new weights, for the rows that `preprocessor` encodes.

    Raises:
        ConfigError: The user's own function cannot be found, or does not build what a `Schema` calls for.
    """
    schema = schema_of(preprocessor)
    network = _NETWORKS.get(config.architecture)
    return network(schema, config) if network else build_own(config.architecture, schema)
