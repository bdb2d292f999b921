"""Runs are kept in folders; whether one is alive is asked of the kernel."""

import re

import pytest

from ropewalk.errors import ConfigError
from ropewalk.launch.runs import find_run, list_runs, load_run, new_run


def test_a_run_is_alive_while_its_block_lasts(tmp_path):
    with new_run(tmp_path, "Training Run", {"epochs": 3}) as run:
        assert re.fullmatch(r"training-run-\d{8}-\d{6}-[0-9a-f]{4}", run.id)
        assert load_run(run.folder).state == "running"
    assert load_run(run.folder).state == "interrupted"
    assert load_run(run.folder).error == "The process that ran it died."


def test_what_is_saved_is_what_is_loaded(tmp_path):
    with new_run(tmp_path, "p", {"text": "ü"}) as run:
        run.state, run.error, run.ended = "failed", "because", run.started
        run.save()
    assert load_run(run.folder) == run


def test_results_come_from_the_steps(tmp_path):
    artifacts = {
        "metrics": {"type": "system.Metrics", "path": "/x/metrics", "metadata": {"auc": 0.9, "digest": "abc"}},
        "report": {"type": "system.HTML", "path": "/x/report.html", "metadata": {}},
    }
    outputs = [{"artifacts": artifacts}, {"parameters": {"model_name": "m", "version": "2", "verdict": "hold"}}, {}]
    with new_run(tmp_path, "p", {}) as run:
        run.steps = [{"task": task, "outputs": output} for task, output in zip("abc", outputs, strict=True)]
    assert run.metrics == {"auc": 0.9}
    assert run.model == {"model_name": "m", "version": "2", "verdict": "hold"}
    assert run.verdict == "hold"
    assert str(run.report) == "/x/report.html"


def test_runs_are_found_by_prefix_newest_first(tmp_path):
    with new_run(tmp_path, "a", {}) as old, new_run(tmp_path, "b", {}) as new:
        pass
    assert [run.id for run in list_runs(tmp_path)] == [new.id, old.id]
    assert find_run(tmp_path, "").id == new.id
    assert find_run(tmp_path, "a-").id == old.id
    with pytest.raises(ConfigError, match=r"No run in .* begins with 'c'"):
        find_run(tmp_path, "c")


def test_a_run_without_reports_says_where_its_logs_are(tmp_path):
    with new_run(tmp_path, "p", {}) as run:
        pass
    with pytest.raises(ConfigError, match=r"has no report.*logs"):
        _ = run.report


@pytest.mark.parametrize("content", ["", "{", "[]", '{"id": "x"}'])
def test_a_damaged_record_is_refused_alone_and_listed_as_unreadable(tmp_path, content):
    with new_run(tmp_path, "p", {}) as run:
        (run.folder / "run.json").write_text(content)
    with pytest.raises(ConfigError, match="does not hold a run that can be read"):
        load_run(run.folder)
    assert [found.state for found in list_runs(tmp_path)] == ["unreadable"]
