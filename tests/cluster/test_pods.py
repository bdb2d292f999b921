"""What the pods of a job tell: the first one's log, what holds them up, and which one failed first."""

import time

import pytest
from background import in_background

from ropewalk.cluster.connect import connect
from ropewalk.cluster.launch import attach, finished
from ropewalk.cluster.logs import first_traceback
from ropewalk.cluster.pods import PodGroup
from ropewalk.cluster.trainjob import CONTAINER, RANK_LABEL, TrainJobConfig, plan_trainjob
from ropewalk.errors import ClusterError

PLAN = plan_trainjob("m", [], identity="i", prefix="train", image="image", config=TrainJobConfig(nodes=2))


class Watching:
    """A job that is watched in the background, and what was heard of it."""

    def __init__(self, cluster, *, start_timeout=60.0):
        self.lines, self.notices = [], []
        self.pods = PodGroup(
            cluster,
            name=PLAN.name,
            labels={"jobset.sigs.k8s.io/jobset-name": PLAN.name},
            rank_label=RANK_LABEL,
            container=CONTAINER,
            start_timeout=start_timeout,
            on_line=self.lines.append,
            on_notice=self.notices.append,
        )
        self.cluster = cluster
        self.result = in_background(self._run)

    def _run(self):
        with finished(self.cluster, PLAN, observer=self.pods, on_progress=lambda step: None) as resource:
            return resource


@pytest.fixture
def watching(api, cluster):
    """A job that is being watched."""
    watching = Watching(cluster)
    api.wait_for(lambda: PLAN.name in api.jobs)
    return watching


@pytest.fixture
def job(api, watching):
    return api.jobs[PLAN.name]


def test_the_log_of_rank_0_comes_line_by_line_while_it_is_written(api, watching, job):
    other, first = api.add_pod(job, 1), api.add_pod(job, 0)
    api.print(other, "not this one")
    for number in range(3):
        api.print(first, f"epoch {number}")
        api.wait_for(lambda number=number: len(watching.lines) == number + 1)
    api.end_pod(first, 0)
    api.conclude(PLAN.name, "Complete")
    watching.result()
    assert watching.lines == ["epoch 0", "epoch 1", "epoch 2"]


def test_the_last_lines_come_although_the_job_has_ended(api, watching, job):
    first = api.add_pod(job, 0)
    api.wait_for(lambda: ("", "pods/log", "get") in api.asked)
    api.print(first, *[f"line {number}" for number in range(500)])
    api.end_pod(first, 0)
    api.conclude(PLAN.name, "Complete")
    watching.result()
    assert watching.lines == [f"line {number}" for number in range(500)]


def test_no_line_is_lost_or_repeated_however_often_the_connection_breaks(api, watching, job):
    for after in (1, 2, 5, 9):
        api.fail("get", "pods/log", ("cut", after))
    api.fail("get", "pods/log", 500)
    api.fail("get", "pods/log", "reset")
    first = api.add_pod(job, 0)
    # Go leaves out zeros at the end of a fraction, and several lines may have one time.
    stamps = ["2026-01-01T00:00:00.1Z", "2026-01-01T00:00:00.12Z", "2026-01-01T00:00:00.12Z", "2026-01-01T00:00:01Z"]
    expected = []
    for number in range(12):
        api.print(first, f"line {number}", stamp=stamps[number] if number < 4 else f"2026-01-01T00:00:{number:02}.5Z")
        expected.append(f"line {number}")
    api.wait_for(lambda: watching.lines == expected)
    api.end_pod(first, 0)
    api.conclude(PLAN.name, "Complete")
    watching.result()
    assert watching.lines == expected
    assert not any(fault.times for fault in api.faults)


def test_a_pod_that_takes_the_place_of_rank_0_is_followed_from_its_start(api, watching, job):
    first = api.add_pod(job, 0)
    api.print(first, "attempt 1")
    api.end_pod(first, 1)
    api.wait_for(lambda: watching.lines == ["attempt 1"])
    second = api.add_pod(job, 0, suffix="-b")
    api.print(second, "attempt 2")
    api.wait_for(lambda: watching.lines == ["attempt 1", "attempt 2"])
    assert any("Rank 0 was started again" in notice for notice in watching.notices)
    api.end_pod(second, 0)
    api.conclude(PLAN.name, "Complete")
    watching.result()


TRACEBACK = ["Traceback (most recent call last):", '  File "train.py", line 7, in step', "ValueError: loss is nan"]


