"""The cluster engine against an API server with Katib: what Katib does to one, and what clusters do."""

import json
import re
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from background import in_background
from kube_api import NAMESPACE
from quick import QUICK

from ropewalk.cluster.access import granted_permissions
from ropewalk.cluster.connect import connect
from ropewalk.cluster.patience import Patience
from ropewalk.cluster.resource import SPEC_HASH
from ropewalk.errors import ClusterError, ConfigError, RunError, ServiceError
from ropewalk.tuning.containers import primary_containers
from ropewalk.tuning.following import follow
from ropewalk.tuning.katib_config import KatibConfig
from ropewalk.tuning.katib_engine import KatibEngine
from ropewalk.tuning.katib_plan import plan_experiment
from ropewalk.tuning.parse import parse_experiment, read_experiment
from ropewalk.tuning.render import render_trial
from ropewalk.tuning.results import result_of
from ropewalk.tuning.trial_templates import pytorch_job_template, train_job_template

GROUP = "kubeflow.org"
ECHO = 'echo "loss=$0"'


@pytest.fixture
def values_of(experiment, tmp_path):
    """Return a function that gives an experiment with one trial per value, in order, that runs `line`."""

    def make(*values, line=ECHO, **changes):
        return experiment(
            parameters=[{"name": "what", "type": "categorical", "values": list(values)}],
            algorithm={"name": "grid"},
            limits={"max_trials": len(values), **changes.pop("limits", {})},
            trial={"command": ["sh", "-c", line, "${trialParameters.what}"], "env": {"MARK": str(tmp_path / "mark")}},
            **changes,
        )

    return make


@pytest.fixture
def scripted(katib_api):
    """The API server without a controller, so that a test says itself what Katib does."""
    katib_api.on_experiment = lambda experiment: None
    return katib_api


def run(engine, experiment, said=None):
    return follow(engine, experiment, say=(said if said is not None else []).append)


def states(snapshot):
    return [trial.state for trial in snapshot.trials]


def put_trial(api, name, what, *conditions, metrics=(), namespace=NAMESPACE, owner=None):
    owner = owner or api.the_experiment()["metadata"]["uid"]
    trial = api.keep(
        "trials",
        {
            "metadata": {
                "name": name,
                "labels": {"katib.kubeflow.org/experiment": "bowl"},
                "ownerReferences": [{"kind": "Experiment", "name": "bowl", "uid": owner}],
            },
            "spec": {"parameterAssignments": [{"name": "what", "value": what}]},
        },
        namespace,
    )
    api.change(trial, startTime="2026-01-31T12:00:00Z", completionTime="2026-01-31T12:01:30Z")
    if metrics:
        least, most, latest = metrics
        api.change(trial, observation={"metrics": [{"name": "loss", "min": least, "max": most, "latest": latest}]})
    for each in conditions:
        api.condition(trial, each, f"Trial{each}", "killed by an administrator" if each == "Killed" else "")
    return trial


def test_a_trial_is_one_attempt_without_a_sidecar_of_istios_that_belongs_to_its_experiment(
    katib_api, katib_engine, values_of
):
    engine = katib_engine(service_account="trainer", image_pull_secrets=("registry",), labels={"team": "a"})
    engine.start(values_of("1"))
    (sent,) = katib_api.sent
    job = sent["spec"]["trialTemplate"]["trialSpec"]["spec"]
    metadata, pod = job["template"]["metadata"], job["template"]["spec"]
    assert job["backoffLimit"] == 0
    assert (
        metadata["labels"]["sidecar.istio.io/inject"] == metadata["annotations"]["sidecar.istio.io/inject"] == "false"
    )
    assert metadata["labels"]["katib.kubeflow.org/experiment"] == "bowl"
    assert (pod["restartPolicy"], pod["serviceAccountName"]) == ("Never", "trainer")
    assert pod["imagePullSecrets"] == [{"name": "registry"}]
    assert sent["metadata"]["labels"]["team"] == metadata["labels"]["team"] == "a"
    (container,) = pod["containers"]
    assert container["command"] == ["sh", "-c"]
    assert container["args"] == ["sh -c 'echo \"loss=$0\"' '${trialParameters.what}'"]


