"""Plays Katib on this machine: suggestions, trials as processes of the wrapped command, collector, early stopping."""

import math
import os
import re
import shutil
import signal
import subprocess
import threading
import time
import uuid
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from katib_api import GROUP, LABEL, KatibApi
from kube_api import now

from ropewalk.tuning.containers import primary_containers
from ropewalk.tuning.filters import LineReader
from ropewalk.tuning.medianstop import MedianStop
from ropewalk.tuning.parse import parse_experiment
from ropewalk.tuning.render import render_trial, value_text
from ropewalk.tuning.spec import Experiment, MetricsSource
from ropewalk.tuning.suggestions import Exhausted, Wait, make_suggester
from ropewalk.tuning.tail import Tail

COLLECTOR = "metrics-logger-and-collector"
OVER = ("Succeeded", "Failed", "Killed", "EarlyStopped", "MetricsUnavailable")
_TICK = 0.01


class KatibController:
    """Runs the Experiments of an API server, in the order in which they are created."""

    def __init__(self, api: KatibApi, folder: Path) -> None:
        self.api, self.folder = api, folder
        self.injects = True
        """Whether the pods' webhook adds the collector."""
        self.stores_metrics = True
        """Whether what the collector reads is stored."""
        self.suggests = True
        """Whether the suggestion service answers."""
        self.commands: list[str] = []
        """Lines of shell that were run, after Katib's wrapping."""
        self._runs: dict[str, _Run] = {}
        api.on_experiment = self._start
        api.on_gone = self._gone
        api.on_delete_pod = self._pod_gone

    def _start(self, experiment: dict[str, Any]) -> None:
        run = _Run(self, experiment)
        self._runs[experiment["metadata"]["uid"]] = run
        run.thread.start()

    def _gone(self, plural: str, resource: dict[str, Any]) -> None:
        for run in list(self._runs.values()):
            run.gone(plural, resource)

    def _pod_gone(self, pod: dict[str, Any]) -> None:
        for run in list(self._runs.values()):
            run.end_process(pod["metadata"]["name"])

    def stop(self) -> None:
        for run in self._runs.values():
            run.deleted = True
            run.thread.join(10)


