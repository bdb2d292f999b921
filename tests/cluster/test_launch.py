"""A custom resource is created once, adopted by the next attempt, and deleted when its step is stopped."""

import os
import signal
import time
from contextlib import suppress

import pytest
from background import in_background
from kube_api import NAMESPACE, USER

from ropewalk.cluster.connect import connect
from ropewalk.cluster.launch import Progress, attach, finished
from ropewalk.cluster.resource import SPEC_HASH, plan_resource
from ropewalk.cluster.trainjob import TRAINJOB
from ropewalk.errors import ClusterError, ConfigError, ServiceError

SPEC = {"runtimeRef": {"name": "torch-distributed"}, "trainer": {"numNodes": 2}}


class Quiet:
    """An observer that has nothing to say."""

    def look(self, resource, state):
        pass

    def explain(self):
        return ""

    def close(self):
        pass


def planned(identity="s3://bucket/run-1/train/model", **trainer):
    return plan_resource(
        TRAINJOB, prefix="train", identity=identity, spec=SPEC | {"trainer": {"numNodes": 2, **trainer}}
    )


def run(cluster, plan, *, progress=None, cleanup="on_success"):
    seen = progress if progress is not None else []
    with finished(cluster, plan, observer=Quiet(), on_progress=seen.append, cleanup=cleanup) as resource:
        return resource


def test_the_same_identity_has_the_same_name_and_another_one_another():
    assert planned().name == planned(numNodes=3).name
    assert planned().spec_hash != planned(numNodes=3).spec_hash
    assert planned().name != planned(identity="s3://bucket/run-2/train/model").name
    assert len(planned().name) <= 39


@pytest.mark.parametrize(("prefix", "identity"), [("train", ""), ("Train", "x"), ("1", "x"), ("a" * 17, "x")])
def test_a_name_needs_an_identity_and_a_prefix_that_can_start_it(prefix, identity):
    with pytest.raises(ConfigError):
        plan_resource(TRAINJOB, prefix=prefix, identity=identity, spec=SPEC)


def test_a_resource_is_created_watched_to_its_end_and_deleted(api, cluster):
    plan, progress = planned(), []
    result = in_background(run, cluster, plan, progress=progress)
    api.wait_for(lambda: plan.name in api.jobs)
    api.set_status(plan.name, jobsStatus=[{"name": "node", "ready": 1}])
    api.wait_for(lambda: len(progress) == 2)
    api.conclude(plan.name, "Complete")
    assert result()["metadata"]["annotations"][SPEC_HASH] == plan.spec_hash
    assert [step.state.phase for step in progress] == ["waiting", "running", "succeeded"]
    assert isinstance(progress[0], Progress)
    api.wait_for(lambda: plan.name not in api.jobs)


def test_a_change_is_seen_at_once_however_long_the_poll(api, cluster):
    cluster = connect(patience=type(cluster.patience)(shortest_poll=0.02, longest_poll=30.0))
    plan = planned()
    result = in_background(run, cluster, plan)
    api.wait_for(lambda: ("trainer.kubeflow.org", "trainjobs", "watch") in api.asked)
    begin = time.monotonic()
    api.conclude(plan.name, "Complete")
    result()
    assert time.monotonic() - begin < 5


def test_a_failed_resource_is_an_error_and_stays_to_be_looked_at(api, cluster):
    plan = planned()
    result = in_background(run, cluster, plan)
    api.wait_for(lambda: plan.name in api.jobs)
    api.conclude(plan.name, "Failed", reason="DeadlineExceeded", message="was active for longer than 5 s")
    with pytest.raises(ClusterError, match=r"TrainJob train-\w+ failed \(DeadlineExceeded: was active for longer"):
        result()
    assert plan.name in api.jobs


@pytest.mark.parametrize(
    ("cleanup", "kind", "kept"),
    [
        ("always", "Complete", False),
        ("always", "Failed", False),
        ("on_success", "Complete", False),
        ("on_success", "Failed", True),
        ("never", "Complete", True),
        ("never", "Failed", True),
    ],
)
def test_the_policy_says_what_is_deleted(api, cluster, cleanup, kind, kept):
    plan = planned()
    api.on_create = lambda job: api.conclude(plan.name, kind)
    with suppress(ClusterError):
        run(cluster, plan, cleanup=cleanup)
    if kept:
        assert plan.name in api.jobs
    else:
        api.wait_for(lambda: plan.name not in api.jobs)