def test_the_workflow_of_the_step_owns_the_experiment(katib_api, katib_engine, values_of, monkeypatch):
    engine = katib_engine()
    workflow = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "name": "run-x", "uid": "u-1"}
    pod = katib_api.add_pod({"metadata": {"name": "step", "uid": "none"}}, 0)
    pod["metadata"]["ownerReferences"] = [workflow | {"controller": True}]
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KFP_POD_NAME", pod["metadata"]["name"])
    engine.start(values_of("1"))
    assert katib_api.sent[0]["metadata"]["ownerReferences"] == [
        workflow | {"controller": False, "blockOwnerDeletion": False}
    ]


def test_published_examples_are_accepted_by_the_server_as_they_stand(scripted, katib_engine, example):
    imported, engine = read_experiment(example), katib_engine(namespace=NAMESPACE)
    engine.start(imported)
    kept = scripted.the_experiment()
    assert kept["metadata"]["name"] == imported.name
    assert kept["spec"]["objective"]["objectiveMetricName"] == imported.objective.metric
    assert f"It runs in namespace {NAMESPACE}, as the settings say, not in kubeflow." in engine.poll().notes
    values = {each.name: each.values[0] if each.values else each.min for each in imported.parameters}
    sent = parse_experiment({name: kept[name] for name in ("apiVersion", "kind", "metadata", "spec")})
    trial = render_trial(sent, name=f"{imported.name}-0123abcd", values=values)
    assert "${trialParameters" not in json.dumps(trial)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"maxTrialCout": 3}, r"unknown field \"\.spec\.maxTrialCout\""),
        ({"maxTrialCount": "3"}, r"\.spec\.maxTrialCount: Invalid value: '3': must be of type integer"),
        ({"objective": {"goal": True}}, r"\.spec\.objective\.goal: Invalid value: True"),
        ({"parallelTrialCount": 9}, "parallelTrialCount should be less than or equal to maxTrialCount"),
    ],
)
def test_the_server_holds_what_is_sent_against_katibs_schema_and_webhook(katib_api, values_of, change, told):
    plan = plan_experiment(values_of("1"), KatibConfig())
    body = {**plan.body, "spec": {**plan.body["spec"], **change}}
    with pytest.raises(ClusterError, match=told):
        connect(patience=QUICK, role="tuning").create(replace(plan, body=body))
    assert not katib_api.all_of("experiments")


def test_the_same_spec_is_adopted_and_another_is_refused_by_both_hashes(katib_api, katib_engine, values_of):
    katib_engine().start(values_of("1"))
    uid = katib_api.the_experiment()["metadata"]["uid"]
    run(katib_engine(), values_of("1"))
    assert katib_api.the_experiment()["metadata"]["uid"] == uid
    with pytest.raises(ClusterError) as refused:
        katib_engine().start(values_of("2"))
    found = [each["metadata"]["annotations"][SPEC_HASH] for each in katib_api.sent]
    assert found[0] == found[1] != found[2]
    assert found[0] in str(refused.value)
    assert found[2] in str(refused.value)
    assert katib_api.the_experiment()["metadata"]["uid"] == uid


@pytest.mark.parametrize("action", [429, 500, 503, "reset"])
def test_what_passes_by_itself_is_survived_wherever_it_happens(katib_api, katib_engine, values_of, action):
    for verb, resource in (
        ("create", "experiments"),
        ("get", "experiments"),
        ("list", "trials"),
        ("get", "suggestions"),
        ("list", "pods"),
    ):
        katib_api.fail(verb, resource, action, times=1 if action == 429 else 2)
    snapshot = run(katib_engine(), values_of("1", "2"))
    assert states(snapshot) == ["succeeded"] * 2
    assert [fault for fault in katib_api.faults if fault.times] == []
    assert len(katib_api.all_of("experiments")) == 1


