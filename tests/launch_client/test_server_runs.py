"""Runs on a server: listed, found, cancelled, retried; their logs, however long; their reports."""

import json
import re
import threading
from pathlib import Path

import boto3
import pytest
import s3fs
import yaml
from moto.server import ThreadedMotoServer

from ropewalk.errors import ConfigError, RunError
from ropewalk.launch.client.logs import TAIL_BYTES, log_tail
from ropewalk.launch.client.reports import download_reports
from ropewalk.launch.client.server_runs import cancel, find_run, list_runs, retry
from ropewalk.launch.client.submit import submit
from ropewalk.launch.client.tasks import pod_names, pods
from ropewalk.launch.request import Request, open_request


@pytest.fixture
def request_(compiled: Path) -> Request:
    return open_request(str(compiled))


def _failed(api, server, request_, *, task: str = "train-model"):
    api.state.plan.outcomes[task] = "FAILED"
    api.state.plan.tasks_per_look = 100
    run_id = submit(server, request_, {})["run_id"]
    while api.state.runs[run_id].state != "FAILED":
        server.get(f"/runs/{run_id}")
    return server.get(f"/runs/{run_id}")


def test_all_pages_of_a_list_are_read(api, server, request_):
    made = [submit(server, request_, {}, name=f"run {number}")["run_id"] for number in range(7)]
    found = list_runs(server, limit=5)
    assert len(found) == 5
    assert {run.id for run in list_runs(server, limit=100)} == set(made)
    before = len(api.calls)
    assert len(list(server.pages("/runs", "runs", {"page_size": "2"}))) == 7
    assert len(api.calls) - before == 4


def test_a_run_is_found_by_its_id_its_beginning_or_its_name(server, request_):
    run_id = submit(server, request_, {}, name="mine")["run_id"]
    submit(server, request_, {}, name="another")
    for wanted in (run_id, run_id[:8], "mine"):
        assert find_run(server, wanted)["run_id"] == run_id


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ("min", "is too short to find a run by"),
        ("mime", r"has no run that 'mime' means\. Did you mean 'mine'"),
        ("00000000-0000-0000-0000-000000000000", "has no run 00000000"),
    ],
)
def test_a_run_that_is_not_there(server, request_, wanted, told):
    submit(server, request_, {}, name="mine")
    with pytest.raises(ConfigError, match=told):
        find_run(server, wanted)


def test_cancelling_twice_is_cancelling_once(api, server, request_):
    run = submit(server, request_, {})
    assert cancel(server, run) == "CANCELING"
    server.get(f"/runs/{run['run_id']}")
    ended = server.get(f"/runs/{run['run_id']}")
    assert cancel(server, ended) == "CANCELED"
    assert api.count("POST", ":terminate") == 1


@pytest.mark.parametrize("fault", [{}, {"reset": True, "after": True}, {"status": 503}])
def test_what_failed_is_done_again_once(api, server, request_, fault):
    run = _failed(api, server, request_)
    api.state.plan.outcomes.clear()
    api.state.plan.tasks_per_look = 1
    if fault:
        api.faults.add(method="POST", path=":retry", **fault)
    retry(server, run)
    record = api.state.runs[run["run_id"]]
    assert record.state == "RUNNING"
    assert record.tasks["pull-data"] == "SUCCEEDED"


def test_a_run_that_succeeded_is_not_retried(server, request_):
    run = submit(server, request_, {})
    with pytest.raises(RunError, match="is PENDING: only one that FAILED or was CANCELED is retried"):
        retry(server, run)


def test_a_huge_log_is_read_to_its_end_in_little_memory(api, server, request_):
    import tracemalloc

    api.logs["train-model"] = b"\xe2\x82\xac" * 20 + b"\n" + b"x" * 99 + b"\n"
    api.logs["train-model"] += (b"y" * 99 + b"\n") * 600_000 + b"the end \xff\n"
    run = _failed(api, server, request_)
    (node,) = pods(run, "train-model", failed=True)
    tracemalloc.start()
    text = log_tail(server, run, node)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert text.endswith("the end \ufffd\n")
    assert len(text) <= TAIL_BYTES
    assert set(map(len, text.splitlines()[:-1])) == {99}, "whole lines"
    assert peak < 8 * 1024 * 1024, "of 60 MB, the server's copy of it not counted"