def test_a_failure_shows_the_rank_that_failed_first_with_traceback_and_last_lines(api, watching, job):
    zero, one = api.add_pod(job, 0), api.add_pod(job, 1)
    api.print(zero, *TRACEBACK[:2], "torch.distributed.DistBackendError: peer closed the connection")
    api.print(one, *[f"step {number}" for number in range(40)], *TRACEBACK, *TRACEBACK[:2], "x.ChildFailedError: y")
    # The controller may report them in any order: the times of the containers count.
    api.end_pod(zero, 1, finished="2026-01-01T00:00:09Z")
    api.end_pod(one, 1, finished="2026-01-01T00:00:05Z")
    api.conclude(PLAN.name, "Failed", reason="JobsFailed", message="jobset failed")
    with pytest.raises(ClusterError) as failed:
        watching.result()
    message = str(failed.value)
    assert "failed (JobsFailed: jobset failed)" in message
    assert f"First to fail: rank 1 (pod {one['metadata']['name']}), exit code 1" in message
    assert "\n".join(TRACEBACK) in message
    assert "  step 39" in message
    assert "step 19" not in message
    assert "Then: rank 0" in message


def test_the_log_of_a_failed_pod_is_kept_although_the_pod_is_deleted_meanwhile(api, watching, job):
    one = api.add_pod(job, 1)
    api.print(one, *TRACEBACK)
    api.end_pod(one, 1)
    api.wait_for(lambda: watching.pods._failures)
    api.pods.pop(one["metadata"]["name"])
    api.conclude(PLAN.name, "Failed")
    with pytest.raises(ClusterError, match="ValueError: loss is nan"):
        watching.result()


def test_a_pod_killed_for_memory_says_what_to_change(api, watching, job):
    api.end_pod(api.add_pod(job, 1), 137, reason="OOMKilled")
    api.conclude(PLAN.name, "Failed")
    with pytest.raises(ClusterError, match=r"rank 1 .*exit code 137, OOMKilled.*raise `memory`"):
        watching.result()


def test_an_evicted_pod_counts_as_failed_without_an_exit_code(api, watching, job):
    pod = api.add_pod(job, 1)
    pod["status"] = {"phase": "Failed", "reason": "Evicted", "message": "The node was low on ephemeral-storage."}
    api.conclude(PLAN.name, "Failed")
    with pytest.raises(ClusterError, match="no exit code, Evicted: The node was low on ephemeral-storage"):
        watching.result()


def test_an_image_that_cannot_be_pulled_is_told_at_once_and_given_up_after_a_while(api, watching, job):
    pod = api.add_pod(job, 0, phase="Pending")
    api.wait_state(pod, "ErrImagePull", 'manifest for "ghcr.io/x:9" not found')
    api.wait_for(lambda: watching.notices)
    assert 'waits: ImagePullBackOff: manifest for "ghcr.io/x:9" not found' in watching.notices[0]
    api.wait_state(pod, "ImagePullBackOff", 'Back-off pulling image "ghcr.io/x:9"')
    with pytest.raises(ClusterError, match=r"cannot start: ImagePullBackOff: Back-off pulling image"):
        watching.result()
    api.wait_for(lambda: PLAN.name not in api.jobs)


def test_what_the_scheduler_says_is_passed_on_once(api, watching, job):
    pod = api.add_pod(job, 0, phase="Pending")
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes: no GPU"}
    pod["status"] |= {"conditions": [condition]}
    api.wait_for(lambda: watching.notices)
    assert watching.notices == [f"Pod {pod['metadata']['name']} waits: Unschedulable: 0/3 nodes: no GPU"]
    time.sleep(0.3)
    assert len(watching.notices) == 1
    api.conclude(PLAN.name, "Complete")
    watching.result()


def test_a_job_that_never_starts_is_given_up_with_conditions_and_events(api, cluster):
    watching = Watching(cluster, start_timeout=0.3)
    api.wait_for(lambda: PLAN.name in api.jobs)
    api.events.append(
        {
            "involvedObject": {"name": PLAN.name},
            "reason": "RuntimeNotFound",
            "message": "no torch-distributed",
            "lastTimestamp": "2026-01-01T00:00:00Z",
        }
    )
    with pytest.raises(ClusterError, match=r"has not started within 0 s.*\n?.*no pods") as stalled:
        watching.result()
    assert "RuntimeNotFound: no torch-distributed" in str(stalled.value)
    api.wait_for(lambda: PLAN.name not in api.jobs)


def test_a_suspended_job_may_wait_in_its_queue(api, cluster):
    attach(cluster, PLAN)
    condition = {"type": "Suspended", "status": "True", "reason": "Suspended", "message": "queued"}
    api.set_status(PLAN.name, conditions=[condition])
    watching = Watching(connect(patience=cluster.patience), start_timeout=0.2)
    time.sleep(1.0)
    api.conclude(PLAN.name, "Complete")
    assert watching.result()


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], []),
        (["no traceback"], []),
        (["a", *TRACEBACK, "b"], TRACEBACK),
        ([f"[rank1]: {line}" for line in TRACEBACK], TRACEBACK),
        ([f"    {line}" for line in TRACEBACK] + ["  after"], TRACEBACK),
        ([*TRACEBACK[:2], "torch.ChildFailedError: x", *TRACEBACK], TRACEBACK),
        (TRACEBACK[:2], TRACEBACK[:2]),
    ],
)
def test_the_first_traceback_that_names_a_cause_is_found(lines, expected):
    assert first_traceback(lines) == expected