def test_a_result_that_cannot_be_taken_keeps_the_resource(api, cluster):
    plan = planned()
    api.on_create = lambda job: api.conclude(plan.name, "Complete")
    with (
        pytest.raises(RuntimeError, match="no model"),
        finished(cluster, plan, observer=Quiet(), on_progress=lambda step: None),
    ):
        raise RuntimeError("no model")
    assert plan.name in api.jobs


def test_the_next_attempt_adopts_the_resource_of_the_first(api, cluster):
    first = attach(cluster, planned())
    assert attach(cluster, planned())["metadata"]["uid"] == first["metadata"]["uid"]
    assert len(api.jobs) == 1


def test_two_attempts_at_once_share_one_resource(api, cluster):
    results = [in_background(run, connect(patience=cluster.patience), planned(), cleanup="never") for _ in range(4)]
    api.wait_for(lambda: api.asked.count(("trainer.kubeflow.org", "trainjobs", "watch")) >= 4)
    assert len(api.jobs) == 1
    api.conclude(planned().name, "Complete")
    assert len({result()["metadata"]["uid"] for result in results}) == 1


def test_a_resource_with_another_spec_is_refused_and_left_alone(api, cluster):
    attach(cluster, planned())
    with pytest.raises(ClusterError) as refused:
        run(cluster, planned(numNodes=3))
    assert planned().spec_hash in str(refused.value)
    assert planned(numNodes=3).spec_hash in str(refused.value)
    assert "deletionTimestamp" not in api.jobs[planned().name]["metadata"]


def test_what_failed_in_an_earlier_attempt_is_replaced(api, cluster):
    failed = attach(cluster, planned())
    api.conclude(planned().name, "Failed")
    assert attach(cluster, planned())["metadata"]["uid"] != failed["metadata"]["uid"]


def test_what_ended_while_nobody_looked_is_adopted_and_done(api, cluster):
    attach(cluster, planned())
    api.conclude(planned().name, "Complete")
    assert run(cluster, planned())
    assert len(api.bodies) == 2


def test_a_new_one_waits_until_the_old_one_is_gone(api, cluster):
    api.deletion_seconds = 0.5
    old = attach(cluster, planned())
    cluster.delete(TRAINJOB, planned().name)
    assert attach(cluster, planned())["metadata"]["uid"] != old["metadata"]["uid"]


def test_a_deletion_that_does_not_end_is_an_error_that_names_the_finalizers(api, cluster):
    api.deletion_seconds = 60
    attach(cluster, planned())
    api.jobs[planned().name]["metadata"]["finalizers"] = ["kueue.x-k8s.io/resource-in-use"]
    cluster.delete(TRAINJOB, planned().name)
    with pytest.raises(ClusterError, match=r"still being deleted.*kueue\.x-k8s\.io/resource-in-use"):
        attach(cluster, planned())


def test_a_cleanup_that_fails_is_said_and_does_not_undo_the_success(api, cluster, capsys):
    api.on_create = lambda job: api.conclude(planned().name, "Complete")
    api.fail("delete", "trainjobs", 503)
    assert run(cluster, planned())
    assert f"get trainjobs {planned().name}" in capsys.readouterr().out


def test_a_namespace_that_is_not_there_is_named(api):
    with pytest.raises(ClusterError, match='namespaces "nowhere" not found'):
        attach(connect(namespace="nowhere"), planned())


def test_deletion_by_someone_else_is_an_error_at_once(api, cluster):
    result = in_background(run, cluster, planned())
    api.wait_for(lambda: planned().name in api.jobs)
    api.delete(planned().name)
    with pytest.raises(ClusterError, match="was deleted by someone else while it was waiting"):
        result()


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_deletes_what_still_runs(api, cluster, signal_number):
    def stop():
        api.wait_for(lambda: ("trainer.kubeflow.org", "trainjobs", "watch") in api.asked)
        os.kill(os.getpid(), signal_number)

    in_background(stop)
    with pytest.raises((SystemExit, KeyboardInterrupt)):
        run(cluster, planned(), cleanup="never")
    api.wait_for(lambda: planned().name not in api.jobs)


def test_a_deletion_that_fails_in_the_last_moment_says_what_may_still_run(api, cluster):
    api.fail("delete", "trainjobs", 503, times=9)

    def stop():
        api.wait_for(lambda: ("trainer.kubeflow.org", "trainjobs", "watch") in api.asked)
        os.kill(os.getpid(), signal.SIGTERM)

    in_background(stop)
    with pytest.raises(SystemExit) as stopped:
        run(cluster, planned())
    assert f"get trainjobs {planned().name}" in stopped.value.__notes__[0]
    assert api.asked.count(("trainer.kubeflow.org", "trainjobs", "delete")) == 1


