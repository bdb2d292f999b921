"""What a person needs to know of an experiment that does not go on."""

from collections.abc import Iterable, Iterator

from ropewalk.cluster.connection import Cluster
from ropewalk.tuning.engine import OVER, Trial
from ropewalk.tuning.katib_resources import EXPERIMENT_LABEL, SUGGESTION

_SHOWN = 3
_EVENTS_SHOWN = 5


def circumstances(cluster: Cluster, experiment: str, trials: Iterable[Trial]) -> str:
    """Return the conditions of the suggestion and events: its own, those of trials that have not ended, of all pods."""
    trials = list(trials)
    pods = [pod["metadata"]["name"] for pod in cluster.pods({EXPERIMENT_LABEL: experiment})]
    ended = tuple(f"{trial.name}-" for trial in trials if trial.state in OVER)
    waiting = [trial.name for trial in trials if trial.state not in OVER]
    lines = [*_of_suggestion(cluster, experiment), *(f"Trial {name} has not ended." for name in waiting)]
    concerned = [experiment, *waiting[:_SHOWN], *[pod for pod in pods if not pod.startswith(ended)][: 2 * _SHOWN]]
    return "\n".join([*lines, *(line for name in concerned for line in _events(cluster, name))])


def _of_suggestion(cluster: Cluster, experiment: str) -> Iterator[str]:
    suggestion = cluster.get(SUGGESTION, experiment)
    if suggestion is None:
        yield "It has no Suggestion: katib-controller in Katib's namespace may be down."
        return
    wanted, got = suggestion.get("spec", {}).get("requests"), suggestion.get("status", {}).get("suggestionCount", 0)
    yield f"Its Suggestion has given {got} of the {wanted} parameter sets that were asked for."
    for each in suggestion.get("status", {}).get("conditions") or []:
        yield f"Suggestion {each['type']}={each['status']}: {each.get('reason', '')}: {each.get('message', '')}"


def _events(cluster: Cluster, name: str) -> Iterator[str]:
    for event in cluster.events(name)[-_EVENTS_SHOWN:]:
        yield f"Event of {name}: {event.get('reason', '')}: {event.get('message', '').strip()}"
