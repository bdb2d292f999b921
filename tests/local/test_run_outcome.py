"""`ropewalk run`: what it leaves behind and says when a pipeline passes, and when a step fails in any way."""

import json


def test_a_passing_pipeline_leaves_results_times_and_links(ropewalk):
    ended = ropewalk.run("passing", "--text", "words")
    record = ropewalk.record()
    assert (ended.returncode, ended.stderr) == (0, "")
    assert record["state"] == "succeeded"
    assert {step["task"]: step["state"] for step in record["steps"]} == dict.fromkeys(
        ["make-text", "measure", "name-model", "look-back"], "succeeded"
    )
    assert all(step["seconds"] > 0 for step in record["steps"])
    assert record["results"]["metrics"] == {"characters": 5.0}
    for shown in (
        "characters",
        "tiny-model version 3",
        "measure-page.html",
        "mlflow ui --backend-store-uri",
        record["id"],
    ):
        assert shown in ended.stdout


def test_values_and_paths_that_hold_python3_arrive_unchanged(ropewalk):
    text = "call python3 -m x, `python3 -m y` and python3"
    assert ropewalk.run("passing", "--text", text, "--config", '{"python3 -m z": [1.5]}').returncode == 0
    (folder,) = ropewalk.folders()
    assert (folder / "artifacts/make-text/data").read_text() == text
    assert "config {'python3 -m z': [1.5]}" in (folder / "logs/make-text.log").read_text()


def test_steps_learn_the_runs_own_id_and_name(ropewalk):
    ropewalk.run("passing", "--text", "words")
    record = ropewalk.record()
    assert record["results"]["model"]["run"] == f"{record['id']}/{record['id']}"


def test_kfp_says_nothing_of_the_image_name(ropewalk):
    ropewalk.run("passing", "--text", "words")
    (folder,) = ropewalk.folders()
    assert "You may be" not in (folder / "logs/kfp.log").read_text()


def test_a_failing_step_is_shown_with_its_traceback_message_and_log(ropewalk):
    ended = ropewalk.run("failing")
    record = ropewalk.record()
    (folder,) = ropewalk.folders()
    assert ended.returncode == 1
    assert record["state"] == "failed"
    assert record["error"] == "ValueError: the 7th row of table.csv is wrong\n  - remove it"
    for shown in (
        "Traceback (most recent call last)",
        "in fail",
        "failed at fail",
        "remove it",
        str(folder / "logs/fail.log"),
    ):
        assert shown in ended.stdout


def test_the_exit_step_runs_after_a_failure_and_can_read_why(ropewalk):
    ropewalk.run("failing")
    (folder,) = ropewalk.folders()
    state, run_id, told, steps = (folder / "look-back-page.html").read_text().split("\n", 3)
    assert (state, run_id) == ("FAILED", folder.name)
    failure = json.loads(told)
    assert failure["task"] == "fail"
    assert failure["error_tail"].endswith("the 7th row of table.csv is wrong\n  - remove it")
    assert [(step["task"], step["state"]) for step in json.loads(steps)] == [
        ("fail", "failed"),
        ("take", "skipped"),
        ("look-back", "running"),
    ]


def test_a_step_that_exits_well_without_its_output_has_failed(ropewalk):
    ended = ropewalk.run("empty-handed")
    record = ropewalk.record()
    assert ended.returncode == 1
    assert "exited with code 0 but did not do its work. The output 'data' was not written to" in record["error"]
    assert [step["state"] for step in record["steps"]] == ["failed", "skipped"]


def test_a_step_that_calls_exit_has_failed(ropewalk):
    assert ropewalk.run("leaving-early").returncode == 1
    assert "ended before KFP could record its outputs" in ropewalk.record()["error"]


def test_a_step_that_leaves_half_an_artifact_has_failed(ropewalk):
    assert ropewalk.run("half-done").returncode == 1
    assert "rows.csv is missing or not 7 bytes long" in ropewalk.record()["error"]


def test_a_killed_step_is_called_killed(ropewalk):
    assert ropewalk.run("dying").returncode == 1
    assert ropewalk.record()["error"] == "The step was killed by SIGKILL; most likely the machine ran out of memory."


def test_a_retried_step_that_passes_at_last_leaves_no_failure(ropewalk):
    ended = ropewalk.run("retrying", "--marker", str(ropewalk.folder / "marker"))
    (folder,) = ropewalk.folders()
    assert ended.returncode == 0
    assert ropewalk.record()["steps"][0]["state"] == "succeeded"
    assert not (folder / "failure.json").exists()
    assert "not yet" in (folder / "logs/fail-once.log").read_text()


def test_each_iteration_of_a_loop_is_a_step_with_its_own_log(ropewalk):
    assert ropewalk.run("looping").returncode == 0
    (folder,) = ropewalk.folders()
    tasks = sorted(step["task"] for step in ropewalk.record()["steps"])
    assert tasks == ["for-loop-2-iteration-0/take", "for-loop-2-iteration-1/take"]
    assert len(list((folder / "logs").glob("for-loop-2-iteration-*.take.log"))) == 2


def test_a_value_too_long_for_linux_fails_its_step_with_advice(ropewalk):
    assert ropewalk.run("too-long").returncode == 1
    assert "Hand big values over as artifacts" in ropewalk.record()["error"]


def test_a_step_ends_although_its_child_still_holds_its_output_open(ropewalk):
    assert ropewalk.run("parent").returncode == 0
    assert ropewalk.record()["steps"][0]["seconds"] < 10


def test_modules_and_folders_of_the_current_folder_do_not_shadow_libraries(ropewalk):
    (ropewalk.folder / "ropewalk").mkdir()
    (ropewalk.folder / "json.py").write_text("raise ImportError('shadowed')")
    assert ropewalk.run("passing", "--text", "words").returncode == 0


def test_steps_leave_nothing_in_the_temporary_folder(ropewalk, tmp_path):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    assert ropewalk.run("passing", "--text", "words", TMPDIR=str(scratch)).returncode == 0
    assert list(scratch.iterdir()) == []