def test_a_create_whose_answer_was_lost_is_not_done_twice(katib_api, katib_engine, values_of):
    katib_api.fail("create", "experiments", "lost")
    assert states(run(katib_engine(), values_of("1", "2"))) == ["succeeded"] * 2
    assert len(katib_api.sent) == 2
    assert len(katib_api.controller.commands) == 2


@pytest.mark.parametrize("action", ["expired", 429, 503, "reset"])
def test_a_watch_that_breaks_is_opened_anew(katib_api, katib_engine, values_of, action):
    katib_api.fail("watch", "experiments", action, times=2)
    assert states(run(katib_engine(), values_of("1", line=f"sleep 0.5; {ECHO}"))) == ["succeeded"]
    assert katib_api.asked.count((GROUP, "experiments", "watch")) >= 2


def test_an_api_server_that_stays_away_leaves_the_experiment_to_the_next_attempt(katib_api, katib_engine, values_of):
    impatient = connect(patience=Patience(shortest_poll=0.02, first_retry=0.05, unreachable=0.5), role="tuning")
    katib_api.fail("list", "trials", 503, times=1000)
    with pytest.raises(ServiceError, match="What runs on the cluster goes on"):
        run(KatibEngine(KatibConfig(cleanup="always"), impatient), values_of("1", "2"))
    katib_api.faults.clear()
    assert "deletionTimestamp" not in katib_api.the_experiment()["metadata"]
    assert states(run(katib_engine(), values_of("1", "2"))) == ["succeeded"] * 2
    assert len(katib_api.controller.commands) == 2


@pytest.mark.parametrize(
    ("resource", "verb", "told"),
    [
        ("experiments", "create", "verb create on experiments (kubeflow.org)"),
        ("trials", "list", "verb list on trials (kubeflow.org)"),
        ("pods/log", "get", "verb get on pods/log"),
    ],
)
def test_a_missing_permission_names_account_verb_and_the_role_to_apply(
    katib_api, katib_engine, values_of, resource, verb, told
):
    katib_api.denied = {(resource, verb)}
    with pytest.raises(ClusterError) as refused:
        katib_engine().start(values_of("1"))
    message = str(refused.value)
    assert f"Service account default-editor in namespace {NAMESPACE} lacks" in message
    assert told in message
    assert "name: ropewalk-tuner" in message
    assert not katib_api.sent


def test_a_refusal_that_no_review_foresaw_is_explained_too(katib_api, katib_engine, values_of):
    katib_api.hidden_denied = {("trials", "list")}
    with pytest.raises(ClusterError, match=r"verb list on trials \(kubeflow.org\)"):
        run(katib_engine(), values_of("1"))


def test_the_role_that_is_shipped_has_the_verbs_that_are_used_and_no_more(
    katib_api, katib_engine, values_of, monkeypatch
):
    """A goal that leaves a trial running, a silent trial, one that fails, one out of time, and one that is stuck."""
    engine, stuck = katib_engine(), katib_engine(stuck_seconds=0.2)
    pod = katib_api.add_pod({"metadata": {"name": "step", "uid": "none"}}, 0)
    monkeypatch.setenv("KFP_POD_NAME", pod["metadata"]["name"])
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    line = 'case "$0" in slow) echo loss=9; sleep 60;; bad) exit 3;; *) echo "loss=$0";; esac'
    goal = {"metric": "loss", "type": "minimize", "goal": 1}
    run(engine, values_of("slow", "1", line=line, objective=goal, limits={"parallel": 2}))
    run(engine, values_of("bad", "slow", line=line, name="second", limits={"stall_seconds": 0.5}))
    run(engine, values_of("1", "slow", line=line, name="later", limits={"experiment_seconds": 1.5}))
    katib_api.controller.suggests = False
    with pytest.raises(ClusterError, match="is stuck"):
        run(stuck, values_of("1", name="third"))
    granted = {(each.group, each.resource, each.verb) for each in granted_permissions("tuning")}
    assert set(katib_api.asked) == granted