def test_a_log_is_found_in_the_archive_when_the_pod_is_gone(api, server, request_):
    api.logs["train-model"] = b"no rows\n"
    run = _failed(api, server, request_)
    api.pods_gone = True
    assert log_tail(server, run, pods(run, "train-model", failed=True)[0]) == "no rows\n"


def test_the_log_of_the_last_attempt_is_shown(api, server, request_):
    api.logs |= {"train-model": b"no rows\n", "version-results": b"of another step\n"}
    api.state.plan.attempts["train-model"] = 3
    run = _failed(api, server, request_)
    nodes = pods(run, "train-model", failed=True)
    assert len(nodes) == 3
    assert api.state.runs[run["run_id"]].pod("train-model", 2) in pod_names(nodes[0])
    assert log_tail(server, run, nodes[0]) == "no rows\n"


def test_behind_a_gateway_the_ui_has_the_log(api, connect, request_):
    api.prefix = "/pipeline"
    server = connect(host=api.url)
    run = _failed(api, server, request_)
    asked: list[str] = []

    def ui(handler, path, content):
        if path == "/pipeline/k8s/pod/logs":
            asked.append(handler.path)
            handler.send(200, b"from the UI\n", kind="text/plain; charset=utf-8")
        elif "/apis/v1alpha1/" in path:  # the UI answers what it does not know with its own page
            handler.send(200, b"<html></html>", kind="text/html")
        else:
            return False
        return True

    api.extras.append(ui)
    assert log_tail(server, run, pods(run, "train-model", failed=True)[0]) == "from the UI\n"
    assert f"podname={api.state.runs[run['run_id']].pod('train-model')}&" in asked[0]


def test_the_command_prints_the_log_of_the_step_that_failed(api, server, request_, ropewalk):
    api.logs |= {"train-model": b"one\ntwo\nthree\n", "pull-data": b"pulled\n"}
    run = _failed(api, server, request_)
    where = ("--host", api.url)
    assert ropewalk("logs", run["run_id"], *where) == (0, "one\ntwo\nthree\n", "")
    assert ropewalk("logs", run["run_id"], "--tail", 1, *where) == (0, "three\n", "")
    assert ropewalk("logs", run["run_id"], "pull-data", *where) == (0, "pulled\n", "")
    code, _, err = ropewalk("logs", run["run_id"], "train-modle", *where)
    assert (code, "Did you mean 'train-model'?" in err) == (2, True)


def test_a_log_that_is_nowhere_is_told(api, server, request_, ropewalk):
    run = _failed(api, server, request_)
    api.extras.append(lambda handler, path, content: "/log" in path and (handler.send(500, b"{}"), True)[1])
    code, out, err = ropewalk("logs", run["run_id"], "--host", api.url)
    assert (code, out) == (1, "")
    assert "The server has no log of" in err
    assert "kubectl logs" in err


def test_commands_list_follow_cancel_and_retry(api, server, request_, ropewalk):
    run = _failed(api, server, request_)
    where = ("--host", api.url)
    code, out, _ = ropewalk("runs", *where)
    assert (code, bool(re.search(rf"{run['run_id']} .*FAILED", out))) == (0, True)
    (listed,) = json.loads(ropewalk("runs", *where, "--json")[1])
    assert (listed["id"], listed["state"]) == (run["run_id"], "FAILED")
    assert ropewalk("follow", run["run_id"][:8], *where)[0] == 1
    api.state.plan.outcomes.clear()
    assert ropewalk("retry", run["run_id"], *where)[0] == 0
    assert ropewalk("follow", run["run_id"], *where)[0] == 0
    code, out, _ = ropewalk("cancel", run["run_id"], *where, "--json")
    assert (code, json.loads(out)["state"]) == (0, "SUCCEEDED")
    code, _, err = ropewalk("retry", run["run_id"], *where)
    assert (code, "only one that FAILED" in err) == (1, True)