@pytest.mark.parametrize("action", [429, 500, 503, "reset"])
@pytest.mark.parametrize("verb", ["create", "get", "watch"])
def test_what_passes_by_itself_is_tried_again(api, cluster, verb, action):
    api.fail(verb, "trainjobs", action, times=2)
    result = in_background(run, cluster, planned())
    api.wait_for(lambda: planned().name in api.jobs)
    api.wait_for(lambda: not any(fault.times for fault in api.faults))
    api.conclude(planned().name, "Complete")
    assert result()


def test_a_create_whose_answer_was_lost_is_not_done_twice(api, cluster):
    api.fail("create", "trainjobs", "lost")
    assert attach(cluster, planned())["metadata"]["uid"] == api.jobs[planned().name]["metadata"]["uid"]
    assert len(api.bodies) == 2


def test_an_expired_watch_is_opened_anew(api, cluster):
    api.fail("watch", "trainjobs", "expired", times=3)
    result = in_background(run, cluster, planned())
    api.wait_for(lambda: api.asked.count(("trainer.kubeflow.org", "trainjobs", "watch")) >= 4)
    api.conclude(planned().name, "Complete")
    assert result()


def test_a_restart_of_the_api_server_is_survived(api, cluster):
    result = in_background(run, cluster, planned())
    api.wait_for(lambda: ("trainer.kubeflow.org", "trainjobs", "watch") in api.asked)
    api.stop()
    time.sleep(0.5)
    api.start()
    api.conclude(planned().name, "Complete")
    assert result()


def test_an_api_server_that_stays_away_is_a_service_error_and_the_resource_goes_on(api, cluster):
    cluster = connect(patience=type(cluster.patience)(shortest_poll=0.02, first_retry=0.05, unreachable=0.5))
    result = in_background(run, cluster, planned(), cleanup="always")
    api.wait_for(lambda: ("trainer.kubeflow.org", "trainjobs", "watch") in api.asked)
    api.stop()
    with pytest.raises(ServiceError, match="What runs on the cluster goes on"):
        result()
    api.start()
    assert "deletionTimestamp" not in api.jobs[planned().name]["metadata"]


def test_a_missing_permission_names_account_verb_and_the_role_to_apply(api, cluster):
    api.hidden_denied = {("trainjobs", "create")}
    with pytest.raises(ClusterError) as refused:
        run(cluster, planned())
    message = str(refused.value)
    assert "Service account default-editor in namespace team-a lacks" in message
    assert "verb create on trainjobs (trainer.kubeflow.org)" in message
    assert "kind: RoleBinding" in message
    assert "name: default-editor" in message


def test_a_resource_type_that_is_not_installed_names_the_product(api, cluster):
    api.installed = False
    with pytest.raises(ClusterError, match="Kubeflow Trainer is not installed"):
        run(cluster, planned())


def test_an_expired_token_is_explained(api, cluster):
    api.token_expired = True
    with pytest.raises(ClusterError, match="does not know us: Unauthorized"):
        run(cluster, planned())


def test_a_release_that_would_drop_fields_refuses(api, cluster):
    api.fields_dropped_by_old_release = {"runtimePatches"}
    with pytest.raises(ClusterError, match=r"400.*unknown field .spec\.runtimePatches"):
        run(cluster, planned())
    assert not api.jobs


def test_the_workflow_of_the_step_owns_the_resource(api, cluster, monkeypatch):
    workflow = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "name": "run-x", "uid": "u-1"}
    other = {"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "u-2"}
    pod = api.add_pod({"metadata": {"name": "step", "uid": "none"}}, 0)
    pod["metadata"]["ownerReferences"] = [other, workflow | {"controller": True, "blockOwnerDeletion": True}]
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KFP_POD_NAME", pod["metadata"]["name"])
    attach(cluster, planned())
    assert api.bodies[0]["metadata"]["ownerReferences"] == [
        workflow | {"controller": False, "blockOwnerDeletion": False}
    ]


def test_no_workflow_owns_what_is_started_from_elsewhere(api, cluster):
    attach(cluster, planned())
    assert "ownerReferences" not in api.bodies[0]["metadata"]


def test_without_a_cluster_there_is_nothing_to_connect_to(tmp_path, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(ConfigError, match="There is no cluster for training"):
        connect()


def test_the_namespace_is_the_one_given_or_that_of_the_context(api):
    assert connect().namespace == NAMESPACE
    assert connect(namespace="team-b").namespace == "team-b"
    assert USER.split(":")[2] == NAMESPACE