def test_a_namespace_without_katibs_label_is_named_with_its_fix(katib_api, katib_engine, values_of):
    katib_api.collects_metrics = False
    with pytest.raises(ClusterError) as refused:
        katib_engine().start(values_of("1"))
    fix = f"kubectl label namespace {NAMESPACE} katib.kubeflow.org/metrics-collector-injection=enabled"
    assert fix in str(refused.value)
    assert not katib_api.all_of("experiments")


def test_a_cluster_without_katib_names_it_and_the_guide(katib_api, katib_engine, values_of):
    katib_api.katib_installed = False
    with pytest.raises(ClusterError, match=r"Katib is not installed.*docs/cluster-tuning\.md"):
        katib_engine().start(values_of("1"))


def test_a_pod_without_collector_is_found_out_when_it_has_ended(katib_api, katib_engine, values_of):
    katib_api.controller.injects = False
    with pytest.raises(ClusterError) as stuck:
        run(katib_engine(), values_of("1", "2"))
    assert "has ended well, but no container metrics-logger-and-collector" in str(stuck.value)
    assert "metrics-collector-injection=enabled" in str(stuck.value)
    katib_api.wait_for(lambda: not katib_api.all_of("experiments"))


def test_metrics_that_are_never_stored_are_not_waited_for_for_ever(katib_api, katib_engine, values_of):
    katib_api.controller.stores_metrics = False
    with pytest.raises(ClusterError, match=r"Katib has stored no metrics of it\. .*katib-db-manager"):
        run(katib_engine(collect_seconds=0.3), values_of("1"))


def test_an_experiment_that_is_stuck_says_what_its_suggestion_says(katib_api, katib_engine, values_of):
    katib_api.controller.suggests = False

    def complain():
        suggestion = katib_api.wait_for(lambda: katib_api.all_of("suggestions"))[0]
        katib_api.condition(suggestion, "DeploymentReady", "DeploymentNotReady", "0/3 nodes are available")
        for name in ("bowl", "bowl-grid-7c5-x2v"):
            event = {"involvedObject": {"name": name}, "reason": "FailedScheduling", "message": f"no room for {name}"}
            katib_api.events.append(event)

    threading.Thread(target=complain, daemon=True).start()
    with pytest.raises(ClusterError) as stuck:
        run(katib_engine(stuck_seconds=1.0), values_of("1"))
    message = str(stuck.value)
    assert "is stuck: for 1 s no trial has run" in message
    assert "Suggestion DeploymentReady=True: DeploymentNotReady: 0/3 nodes are available" in message
    assert "Event of bowl: FailedScheduling: no room for bowl" in message
    assert "Event of bowl-grid-7c5-x2v: FailedScheduling: no room for bowl-grid-7c5-x2v" in message


def test_deletion_by_someone_else_is_an_error_at_once(katib_api, katib_engine, values_of):
    engine = katib_engine()
    engine.start(values_of("slow", line="echo loss=1; sleep 60"))
    while states(engine.poll()) != ["running"]:
        pass
    katib_api.remove("experiments", "bowl")
    begin = time.monotonic()
    with pytest.raises(ClusterError, match="was deleted by someone else while it ran, with its 1 trials"):
        while True:
            engine.poll()
    assert time.monotonic() - begin < 5


def test_an_experiment_whose_trials_all_fail_is_no_success_though_katib_says_so(katib_api, katib_engine, values_of):
    made = values_of("1", "2", line="echo no such table >&2; exit 3")
    snapshot = run(katib_engine(), made)
    assert snapshot.end == "max_trials_reached"
    assert [each["type"] for each in katib_api.the_experiment()["status"]["conditions"]][-1] == "Succeeded"
    with pytest.raises(RunError, match=r"(?s)no trial succeeded.*no such table.*exit code 3"):
        result_of(made, snapshot)


