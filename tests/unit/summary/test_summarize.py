import hashlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ropewalk.summary import webhook
from ropewalk.summary.summarize import Summary, summarize


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ROPEWALK_RUN_DIR", "ROPEWALK_WEBHOOK_URL", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def page(tmp_path: Path) -> Path:
    return tmp_path / "out" / "summary"


@pytest.fixture
def failed_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    error = "Traceback\n  fetched from https://me:s3cret@host/x\nTrainingError: the loss is nan"
    (folder / "failure.json").write_text(json.dumps({"task": "train-model", "error_tail": error}), encoding="utf-8")
    steps = [
        {"task": "pull-data", "state": "SUCCEEDED", "seconds": 1.25},
        {"task": "train-model", "state": "FAILED", "seconds": 61},
        {"task": "evaluate-model", "state": "SKIPPED", "seconds": None},
    ]
    (folder / "steps.json").write_text(json.dumps(steps), encoding="utf-8")
    monkeypatch.setenv("ROPEWALK_RUN_DIR", str(folder))
    return folder


def told(page: Path, **changes: Any) -> Summary:
    return summarize(**{"pipeline": "training", "run_id": "r1", "run_name": "first", "output": page, **changes})


def test_what_a_search_found_is_on_the_page(failed_run: Path, page: Path) -> None:
    best = {"best_parameters": {"learning_rate": 0.00321, "width": 64}, "best_trial": "tune-1-0007", "best_value": 0.9}
    steps = [{"task": "tune-model", "state": "succeeded", "seconds": 9.0, **best}]
    (failed_run / "steps.json").write_text(json.dumps(steps), encoding="utf-8")
    (failed_run / "failure.json").unlink()
    assert told(page, state="SUCCEEDED").result == "passed"
    html = page.read_text(encoding="utf-8")
    for shown in ("Best parameters", "Those of tune-1-0007.", "learning_rate", "0.00321", "64"):
        assert shown in html


def test_what_was_registered_and_what_it_was_made_of_is_on_the_page(failed_run: Path, page: Path) -> None:
    told_by = [{"commit": "c" * 40, "hash": "md5:" + "d" * 32}, {"model_name": "my houses", "version": "7"}]
    told_by.append({"commit": "e" * 40})  # of results that were pushed, after the data had been pulled
    steps = [
        {"task": f"step-{place}", "state": "succeeded", "seconds": 1.0, "told": each}
        for place, each in enumerate(told_by)
    ]
    (failed_run / "steps.json").write_text(json.dumps(steps), encoding="utf-8")
    (failed_run / "failure.json").unlink()
    (failed_run / "pipeline.yaml").write_text("image: x", encoding="utf-8")
    (failed_run / "run.json").write_text(json.dumps({"pipeline": "training", "parameters": {"epochs": 3}}))
    told(page, state="SUCCEEDED")
    html = page.read_text(encoding="utf-8")
    digest = hashlib.sha256(b"image: x").hexdigest()
    for shown in (
        "my houses version 7",
        "c" * 40,
        "md5:" + "d" * 12 + "<",
        digest,
        "epochs",
        "explain &#39;my houses/7&#39;",
    ):
        assert shown in html, shown
    assert "e" * 12 not in html


def test_a_run_that_registered_nothing_shows_no_model(failed_run: Path, page: Path) -> None:
    told(page, state="FAILED")
    assert "lineage" not in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("state", ["SUCCEEDED", "COMPLETE", "CACHED"])
def test_a_run_that_passed_is_told_so(state: str, page: Path) -> None:
    summary = told(page, state=state, parameters={"data": "sample:wine"})
    assert (summary.result, summary.text) == ("passed", "training: passed. Every step ended well.")
    html = page.read_text(encoding="utf-8")
    assert "Passed" in html
    assert "sample:wine" in html
    assert "Error" not in html


def test_a_failed_local_run_names_step_error_times_and_log(page: Path, failed_run: Path) -> None:
    summary = told(page, state="FAILED", error="Task exit-handler-1 failed.")
    assert summary.failed_task == "train-model"
    assert summary.text == "training: failed. The step train-model failed: TrainingError: the loss is nan"
    html = page.read_text(encoding="utf-8")
    for text in ("TrainingError: the loss is nan", "1.2 s", "1 min 1 s", str(failed_run / "logs" / "train-model.log")):
        assert text in html, text


@pytest.mark.parametrize("state", ["RUNNING", "", None])
def test_a_state_that_says_nothing_is_told_as_it_is(state: str | None, page: Path) -> None:
    summary = told(page, state=state)
    assert summary.result == "unknown"
    assert f"KFP gives the state {state or 'nothing'!r}" in summary.text


def test_a_failure_on_disk_counts_whatever_kfp_says(page: Path, failed_run: Path) -> None:
    assert told(page, state="RUNNING").result == "failed"


