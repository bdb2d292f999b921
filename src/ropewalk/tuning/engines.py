"""Which engine runs a search: asked for, or chosen by what is here. Chosen once; there is no second choice later."""

from dataclasses import dataclass
from pathlib import Path

from ropewalk.tuning.profile import AUTO, KATIB, LOCAL

_TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")


@dataclass(frozen=True)
class Choice:
    """An engine's name, and why it is the one."""

    engine: str
    why: str


def choose_engine(wanted: str, *, namespace: str = "") -> Choice:
    """Return the engine to use.

    A cluster that does not answer is an error, not a reason to run elsewhere: a second attempt must come to the same
    choice, or it would repeat what the first one did.

    Args:
        wanted: "local", "katib", or "auto": katib in a pod of a cluster that has Katib, else local.
        namespace: Of the experiments.

    Raises:
        ServiceError: The API server does not answer.
    """
    if wanted != AUTO:
        return Choice(wanted, "as asked for")
    if not _TOKEN.is_file():
        return Choice(LOCAL, "this is no pod with a service account")
    from ropewalk.cluster.connect import connect

    if connect(namespace=namespace).serves("kubeflow.org", "v1beta1", "experiments"):
        return Choice(KATIB, "this pod's cluster has Katib")
    return Choice(LOCAL, "this pod's cluster has no Katib: its API server knows no Experiment of kubeflow.org/v1beta1")