@pytest.mark.parametrize(("cleanup", "kept"), [("always", False), ("on_success", True)])
def test_what_katib_gave_up_for_another_reason_than_failed_trials_is_an_error(
    scripted, katib_engine, values_of, cleanup, kept
):
    engine = katib_engine(cleanup=cleanup)
    engine.start(values_of("1"))
    experiment = scripted.the_experiment()
    scripted.condition(experiment, "Failed", "ExperimentFailed", "Suggestion has failed")
    with pytest.raises(ClusterError, match="Katib gave up experiment bowl: Suggestion has failed"):
        engine.poll()
    engine.stop()
    assert ("deletionTimestamp" not in experiment["metadata"]) is kept


def test_every_condition_of_a_trial_has_a_state_and_says_why(scripted, katib_engine, values_of):
    engine = katib_engine()
    engine.start(values_of(*"abcdefg"))
    put_trial(scripted, "bowl-a", "a", "Running", "Succeeded", metrics=("0.1", "0.9", "0.3"))
    put_trial(scripted, "bowl-b", "b", "Running", "EarlyStopped", metrics=("0.2", "0.9", "0.3"))
    put_trial(scripted, "bowl-c", "c", "Running", "Killed")
    put_trial(scripted, "bowl-d", "d", "Running", "MetricsUnavailable")
    put_trial(scripted, "bowl-e", "e", "Running", "Succeeded", metrics=("unavailable", "unavailable", ""))
    put_trial(scripted, "bowl-f", "f", "Running")
    put_trial(scripted, "bowl-g", "g", "Created")
    snapshot = engine.poll()
    expected = ["succeeded", "early_stopped", "stopped", "failed", "succeeded", "running", "pending"]
    assert states(snapshot) == expected
    first = snapshot.trials[0]
    assert vars(first.observations["loss"]) == {"latest": 0.3, "min": 0.1, "max": 0.9, "reports": 1}
    assert (first.seconds, first.started, first.values) == (90.0, 1769860800.0, {"what": "a"})
    messages = [trial.message for trial in snapshot.trials]
    assert messages[1] == "it was worse than others had been by then"
    assert messages[2] == "killed by an administrator"
    assert "never reported loss" in messages[3]
    assert "no finite number" in messages[4]


def test_trials_of_a_namesake_in_another_namespace_or_time_are_not_ours(scripted, katib_engine, values_of):
    engine, said = katib_engine(), []
    engine.start(values_of("a", "b"))
    put_trial(scripted, "bowl-x", "a", "Succeeded", metrics=("0", "0", "0"), namespace="team-b")
    put_trial(scripted, "bowl-y", "a", "Succeeded", metrics=("0", "0", "0"), owner="an experiment deleted before")
    put_trial(scripted, "bowl-z", "b", "Succeeded", metrics=("1", "1", "1"))
    snapshot = engine.poll()
    assert [trial.name for trial in snapshot.trials] == ["bowl-z"]
    assert "The name bowl holds no hash" in snapshot.notes[0]
    hashed = katib_engine()
    hashed.start(values_of("a", name="tune-0123abcd"))
    assert hashed.poll().notes == ()
    assert said == []


def test_another_optimum_than_katibs_is_said(scripted, katib_engine, values_of):
    said = []

    def conclude(experiment):
        put_trial(scripted, "bowl-a", "a", "EarlyStopped", metrics=("0.1", "0.1", "0.1"))
        put_trial(scripted, "bowl-b", "b", "Succeeded", metrics=("0.2", "0.2", "0.2"))
        scripted.change(experiment, currentOptimalTrial={"bestTrialName": "bowl-a"})
        scripted.condition(experiment, "Succeeded", "ExperimentMaxTrialsReached")

    scripted.on_experiment = conclude
    made = values_of("a", "b")
    snapshot = run(katib_engine(), made, said)
    assert result_of(made, snapshot).best_trial == "bowl-b"
    assert [line for line in said if "Katib holds bowl-a for the best trial, but bowl-b is" in line]


