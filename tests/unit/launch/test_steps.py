"""Steps follow the events of the runner."""

from ropewalk.launch.steps import Steps


def _started(task):
    return {"event": "started", "task": task, "time": 1.0}


def _finished(task, error=""):
    return {"event": "finished", "task": task, "seconds": 2.5, "error": error, "outputs": {}}


def test_steps_keep_the_order_of_the_plan():
    steps = Steps(["a", "b"])
    steps.apply(_started("b"))
    steps.apply(_started("a"))
    assert [(step.task, step.state) for step in steps] == [("a", "running"), ("b", "running")]


def test_after_a_failure_what_waits_counts_as_skipped():
    steps = Steps(["a", "b"])
    for event in (_started("a"), _finished("a", error="no")):
        steps.apply(event)
    assert steps.brief() == [
        {"task": "a", "state": "failed", "seconds": 2.5},
        {"task": "b", "state": "skipped", "seconds": None},
    ]


def test_what_a_search_found_is_told_to_later_steps():
    steps = Steps(["tune", "b"])
    found = {"best_parameters": {"width": 64}, "best_value": 0.9}
    outputs = {"parameters": {**found, "other": "x"}, "artifacts": {}}
    for event in (_started("tune"), _finished("tune") | {"outputs": outputs}):
        steps.apply(event)
    assert steps.brief()[0] == {"task": "tune", "state": "succeeded", "seconds": 2.5, **found}


def test_what_was_decided_registered_and_pulled_is_told_to_later_steps():
    steps = Steps(["pull", "register"])
    pulled = {"commit": "c1", "hash": "", "bytes": 7}
    registered = {"model_name": "houses", "version": "2", "model_uri": "models:/houses/2"}
    for task, parameters in (("pull", pulled), ("register", registered)):
        for event in (_started(task), _finished(task) | {"outputs": {"parameters": parameters}}):
            steps.apply(event)
    assert [step["told"] for step in steps.brief()] == [{"commit": "c1"}, {"model_name": "houses", "version": "2"}]


def test_a_retry_forgets_the_failure_before():
    steps = Steps(["a"])
    for event in (_started("a"), _finished("a", error="no"), _started("a"), _finished("a")):
        steps.apply(event)
    assert (steps.failed, next(iter(steps)).state) == ([], "succeeded")


def test_iterations_take_the_place_of_the_planned_step():
    steps = Steps(["a"])
    steps.apply(_started("loop-iteration-0/a"))
    steps.apply(_started("loop-iteration-1/a"))
    assert [step.task for step in steps] == ["loop-iteration-0/a", "loop-iteration-1/a"]


def test_what_did_not_end_is_interrupted_or_skipped():
    steps = Steps(["a", "b", "c"])
    for event in (_started("a"), _finished("a"), _started("b")):
        steps.apply(event)
    steps.close()
    assert [step.state for step in steps] == ["succeeded", "interrupted", "skipped"]