class _Process:
    """A trial that runs."""

    def __init__(self, trial: dict[str, Any], pod: dict[str, Any], folder: Path, line: str, env: Any) -> None:
        self.trial, self.pod, self.folder, self.env = trial, pod, folder, env
        self.deadline: float | None = None
        self.reports: list[tuple[str, float]] = []
        self.ended_by = ""
        folder.mkdir(parents=True)
        self.log = folder / "metrics.log"
        self.log.touch()
        self.line = line
        self.printed: Tail | None = None

    def start(self, source: MetricsSource) -> None:
        """Run as Katib has it run (pkg/webhook/v1beta1/pod/inject_webhook.go): the output is redirected for StdOut."""
        if source.kind == "File":
            self.printed, self.tail = Tail(self.log), Tail(Path(source.path))
            self.line = f"{self.line} && echo completed > $$.pid"
        else:
            self.tail = Tail(self.log)
            self.line = f"{self.line} 1>{self.log} 2>&1 && echo completed > $$.pid"
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                ["sh", "-c", self.line],
                cwd=self.folder,
                env=self.env,
                stdout=output if self.printed else None,
                stderr=subprocess.STDOUT if self.printed else None,
                start_new_session=True,
            )

    def end(self, why: str) -> None:
        self.ended_by = self.ended_by or why
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class _Run:
    """One experiment."""

    def __init__(self, controller: KatibController, resource: dict[str, Any]) -> None:
        self.controller, self.api, self.resource = controller, controller.api, resource
        body = {name: resource[name] for name in ("apiVersion", "kind", "spec")}
        metadata = {name: resource["metadata"][name] for name in ("name", "labels", "annotations")}
        self.experiment: Experiment = parse_experiment({**body, "metadata": metadata})
        self.suggester = make_suggester(self.experiment, 0)
        self.processes: dict[str, _Process] = {}
        self.numbers: dict[str, int] = {}
        self.first_reports: list[list[float]] = []
        self.suggested: list[dict[str, Any]] = []
        self.exhausted = False
        self.deleted = False
        owner = {"apiVersion": f"{GROUP}/v1beta1", "kind": "Experiment", "uid": resource["metadata"]["uid"]}
        self.owners = [{**owner, "name": self.experiment.name, "controller": True}]
        self.thread = threading.Thread(target=self._loop, daemon=True)

    def gone(self, plural: str, resource: dict[str, Any]) -> None:
        if resource["metadata"]["uid"] == self.resource["metadata"]["uid"]:
            self.deleted = True
        process = self.processes.pop(resource["metadata"]["name"], None)
        if process:
            process.end("deleted")

    def end_process(self, pod: str) -> None:
        for process in list(self.processes.values()):
            if process.pod["metadata"]["name"] == pod:
                process.end("pod deleted")

    def _loop(self) -> None:
        metadata = {"name": self.experiment.name, "ownerReferences": self.owners}
        self.suggestion = self.api.keep("suggestions", {"metadata": metadata, "spec": {"requests": 0}, "status": {}})
        service = {
            "metadata": {"labels": {LABEL: self.experiment.name}},
            "spec": {"containers": [{"name": "suggestion"}]},
        }
        self.service = self.api.add_pod_of(self.suggestion, f"{self.experiment.name}-grid-7c5-x2v", service)
        self.api.condition(self.resource, "Created", "ExperimentCreated")
        self.api.condition(self.resource, "Running", "ExperimentRunning")
        while not self.deleted:
            for process in list(self.processes.values()):
                self._tend(process)
            with self.api.changed:
                leaving = self.deleted or "deletionTimestamp" in self.resource["metadata"]
                if not leaving and not self._is_over():
                    self._count()
                    self._create_trials()
            time.sleep(_TICK)
        for process in self.processes.values():
            process.end("deleted")

    def _trials(self) -> list[dict[str, Any]]:
        uid = self.resource["metadata"]["uid"]
        return [each for each in self.api.all_of("trials") if each["metadata"]["ownerReferences"][0]["uid"] == uid]

    def _is_over(self) -> bool:
        return any(
            each["type"] in ("Succeeded", "Failed") and each["status"] == "True"
            for each in self.resource.get("status", {}).get("conditions", [])
        )

    def _count(self) -> None:
        """Update the status (pkg/controller.v1beta1/experiment/util/status_util.go)."""
        spec, trials = self.resource["spec"], self._trials()
        states = [_state(each) for each in trials]
        counts = {state: states.count(state) for state in (*OVER, "Running")}
        done, failed = sum(counts[state] for state in OVER), counts["Failed"] + counts["MetricsUnavailable"]
        status = {"trials": len(trials), "trialsSucceeded": counts["Succeeded"], "trialsFailed": counts["Failed"]}
        if self._optimum():
            status["currentOptimalTrial"] = self._optimum()
        if any(self.resource["status"].get(name) != value for name, value in status.items()):
            self.api.change(self.resource, **status)
        goal, most_failed = self.experiment.objective.goal, spec.get("maxFailedTrialCount")
        optimum = self._optimal_value()
        if goal is not None and optimum is not None and not self.experiment.objective.better(goal, optimum):
            self._conclude("Succeeded", "ExperimentGoalReached")
        elif most_failed is not None and failed and failed >= most_failed:
            self._conclude("Failed", "ExperimentFailed", "Experiment has failed because max failed trial count reached")
        elif done >= spec["maxTrialCount"]:
            self._conclude("Succeeded", "ExperimentMaxTrialsReached")
        elif self.exhausted and counts["Running"] == 0:
            self._conclude("Succeeded", "ExperimentSuggestionEndReached")

    def _conclude(self, kind: str, reason: str, message: str = "") -> None:
        self.api.condition(self.resource, kind, reason, message or f"Experiment has {kind.lower()}")

    def _best(self) -> tuple[dict[str, Any], float] | None:
        """Return Katib's idea of the best: any trial with an observation counts, whatever became of it."""
        objective, best = self.experiment.objective, None
        for trial in self._trials():
            metrics = trial["status"].get("observation", {}).get("metrics", [])
            text = next((each[objective.strategy(objective.metric)] for each in metrics), "")
            try:
                value = float(text)
            except ValueError:
                continue
            if best is None or objective.better(value, best[1]):
                best = (trial, value)
        return best

    def _optimum(self) -> dict[str, Any]:
        best = self._best()
        return {"bestTrialName": best[0]["metadata"]["name"]} if best else {}

    def _optimal_value(self) -> float | None:
        best = self._best()
        return best[1] if best else None

    def _create_trials(self) -> None:
        if self._is_over() or not self.controller.suggests:
            return
        spec, states = self.resource["spec"], [_state(each) for each in self._trials()]
        running, done = states.count("Running"), sum(state in OVER for state in states)
        for _ in range(min(spec["parallelTrialCount"], spec["maxTrialCount"] - done) - running):
            values = self.suggester.ask()
            if isinstance(values, Exhausted):
                self.exhausted = True
            if isinstance(values, Wait | Exhausted):
                return
            self._create_trial(values)

    def _create_trial(self, values: dict[str, Any]) -> None:
        name = f"{self.experiment.name}-{uuid.uuid4().hex[:8]}"
        assignments = [{"name": key, "value": value_text(value)} for key, value in values.items()]
        self.numbers[name] = len(self.suggested)
        self.suggested.append({"name": name, "parameterAssignments": assignments})
        self.api.change(self.suggestion, suggestions=self.suggested, suggestionCount=len(self.suggested))
        labels = {**self.resource["metadata"]["labels"], LABEL: self.experiment.name}
        metadata = {"name": name, "labels": labels, "ownerReferences": self.owners}
        manifest = render_trial(self.experiment, name=name, values=values, namespace="team-a")
        trial = self.api.keep(
            "trials", {"metadata": metadata, "spec": {"parameterAssignments": assignments, "runSpec": manifest}}
        )
        self.api.change(trial, startTime=_stamp())
        self.api.condition(trial, "Created", "TrialCreated")
        self.api.condition(trial, "Running", "TrialRunning")
        template = _pod_template(manifest)
        pod = self.api.add_trial_pod(trial, template, collected=self.controller.injects)
        if manifest["kind"] != "Job":
            self._add_worker(trial, template)
        container = primary_containers(replace(self.experiment.trial, manifest=manifest))[0].spec
        env = {each["name"]: each["value"] for each in container.get("env", []) if "value" in each}
        env = {**os.environ, **env, "KATIB_TRIAL_NAME": name}
        folder = self.controller.folder / name
        process = _Process(trial, pod, folder, _shell_line(container), env)
        process.start(self.experiment.metrics)
        self.controller.commands.append(process.line)
        limit = manifest["spec"].get("activeDeadlineSeconds")
        process.deadline = time.monotonic() + limit if limit else None
        process.reader = LineReader(self.experiment.metrics, self.experiment.objective.metrics)
        self.processes[name] = process
        self.api.say_in(pod, COLLECTOR if self.controller.injects else container["name"], _klog(f"Trial Name: {name}"))

    def _add_worker(self, trial: dict[str, Any], template: dict[str, Any]) -> None:
        """Add a pod whose metrics do not count, which so has no collector, and has ended well."""
        role, rank = "training.kubeflow.org/job-role", "batch.kubernetes.io/job-completion-index"
        metadata = {"labels": {**template["metadata"]["labels"], role: "worker", rank: "1"}}
        worker = self.api.add_trial_pod(trial, {**template, "metadata": metadata}, collected=False)
        self.api.end_trial_pod(worker, 0)

    def _tend(self, process: _Process) -> None:
        over = process.process.poll() is not None or process.ended_by
        self._collect(process, process.tail.rest() if over else process.tail.lines())
        if process.printed:
            for line in process.printed.rest() if over else process.printed.lines():
                self.api.say_in(process.pod, self.experiment.trial.primary_container, line)
        if over:
            self.processes.pop(process.trial["metadata"]["name"], None)
            self._end(process)
        elif process.deadline is not None and time.monotonic() > process.deadline:
            process.end("DeadlineExceeded")
        elif self._is_hopeless(process):
            process.end("EarlyStopped")

    def _collect(self, process: _Process, lines: Any) -> None:
        for line in lines:
            if self.controller.injects:
                self.api.say_in(process.pod, COLLECTOR, _klog(line))
            process.reports += [(name, value) for name, value, _ in process.reader.read(line)]

    def _is_hopeless(self, process: _Process) -> bool:
        stopping, objective = self.experiment.early_stopping, self.experiment.objective
        if stopping is None:
            return False
        median = MedianStop(stopping, objective)
        values = [value for name, value in process.reports if name == objective.metric]
        return median.is_hopeless(values, median.limit(self.first_reports))

    def _end(self, process: _Process) -> None:
        trial, code = process.trial, process.process.wait()
        if self.deleted or process.ended_by == "deleted":
            return
        self.api.end_trial_pod(process.pod, 137 if process.ended_by else code)
        objective = self.experiment.objective
        reported = [value for name, value in process.reports if name == objective.metric]
        if process.ended_by == "EarlyStopped":
            self._observe(trial, process.reports)
            self._over(process, "EarlyStopped", "TrialEarlyStopped", "Trial is early stopped", None)
        elif code != 0 or process.ended_by:
            reason = "DeadlineExceeded" if process.ended_by == "DeadlineExceeded" else "BackoffLimitExceeded"
            text = "Trial has failed. Job message: Job has reached the specified backoff limit"
            self._over(process, "Failed", f"TrialFailed. Job reason: {reason}", text, None)
        elif not (self.controller.injects and self.controller.stores_metrics):
            return  # Katib looks again, for ever.
        elif not reported:
            text = "Metrics are not available"
            self._over(process, "MetricsUnavailable", "MetricsUnavailable", text, None)
        else:
            self._observe(trial, process.reports)
            self.first_reports.append(reported)
            value = _strategic(reported, objective.strategy(objective.metric))
            self._over(process, "Succeeded", "TrialSucceeded", "Trial has succeeded", value)

    def _over(self, process: _Process, kind: str, reason: str, message: str, value: float | None) -> None:
        trial = process.trial
        with self.api.changed:
            self.suggester.tell(self.numbers[trial["metadata"]["name"]], value)
            self.api.change(trial, completionTime=_stamp())
            self.api.condition(trial, kind, reason, message)
            if not self.resource["spec"]["trialTemplate"].get("retain"):
                self.api.pods.pop(process.pod["metadata"]["name"], None)
        shutil.rmtree(process.folder)

    def _observe(self, trial: dict[str, Any], reports: list[tuple[str, float]]) -> None:
        """Store what counts (pkg/controller.v1beta1/trial/trial_controller_util.go, getMetrics)."""
        metrics = []
        for name in self.experiment.objective.metrics:
            values = [value for each, value in reports if each == name]
            finite = [value for value in values if math.isfinite(value)]
            metrics.append(
                {
                    "name": name,
                    "min": repr(min(finite)) if finite else "unavailable",
                    "max": repr(max(finite)) if finite else "unavailable",
                    # The filter leaves nothing of what is no number.
                    "latest": repr(values[-1]) if values and math.isfinite(values[-1]) else "",
                }
            )
        self.api.change(trial, observation={"metrics": metrics})