def test_numbers_follow_the_order_of_the_suggestions_not_that_of_names(scripted, katib_engine, values_of):
    engine = katib_engine()
    engine.start(values_of("a", "b"))
    listed = [
        {"name": name, "parameterAssignments": [{"name": "what", "value": what}]}
        for name, what in (("bowl-z", "a"), ("bowl-b", "b"))
    ]
    scripted.keep("suggestions", {"metadata": {"name": "bowl"}, "status": {"suggestions": listed}})
    put_trial(scripted, "bowl-b", "b", "Running")
    put_trial(scripted, "bowl-z", "a", "Running")
    assert [(each.number, each.name) for each in engine.poll().trials] == [(0, "bowl-z"), (1, "bowl-b")]


def test_trials_that_were_stopped_are_known_to_the_next_attempt(katib_api, katib_engine, values_of):
    line = 'case "$0" in slow) echo loss=9; sleep 60;; *) echo "loss=$0";; esac'
    goal = {"metric": "loss", "type": "minimize", "goal": 1}
    made = values_of("slow", "1", "2", line=line, objective=goal, limits={"parallel": 2})
    first = run(katib_engine(), made)
    assert states(first) == ["stopped", "succeeded"]
    katib_api.wait_for(lambda: len(katib_api.all_of("trials")) == 1)
    again = run(katib_engine(), made)
    assert [(each.name, each.state, each.values) for each in again.trials] == [
        (each.name, each.state, each.values) for each in first.trials
    ]


def test_an_experiment_out_of_time_starts_nothing_more_and_stays_over(katib_api, katib_engine, values_of):
    line = 'case "$0" in slow) sleep 60;; *) echo "loss=$0";; esac'
    made = values_of("1", "slow", "2", line=line, limits={"experiment_seconds": 2, "max_failed": 2})
    assert run(katib_engine(), made).end == "out_of_time"
    katib_api.wait_for(lambda: len(katib_api.all_of("trials")) == 1)
    again = run(katib_engine(), made)
    assert (states(again), again.end) == (["succeeded", "stopped"], "out_of_time")
    assert len(katib_api.controller.commands) == 2


@pytest.mark.parametrize(
    ("retain", "lines"),
    [("failed", (0, 20)), ("all", (20, 20)), ("none", (0, 0))],
)
def test_the_last_lines_of_logs_are_kept_of_the_trials_that_are_asked_for(
    katib_api, katib_engine, values_of, retain, lines
):
    line = 'i=0; while [ $i -lt 30 ]; do i=$((i + 1)); echo "step $i"; done; echo "loss=$0"; exit "$0"'
    engine = katib_engine(retain=retain)
    made = values_of("0", "3", line=line)
    snapshot = run(engine, made)
    assert states(snapshot) == ["succeeded", "failed"]
    assert tuple(len(trial.log_tail) for trial in snapshot.trials) == lines
    if lines[1]:
        assert snapshot.trials[1].log_tail[-3:] == ("step 30", "loss=3", "[exit code 3, Error]")
        again = run(katib_engine(retain=retain), made)
        assert again.trials[1].log_tail == snapshot.trials[1].log_tail


@pytest.mark.parametrize("retain", ["failed", "all"])
def test_a_metrics_file_is_read_while_what_the_trial_prints_is_its_log(
    katib_api, katib_engine, values_of, tmp_path, retain
):
    file = tmp_path / "m.json"
    line = f'printf "{{\\"loss\\": \\"0.5\\"}}\\n" >> {file}; echo printed; [ "$0" = good ]'
    source = {"kind": "File", "path": str(file), "format": "JSON"}
    snapshot = run(katib_engine(retain=retain), values_of("good", "bad", line=line, metrics=source))
    assert states(snapshot) == ["succeeded", "failed"]
    assert snapshot.trials[0].observations["loss"].latest == 0.5
    assert snapshot.trials[0].log_tail == (("printed",) if retain == "all" else ())
    assert snapshot.trials[1].log_tail == ("printed", "[exit code 1, Error]")


