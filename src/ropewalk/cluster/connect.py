"""Which cluster, and which namespace of it: this pod's own, or that of a person's kubeconfig."""

import os
from pathlib import Path

from ropewalk.cluster.access import TRAINING, Role
from ropewalk.cluster.connection import Cluster
from ropewalk.cluster.patience import Patience
from ropewalk.errors import ConfigError

_IN_POD = Path("/var/run/secrets/kubernetes.io/serviceaccount")


def connect(*, namespace: str = "", patience: Patience = Patience(), role: Role = TRAINING) -> Cluster:
    """Return the cluster that this pod is in or, elsewhere, that of the current kubeconfig context.

    Args:
        namespace: Where to work; "" is the pod's own, or the context's.
        patience: How long to wait for what.
        role: What for: which permissions to name when one is missing.

    Raises:
        ConfigError: There is neither a pod nor a kubeconfig, or no namespace.
    """
    from kubernetes import client, config

    configuration = client.Configuration()
    try:
        if "KUBERNETES_SERVICE_HOST" in os.environ:
            config.load_incluster_config(client_configuration=configuration)
            default = (_IN_POD / "namespace").read_text(encoding="utf-8").strip()
        else:
            # The client reads KUBECONFIG when it is imported, and not again.
            file = os.environ.get("KUBECONFIG")
            config.load_kube_config(config_file=file, client_configuration=configuration)
            default = config.list_kube_config_contexts(config_file=file)[1]["context"].get("namespace", "")
    except (config.ConfigException, OSError) as error:
        raise ConfigError(
            f"There is no cluster for {role}: this is no pod with a service account, and no kubeconfig can be used "
            f"({error}). Set KUBECONFIG, or leave the cluster's settings empty to work in this process."
        ) from error
    if not (namespace or default):
        raise ConfigError("No namespace is set. Give one in the cluster's settings, such as {'namespace': 'team-a'}.")
    # Trying again is decided here: urllib3 would do so without a pause, and hide what happened.
    configuration.retries = False
    return Cluster(client.ApiClient(configuration), namespace or default, patience=patience, role=role)