def _state(trial: dict[str, Any]) -> str:
    holding = [each["type"] for each in trial["status"].get("conditions", []) if each["status"] == "True"]
    return next((each for each in (*OVER, "Running") if each in holding), "Pending")


def _strategic(values: list[float], strategy: str) -> float | None:
    finite = [value for value in values if math.isfinite(value)]
    if strategy == "latest":
        return values[-1] if math.isfinite(values[-1]) else None
    return {"min": min, "max": max}[strategy](finite, default=None)


def _shell_line(container: dict[str, Any]) -> str:
    """Return the container's command as one line: only `sh -c` and `bash -c` are known as shells."""
    words = [*(container.get("command") or []), *(container.get("args") or [])]
    return " ".join(words[2:] if words[0] in ("sh", "bash") and words[1] == "-c" else words)


def _pod_template(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return what a Job's pod is made of; of other kinds, what a pod of theirs has in common with it."""
    if manifest["kind"] == "Job":
        return manifest["spec"]["template"]
    if manifest["kind"] == "PyTorchJob":
        template = manifest["spec"]["pytorchReplicaSpecs"]["Master"]["template"]
        labels = {**template["metadata"]["labels"], "training.kubeflow.org/job-role": "master"}
        return {**template, "metadata": {**template["metadata"], "labels": labels}}
    (patch,) = manifest["spec"]["runtimePatches"]
    (job,) = patch["trainingRuntimeSpec"]["template"]["spec"]["replicatedJobs"]
    labels = job["template"]["spec"]["template"]["metadata"]["labels"] | {
        "jobset.sigs.k8s.io/replicatedjob-name": "node",
        "batch.kubernetes.io/job-completion-index": "0",
    }
    return {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "node"}]}}


def _klog(line: str) -> str:
    return f"I{datetime.now(UTC):%m%d %H:%M:%S.%f}      14 main.go:139] {line}"


def _stamp() -> str:
    """Return the time in whole seconds, as Kubernetes writes it in a status."""
    return re.sub(r"\.\d+Z", "Z", now())