def test_following_ends_with_75_when_time_is_over(api, server, request_, ropewalk):
    api.state.plan.paused = True
    run = submit(server, request_, {})
    code, _, err = ropewalk("follow", run["run_id"], "--host", api.url, "--timeout", "0.3")
    assert code == 75
    assert "error: The run is PAUSED after 0.3 s. It goes on." in err
    assert f"ropewalk follow {run['run_id']} --host {api.url}" in err


def test_following_ends_with_75_when_the_token_has_expired(api, server, request_, ropewalk, monkeypatch):
    run = submit(server, request_, {})
    api.state.plan.paused = True
    monkeypatch.setenv("ROPEWALK_KFP_TOKEN", "first")
    api.gate.tokens = {"first": "ann"}
    threading.Timer(0.3, setattr, (api.gate, "tokens", {"second": "ann"})).start()
    code, _, err = ropewalk("follow", run["run_id"], "--host", api.url)
    assert code == 75
    assert "The bearer token is from ROPEWALK_KFP_TOKEN: it is wrong, or has expired" in err
    assert "The run goes on." in err


def test_runs_on_this_machine_are_listed_as_ever(ropewalk, tmp_path):
    assert ropewalk("runs", "--json") == (0, "[]\n", "")


@pytest.fixture
def bucket(monkeypatch):
    """A bucket on an S3 server."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    address = f"http://127.0.0.1:{server.get_host_and_port()[1]}"
    for name, value in {
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    client = boto3.client("s3", endpoint_url=address)
    client.create_bucket(Bucket="mlpipeline")
    yield client
    s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


def test_reports_are_fetched_from_where_kfp_keeps_them(api, server, request_, bucket, ropewalk, compiled, tmp_path):
    api.state.plan.tasks_per_look = 100
    run_id = submit(server, request_, {})["run_id"]
    base = f"v2/artifacts/training/{run_id}"
    for key, content in {
        f"{base}/evaluate-model/0a1b/report": b"<html>evaluation</html>",
        f"{base}/validate-data/2c3d/report": b"<html>validation</html>",
        f"{base}/train-model/4e5f/model/weights.safetensors": b"w",
        f"v2/artifacts/training/{run_id[:-1]}/evaluate-model/0a1b/report": b"of another run",
    }.items():
        bucket.put_object(Bucket="mlpipeline", Key=key, Body=content)
    folder = tmp_path / "reports"
    code, out, err = ropewalk("follow", run_id, "--host", api.url, "--report", folder)
    assert code == 0, err
    assert (folder / "evaluate-model-report.html").read_text() == "<html>evaluation</html>"
    assert {file.name for file in folder.iterdir()} == {"evaluate-model-report.html", "validate-data-report.html"}
    assert str(folder / "validate-data-report.html") in out


def test_reports_that_cannot_be_had_are_an_error_though_the_run_succeeded(api, server, request_, ropewalk, tmp_path):
    api.state.plan.tasks_per_look = 100
    run_id = submit(server, request_, {})["run_id"]
    code, _, err = ropewalk("follow", run_id, "--host", api.url, "--report", tmp_path / "reports")
    assert code == 1
    assert "The reports cannot be fetched: minio://mlpipeline/v2/artifacts/training" in err
    assert "Set AWS_ENDPOINT_URL" in err


def test_the_root_of_a_run_comes_before_that_of_its_pipeline(server, request_, tmp_path):
    spec = yaml.safe_load(request_.text) | {"defaultPipelineRoot": "s3://nowhere/at-all"}
    run = {"run_id": "r", "runtime_config": {"pipeline_root": f"file://{tmp_path}/root"}}
    page = tmp_path / "root" / "training" / "r" / "evaluate-model" / "0a1b" / "report"
    page.parent.mkdir(parents=True)
    page.write_text("<html></html>")
    assert download_reports(run, spec, tmp_path / "out") == [tmp_path / "out" / "evaluate-model-report.html"]
