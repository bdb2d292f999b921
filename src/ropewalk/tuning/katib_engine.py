"""Runs an experiment on a cluster, by Katib."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from ropewalk.cluster.access import TUNING, granted_permissions
from ropewalk.cluster.connect import connect
from ropewalk.cluster.connection import Cluster
from ropewalk.cluster.launch import ALWAYS, NEVER, StalledError, create_or_adopt, still_there
from ropewalk.cluster.patience import Patience
from ropewalk.errors import ClusterError, ServiceError
from ropewalk.progress import say
from ropewalk.tuning.engine import OVER, End, Snapshot, Trial, best_trial
from ropewalk.tuning.katib_config import KatibConfig
from ropewalk.tuning.katib_diagnosis import circumstances
from ropewalk.tuning.katib_plan import plan_experiment, plan_notes
from ropewalk.tuning.katib_pods import TrialPods
from ropewalk.tuning.katib_resources import END, EXPERIMENT, EXPERIMENT_LABEL, SUGGESTION, TRIAL, holding
from ropewalk.tuning.katib_status import read_end, read_trials, read_values, seconds_since_1970
from ropewalk.tuning.spec import Experiment

_SLOWER = 1.5


class KatibEngine:
    """Runs trials as resources of a cluster: an Experiment of Katib's, created or adopted.

    `follow` it like any engine; once the results are written, `clean_up` deletes the experiment by policy. A process
    that is killed leaves the experiment running, and the next one with the same experiment goes on with it.
    """

    name = "katib"

    def __init__(self, config: KatibConfig = KatibConfig(), cluster: Cluster | None = None) -> None:  # noqa: B008
        """Run experiments in `cluster`, by default that of this pod or of the kubeconfig context."""
        self._config = config
        self._given = cluster

    def start(self, experiment: Experiment) -> None:
        """Create the experiment, or go on with the one that is there with the same spec.

        Raises:
            ConfigError: The experiment is wrong, or there is no cluster.
            ClusterError: Another one of its name is there, a permission is missing, or the cluster refuses it.
            ServiceError: The API server does not answer.
        """
        self._experiment = experiment
        self._plan = plan_experiment(experiment, self._config)
        self._cluster = self._given or self._connect(experiment.namespace)
        self._notes = plan_notes(experiment, self._cluster.namespace)
        self._cluster.require(granted_permissions(TUNING))
        self._pods = TrialPods(experiment, self._cluster, self._config)
        self._suggested: list[Mapping[str, Any]] = []
        self._pause = 0.0
        self._moved = time.monotonic()
        self._lost = False
        try:
            self._resource: Mapping[str, Any] = create_or_adopt(self._cluster, self._plan)
        except BaseException as error:
            if not isinstance(error, Exception):
                # Stopped in the middle: whether it is there yet, only the server knows.
                self._delete()
            raise
        metadata = self._resource["metadata"]
        self._started = seconds_since_1970(metadata["creationTimestamp"]) or time.time()
        self._snapshot = Snapshot(trials=(), started=self._started, notes=self._notes)
        created = metadata["creationTimestamp"]
        say(f"Experiment {self._plan.name} in namespace {self._cluster.namespace}, created {created}")

    def poll(self) -> Snapshot:
        """Return how it stands, as soon as it changes, else after some seconds.

        Raises:
            ClusterError: It was deleted by someone else, is stuck, or Katib cannot go on with it.
            ServiceError: The API server does not answer; the experiment goes on.
        """
        if self._snapshot.end is not None:
            return self._snapshot
        with self._errors_leave_it():
            self._wait()
            self._look()
            end = self._why_over()
            if end is not None:
                return self._finish(end)
            self._refuse_to_wait_for_ever()
        return self._snapshot

    def stop(self, end: End | None = None) -> Snapshot:
        """End all running trials; without `end`, delete the experiment with one request, for a step that is ended.

        After an error of the cluster's there is nothing to end without `end`: what runs there goes on, and the next
        attempt finds it.
        """
        if end is not None:
            return self._snapshot if self._snapshot.end is not None else self._finish(end)
        self._pods.close()
        if self._snapshot.end is None and not self._lost:
            self._delete()
            self._snapshot = replace(self._snapshot, trials=_stopped(self._snapshot.trials, "interrupted"))
        return self._snapshot

    def clean_up(self, *, succeeded: bool) -> None:
        """Delete the experiment as `cleanup` says; to be called once its results are kept elsewhere."""
        if self._config.cleanup == ALWAYS or (succeeded and self._config.cleanup != NEVER):
            self._delete()

    def _connect(self, namespace: str) -> Cluster:
        config = self._config
        patience = Patience(
            shortest_poll=config.poll_seconds,
            longest_poll=config.longest_poll_seconds,
            unreachable=config.unreachable_seconds,
        )
        return connect(namespace=config.namespace or namespace, patience=patience, role=TUNING)

    @contextmanager
    def _errors_leave_it(self) -> Iterator[None]:
        """Remember an error of the cluster's: `stop` must not delete what the next attempt can go on with."""
        try:
            yield
        except StalledError:
            # It must not go on, or start after all, when nobody looks.
            self._delete()
            self._lost = True
            raise
        except (ClusterError, ServiceError):
            self._lost = True
            raise

    def _wait(self) -> None:
        """Wait for a change: a watch tells at once; without one, look again ever more slowly."""
        patience = self._cluster.patience
        if not self._pause:
            self._pause = patience.shortest_poll
            return
        limit = self._experiment.limits.experiment_seconds
        left = self._started + limit - time.time() if limit is not None else self._pause
        begin = time.monotonic()
        self._cluster.wait_for_change(EXPERIMENT, self._resource, max(0.1, min(self._pause, left)))
        time.sleep(max(0.0, patience.shortest_poll - (time.monotonic() - begin)))
        self._pause = min(_SLOWER * self._pause, patience.longest_poll)

    def _look(self) -> None:
        """Take up how the experiment and its trials stand."""
        found = self._cluster.get(EXPERIMENT, self._plan.name)
        uid = self._resource["metadata"]["uid"]
        if found is None or found["metadata"]["uid"] != uid or found["metadata"].get("deletionTimestamp"):
            raise ClusterError(
                f"Experiment {self._plan.name} was deleted by someone else while it ran, with its "
                f"{len(self._snapshot.trials)} trials. Run the step again to start a new one."
            )
        self._resource = found
        trials = self._trials()
        self._pods.look(trials)
        seen = tuple(self._with_pods(trial) for trial in trials)
        if [(each.name, each.state) for each in seen] != [(each.name, each.state) for each in self._snapshot.trials]:
            self._moved, self._pause = time.monotonic(), self._cluster.patience.shortest_poll
        self._snapshot = replace(self._snapshot, trials=seen)

    def _trials(self) -> list[Trial]:
        uid = self._resource["metadata"]["uid"]
        resources = [
            each
            for each in self._cluster.resources(TRIAL, {EXPERIMENT_LABEL: self._plan.name})
            if any(owner["uid"] == uid for owner in each["metadata"].get("ownerReferences", []))
        ]
        known = {each["name"] for each in self._suggested}
        if any(each["metadata"]["name"] not in known for each in resources):
            suggestion = self._cluster.get(SUGGESTION, self._plan.name) or {}
            self._suggested = suggestion.get("status", {}).get("suggestions") or []
        return read_trials(self._experiment, resources, self._suggested)

    def _with_pods(self, trial: Trial) -> Trial:
        """Return the trial with what its pods tell."""
        if trial.state not in OVER:
            return replace(trial, observations=self._pods.observations(trial))
        message = trial.message
        if trial.state == "failed":
            message = self._pods.reason(trial) or message
        return replace(trial, message=message, log_tail=self._pods.tail(trial))

    def _why_over(self) -> End | None:
        trials, objective, limits = self._snapshot.trials, self._experiment.objective, self._experiment.limits
        recorded: End | None = self._resource["metadata"].get("annotations", {}).get(END)
        over = recorded or read_end(self._resource, self._experiment, trials)
        if over is not None:
            return over
        if "Failed" in holding(self._resource):
            told = holding(self._resource)["Failed"].get("message", "")
            message = f"Katib gave up experiment {self._plan.name}: {told}\n{self._circumstances()}"
            self.clean_up(succeeded=False)
            raise ClusterError(message)
        best = best_trial(objective, trials)
        value = best.value(objective) if best is not None else None
        if objective.goal is not None and value is not None and not objective.better(objective.goal, value):
            return "goal_reached"
        if limits.experiment_seconds is not None and time.time() - self._started > limits.experiment_seconds:
            return "out_of_time"
        return None

    def _finish(self, end: End) -> Snapshot:
        """See that nothing runs any more: Katib itself leaves trials running when an experiment is over."""
        with self._errors_leave_it():
            done = sum(trial.state in OVER for trial in self._snapshot.trials)
            concluded = bool({"Succeeded", "Failed"} & holding(self._resource).keys())
            if not (concluded or done):
                # Katib cannot be told to start none at all, and nothing here is worth keeping.
                self._cluster.delete(EXPERIMENT, self._plan.name, uid=self._resource["metadata"]["uid"])
            else:
                if not concluded:
                    self._end_early(end, done)
                    self._look()
                for trial in self._snapshot.trials:
                    if trial.state not in OVER:
                        self._cluster.delete(TRIAL, trial.name)
        self._pods.close()
        why = f"the experiment is over: {end}"
        found = (*_stopped(self._snapshot.trials, why), *self._vanished(why))
        trials = tuple(sorted(found, key=lambda trial: trial.number))
        notes = (*self._notes, *self._disagreement(trials))
        self._snapshot = replace(self._snapshot, trials=trials, end=end, notes=notes)
        return self._snapshot

    def _end_early(self, end: End, done: int) -> None:
        """Have Katib start no more trials, by the only fields that it lets one change, and note why."""
        counts = {"maxTrialCount": done, "parallelTrialCount": 1}
        if self._experiment.limits.max_failed is not None:
            counts["maxFailedTrialCount"] = min(done, self._experiment.limits.max_failed)
        changes = {"metadata": {"annotations": {END: end}}, "spec": counts}
        self._cluster.patch(EXPERIMENT, self._plan.name, changes)

    def _vanished(self, why: str) -> Iterator[Trial]:
        """Yield the trials that were ended, and so deleted, in an earlier attempt: the suggestion still lists them."""
        there = {trial.name for trial in self._snapshot.trials}
        for number, each in enumerate(self._suggested):
            if each["name"] not in there:
                values = read_values(self._experiment, each.get("parameterAssignments") or [])
                yield Trial(number=number, name=each["name"], values=values, state="stopped", message=why)

    def _disagreement(self, trials: tuple[Trial, ...]) -> Iterator[str]:
        """Yield what to say when Katib holds another trial for the best."""
        katibs = self._resource.get("status", {}).get("currentOptimalTrial", {}).get("bestTrialName")
        best = best_trial(self._experiment.objective, trials)
        if best is None or not katibs or katibs == best.name:
            return
        other = next((trial for trial in trials if trial.name == katibs), None)
        objective = self._experiment.objective
        if other is not None and other.state == "succeeded" and other.value(objective) == best.value(objective):
            return
        yield (
            f"Katib holds {katibs} for the best trial, but {best.name} is: Katib lets values count that are not "
            "finite, and trials that did not succeed."
        )

    def _refuse_to_wait_for_ever(self) -> None:
        if self._pods.running:
            self._moved = time.monotonic()
        elif time.monotonic() - self._moved > self._config.stuck_seconds:
            raise StalledError(
                f"Experiment {self._plan.name} is stuck: for {self._config.stuck_seconds:.0f} s no trial has run, "
                f"started or ended.\n{self._circumstances()}"
            )

    def _circumstances(self) -> str:
        return circumstances(self._cluster, self._plan.name, self._snapshot.trials)

    def _delete(self) -> None:
        if not self._cluster.delete_at_once(EXPERIMENT, self._plan.name):
            say(still_there(self._cluster, self._plan))


def _stopped(trials: tuple[Trial, ...], why: str) -> tuple[Trial, ...]:
    return tuple(trial if trial.state in OVER else replace(trial, state="stopped", message=why) for trial in trials)