def test_on_a_cluster_the_failed_step_is_read_from_the_message(page: Path) -> None:
    message = "The DAG failed because some tasks failed. The failed tasks are: [evaluate-model]."
    assert told(page, state="FAILED", error=message).failed_task == "evaluate-model"
    assert "kubectl logs -l pipeline/runid=r1" in page.read_text(encoding="utf-8")


def test_a_long_error_is_cut_to_its_end(page: Path) -> None:
    told(page, state="FAILED", error="\n".join(f"line {place}" for place in range(500)))
    html = page.read_text(encoding="utf-8")
    assert "line 499" in html
    assert "line 400" not in html


def test_neither_credentials_nor_secrets_reach_the_page_or_the_log(
    page: Path, failed_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {
        "git_token": "s3cret",
        "data": "https://me:s3cret@host/repo.git",
        "config": {"data": {"password": "s3cret"}},
    }
    summary = told(page, state="FAILED", parameters=given)
    assert summary.parameters == {
        "git_token": "(hidden)",
        "data": "https://***@host/repo.git",
        "config": '{"data": {"password": "(hidden)"}}',
    }
    assert "s3cret" not in page.read_text(encoding="utf-8") + capsys.readouterr().out


def test_a_broken_file_in_the_run_folder_is_reported_and_done_without(
    page: Path, failed_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (failed_run / "steps.json").write_text('[{"task":', encoding="utf-8")
    assert told(page, state="FAILED").failed_task == "train-model"
    assert "WARNING" in capsys.readouterr().out


@dataclass
class Hook:
    """A web server that answers with the given statuses, the last one for ever."""

    statuses: list[int]
    received: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hook]:
    state = Hook([200])

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            state.received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            status = state.statuses[min(len(state.received), len(state.statuses)) - 1]
            self.send_response(status)
            self.send_header("Location", "http://127.0.0.1:9/")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    state.url = f"http://127.0.0.1:{server.server_port}/services/s3cret-path"
    monkeypatch.setenv("ROPEWALK_WEBHOOK_URL", state.url)
    monkeypatch.setattr(webhook, "_WAITS_SECONDS", (0, 0.01, 0.01))
    yield state
    server.shutdown()
    server.server_close()


def test_the_webhook_gets_a_text_for_chats_and_fields_for_programs(page: Path, failed_run: Path, hook: Hook) -> None:
    assert told(page, state="FAILED").notified
    (payload,) = hook.received
    assert (
        payload["text"] == "training: failed. The step train-model failed: TrainingError: the loss is nan (run first)"
    )
    assert (payload["result"], payload["failed_step"], payload["run_id"]) == ("failed", "train-model", "r1")
    assert "s3cret" not in json.dumps(payload)


def test_a_webhook_that_is_busy_is_tried_three_times(page: Path, hook: Hook) -> None:
    hook.statuses[:] = [503, 429, 200]
    assert told(page, state="SUCCEEDED").notified
    assert len(hook.received) == 3


@pytest.mark.parametrize(("status", "tries"), [(500, 3), (404, 1), (302, 1)])
def test_a_webhook_that_refuses_is_loud_and_fails_nothing(
    status: int, tries: int, page: Path, hook: Hook, capsys: pytest.CaptureFixture[str]
) -> None:
    hook.statuses[:] = [status]
    summary = told(page, state="SUCCEEDED")
    output = capsys.readouterr()
    assert (summary.result, summary.notified, len(hook.received)) == ("passed", False, tries)
    assert (
        f"WARNING: nobody was notified of this run: the address in ROPEWALK_WEBHOOK_URL gave HTTP status {status}"
        in output.out
    )
    assert "s3cret-path" not in output.out + output.err + page.read_text(encoding="utf-8")


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/s3cret-path", "not a url/s3cret-path", "http://[s3cret-path"])
def test_a_webhook_that_cannot_be_reached_fails_nothing_and_its_address_stays_secret(
    url: str, page: Path, failed_run: Path
) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "ropewalk.summary", "--pipeline=training", "--run-id=r1"),
            *("--state=FAILED", f"--output={page}"),
        ],
        env={"PATH": "", "ROPEWALK_WEBHOOK_URL": url, "ROPEWALK_RUN_DIR": str(failed_run)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING: nobody was notified" in done.stdout
    assert "The step train-model failed: TrainingError: the loss is nan" in done.stdout
    assert "s3cret-path" not in done.stdout + done.stderr + page.read_text(encoding="utf-8")


def test_a_webhook_that_hangs_is_given_up(page: Path, hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "_TIMEOUT_SECONDS", 0.2)
    released = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            released.wait(20)

        def log_message(self, *_arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("ROPEWALK_WEBHOOK_URL", f"http://127.0.0.1:{server.server_port}/")
    started = time.monotonic()
    try:
        assert not told(page, state="SUCCEEDED").notified
        assert time.monotonic() - started < 5
    finally:
        released.set()
        server.shutdown()
        server.server_close()
