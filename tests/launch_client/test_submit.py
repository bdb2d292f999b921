"""A run is started once, with checked parameters, and followed to its end by `ropewalk submit`."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kfp_server.server import serve
from ropewalk.launch.client.submit import submit
from ropewalk.launch.request import Request, open_request


@pytest.fixture
def request_(compiled: Path) -> Request:
    return open_request(str(compiled))


def test_a_run_carries_the_pipeline_and_its_parameters(api, server, request_):
    run = submit(server, request_, {"epochs": 3, "config": {"training": {"dropout": 0.1}}}, name="mine")
    record = api.state.runs[run["run_id"]].record
    assert record["display_name"] == "mine"
    assert record["runtime_config"] == {"parameters": {"epochs": 3, "config": {"training": {"dropout": 0.1}}}}
    assert record["pipeline_spec"]["pipelineInfo"]["name"] == "training"


def test_settings_of_the_platform_are_sent_along(api, server, request_):
    text = request_.text.rstrip() + "\n---\nplatforms:\n  kubernetes:\n    deploymentSpec: {}\n"
    run = submit(server, Request(text=text, specification=request_.specification), {})
    spec = api.state.runs[run["run_id"]].record["pipeline_spec"]
    assert spec["platform_spec"] == {"platforms": {"kubernetes": {"deploymentSpec": {}}}}


def test_an_experiment_is_made_once_and_then_reused(api, server, request_):
    runs = [submit(server, request_, {}, experiment="work") for _ in range(2)]
    assert [one["display_name"] for one in api.state.experiments.values()] == ["work"]
    assert len({run["experiment_id"] for run in runs}) == 1


def test_where_several_share_a_server_runs_go_to_the_default_experiment_of_the_namespace(
    connect, request_, monkeypatch
):
    monkeypatch.setenv("ROPEWALK_KFP_TOKEN", "t")
    with serve(multi_user=True) as api:
        api.gate.tokens = {"t": "ann"}
        api.state.members = {"ann": {"team-a"}}
        submit(connect(host=api.url, namespace="team-a"), request_, {})
        (experiment,) = api.state.experiments.values()
        assert (experiment["display_name"], experiment["namespace"]) == ("Default", "team-a")


@pytest.mark.parametrize(
    ("name", "method", "path"),
    [("", "POST", "/runs$"), ("always the same", "POST", "/runs$"), ("", "POST", "/experiments$")],
)
@pytest.mark.parametrize(
    "fault", [{"reset": True, "after": True}, {"status": 504, "after": True}, {"reset": True}, {"status": 429}]
)
def test_a_lost_answer_starts_no_second_run(api, server, request_, name, method, path, fault):
    submit(server, request_, {}, name=name, experiment="work")
    api.faults.add(method=method, path=path, **fault)
    run = submit(server, request_, {}, name=name, experiment="other")
    assert len(api.state.runs) == 2
    assert run["run_id"] == list(api.state.runs)[1]


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--param", "epochs=three"], "epochs='three': need a whole number"),
        (["--param", "epoch=3"], "epoch: the pipeline 'training' has no such parameter. Did you mean 'epochs'?"),
        (["--config", "{"], "config='{': not valid JSON"),
        (["--timeout", "5"], "--timeout belongs to --wait"),
        (["--data", "{{$.x}}"], "KFP would replace"),
    ],
)
def test_what_is_wrong_is_refused_before_anything_is_sent(api, ropewalk, compiled, flags, told):
    code, _, err = ropewalk("submit", compiled, "--host", api.url, *flags)
    assert (code, told in err) == (2, True), err
    assert not api.calls


def test_the_command_prints_the_page_of_the_run(api, ropewalk, compiled):
    code, out, _ = ropewalk("submit", compiled, "--host", api.url, "--epochs", 3, "--run-name", "mine")
    (run_id,) = api.state.runs
    assert (code, out) == (0, f"Run {run_id}\n{api.url}/#/runs/details/{run_id}\n")
    code, out, _ = ropewalk("submit", compiled, "--host", api.url, "--json")
    assert code == 0
    assert json.loads(out).keys() == {"run_id", "url", "state"}


def test_a_published_version_is_run_by_reference(api, ropewalk, compiled, monkeypatch, tmp_path):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    code, _, _ = ropewalk("submit", compiled, "--host", api.url, "--publish")
    (run,), (version,) = api.state.runs.values(), api.state.versions
    assert code == 0
    assert run.record["pipeline_version_reference"]["pipeline_version_id"] == version
    assert "pipeline_spec" not in run.record


def test_the_profile_says_where_and_as_what(api, ropewalk, compiled, tmp_path):
    profile = tmp_path / "cluster.yaml"
    profile.write_text(
        f"kfp: {{host: '{api.url}', ui_host: 'https://ui.example', experiment: work, service_account: trainer}}\n"
    )
    _, out, _ = ropewalk("submit", compiled, "--profile", profile)
    assert "https://ui.example/#/runs/details/" in out
    assert [one["display_name"] for one in api.state.experiments.values()] == ["work"]
    assert next(iter(api.state.runs.values())).record["service_account"] == "trainer"


def test_waiting_shows_each_task_and_ends_with_zero_when_all_succeeded(api, ropewalk, compiled):
    code, out, err = ropewalk("submit", compiled, "--host", api.url, "--wait")
    assert code == 0, err
    assert re.search(r"train-model: started\n.*train-model: succeeded after", out)
    assert re.search(r"whole run +succeeded", out)


def test_a_failure_is_told_with_its_error_and_the_end_of_its_log(api, ropewalk, compiled):
    api.state.plan.outcomes["train-model"] = "FAILED"
    noise = b"".join(b"line %d\n" % number for number in range(200_000))
    api.logs["train-model"] = (
        noise + b'Traceback (most recent call last):\n  File "t.py", line 1\nValueError: no rows\n'
    )
    code, out, _ = ropewalk("submit", compiled, "--host", api.url, "--wait")
    assert code == 1
    assert "ValueError: no rows" in out
    assert "train-model failed" in out
    assert "main: Error (exit code 1)" in out
    assert "line 199999" not in out, "the traceback is what a person wants"
    assert re.search(r"train-model +failed", out)
    assert re.search(r"register-model +skipped", out)


def test_a_task_that_could_not_be_prepared_has_failed_too(api, ropewalk, compiled):
    api.state.plan.unprepared.add("train-model")
    api.logs["train-model"] = b"F1125 driver.go:80] KFP driver: failed to resolve inputs\n"
    code, out, _ = ropewalk("submit", compiled, "--host", api.url, "--wait", "--json")
    record = json.loads(out)
    assert (code, record["state"]) == (1, "FAILED")
    (failure,) = record["failures"]
    assert failure["task"] == "train-model"
    assert "failed to resolve inputs" in failure["log"]


def test_a_run_that_fails_before_its_first_task_is_told(api, ropewalk, compiled):
    api.state.plan.broken = True
    code, out, _ = ropewalk("submit", compiled, "--host", api.url, "--wait")
    assert code == 1
    assert "root-driver: main: Error (exit code 1)" in out


def test_programs_get_json_on_standard_output_alone(api, ropewalk, compiled):
    api.state.plan.outcomes["train-model"] = "FAILED"
    api.logs["train-model"] = b"no rows\n"
    code, out, err = ropewalk("submit", compiled, "--host", api.url, "--wait", "--json")
    record = json.loads(out)
    assert (code, record["state"]) == (1, "FAILED")
    assert record["failures"] == [{"task": "train-model", "error": "main: Error (exit code 1)", "log": "no rows"}]
    assert "train-model: started" in err


def test_a_token_is_nowhere_to_be_seen(api, ropewalk, compiled, tmp_path, monkeypatch):
    secret = "s3cr3t-t0k3n"
    api.gate.tokens = {secret: "ann"}
    monkeypatch.setenv("ROPEWALK_KFP_TOKEN", secret)
    monkeypatch.chdir(tmp_path)
    api.state.plan.outcomes["train-model"] = "FAILED"
    said = [ropewalk("submit", compiled, "--host", api.url, "--wait", "--json")]
    api.gate.tokens = {"another": "ann"}
    said += [ropewalk(*command, "--host", api.url) for command in (["runs"], ["publish", compiled, "--version", "1"])]
    assert [code for code, _, _ in said] == [1, 1, 1]
    assert secret not in repr(said)
    assert not [file for file in tmp_path.rglob("*") if file.is_file() and secret in file.read_text(errors="replace")]
    assert not any(secret in call.path for call in api.calls)


def test_yaml_of_another_ropewalk_is_told(api, ropewalk, compiled):
    compiled.write_text(re.sub(r"(ropewalk-\w+):0\.1\.0", r"\1:9.9.0", compiled.read_text()))
    code, _, err = ropewalk("submit", compiled, "--host", api.url)
    assert (code, "note: this YAML was compiled by Ropewalk 9.9.0; this is " in err) == (0, True)


def test_ctrl_c_leaves_the_run_and_says_how_to_go_on(api, compiled):
    api.state.plan.held.add("train-model")
    command = [Path(sys.executable).with_name("ropewalk"), "submit", compiled, "--host", api.url, "--wait"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    begun = time.monotonic()
    while not api.state.runs and time.monotonic() - begun < 60:
        time.sleep(0.05)
    asked = time.monotonic() - begun
    while api.count("GET", "/runs/") < 2 and time.monotonic() - begun < 60:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    (run_id,) = api.state.runs
    assert process.returncode == 130
    assert f"The run goes on. To follow it: ropewalk follow {run_id} --host {api.url}" in err
    assert f"To stop it: ropewalk cancel {run_id} --host {api.url}" in err
    assert "Traceback" not in err
    assert api.state.runs[run_id].state == "RUNNING"
    assert asked < 30, "from the start of the program to the request, on a machine that may be busy"


def test_help_publishing_and_starting_a_run_load_nothing_heavy(api, compiled):
    script = (
        "import sys; from ropewalk import cli; sys.argv = sys.argv[1:]\n"
        "try: cli.main()\n"
        "finally: sys.stderr.write(' '.join({'kfp', 'kubernetes', 'torch', 'mlflow', 'pandas'} & sys.modules.keys()))"
    )
    for arguments in (
        ["--help"],
        ["submit", str(compiled), "--host", api.url],
        ["publish", str(compiled), "--host", api.url, "--version", "1"],
    ):
        ended = subprocess.run(
            [sys.executable, "-P", "-c", script, "ropewalk", *arguments],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ,
        )
        assert (ended.returncode, ended.stderr) == (0, ""), ended.stderr