@pytest.mark.parametrize(
    ("cleanup", "succeeded", "kept"),
    [
        ("always", True, False),
        ("always", False, False),
        ("on_success", True, False),
        ("on_success", False, True),
        ("never", True, True),
        ("never", False, True),
    ],
)
def test_the_policy_says_what_is_deleted(katib_api, katib_engine, values_of, cleanup, succeeded, kept):
    engine = katib_engine(cleanup=cleanup)
    run(engine, values_of("1"))
    assert katib_api.all_of("experiments")
    engine.clean_up(succeeded=succeeded)
    if kept:
        assert "deletionTimestamp" not in katib_api.the_experiment()["metadata"]
    else:
        katib_api.wait_for(lambda: not katib_api.all_of("experiments") and not katib_api.all_of("trials"))


@pytest.mark.parametrize("make", [train_job_template, pytorch_job_template])
def test_trials_of_several_pods_are_followed_by_the_one_that_has_the_metrics(katib_api, katib_engine, values_of, make):
    """Torchrun itself is left out of the command, for speed: what becomes of the pods is the point."""
    template = make(["sh", "-c", "echo out of memory; exit 4", "${trialParameters.what}"], ["what"], image="i")
    line = "sh -c 'echo out of memory; sleep 0.3; exit 4' '${trialParameters.what}'"
    text = json.dumps(template.manifest)
    (old,) = {each.spec["args"][0] for each in primary_containers(template)}
    manifest = json.loads(text.replace(json.dumps(old), json.dumps(line)))
    # Without labels, too, as many an experiment is written: Katib knows those of each kind.
    made = replace(values_of("1"), trial=replace(template, manifest=manifest, primary_labels={}))
    snapshot = run(katib_engine(), made)
    assert states(snapshot) == ["failed"]
    assert snapshot.trials[0].log_tail == ("out of memory", "[exit code 4, Error]")


def test_the_guides_example_runs_as_it_stands(katib_api, spec, capsys):
    guide = Path(__file__).parents[3] / "docs" / "cluster-tuning.md"
    (example,) = re.findall(r"```python\n(.*?)```", guide.read_text(encoding="utf-8"), re.DOTALL)
    exec(example, {"experiment": spec(ECHO, limits={"max_trials": 1})})
    assert "1 of 1 trials done" in capsys.readouterr().out
    katib_api.wait_for(lambda: not katib_api.all_of("experiments"))


def test_limits_that_a_kind_of_trial_cannot_keep_are_noted(scripted, katib_engine, values_of):
    made = values_of("1", limits={"stall_seconds": 9, "trial_seconds": 9})
    template = pytorch_job_template(["true", "${trialParameters.what}"], ["what"], image="i")
    other = {**template.manifest, "kind": "RayJob"}
    expected = {"PyTorchJob": ["stall_seconds"], "RayJob": ["trial_seconds", "stall_seconds"]}
    for manifest in (template.manifest, other):
        trial = replace(template, manifest=manifest, success_condition="a", failure_condition="b")
        engine = katib_engine()
        engine.start(replace(made, name=f"tune-{manifest['kind'].lower()}-0123abcd", trial=trial))
        notes = engine.poll().notes
        assert [note.partition(" is not kept")[0] for note in notes] == expected[manifest["kind"]]


def test_two_attempts_at_once_share_one_experiment(katib_api, katib_engine, values_of):
    engines = [katib_engine(), katib_engine()]
    results = [in_background(run, engine, values_of("1", "2", line=f"sleep 0.3; {ECHO}")) for engine in engines]
    first, second = (result(40) for result in results)
    assert [vars(trial) for trial in first.trials] == [vars(trial) for trial in second.trials]
    assert len(katib_api.controller.commands) == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cleanup": "alway"}, "Did you mean 'always'"),
        ({"retain": "fail"}, "Did you mean 'failed'"),
        ({"poll_seconds": 0}, "poll_seconds=0: need seconds above 0"),
        ({"log_lines": 0}, "log_lines=0"),
    ],
)
def test_a_wrong_setting_is_refused_with_its_name(settings, message):
    with pytest.raises(ConfigError, match=message):
        KatibConfig(**settings)
