"""A step has done its work when every declared output is there, whole."""

import json

import pytest

from ropewalk.artifacts import RAW_DATA, write_artifact
from ropewalk.launch.outcome import find_missing_outputs, read_outputs


@pytest.fixture
def step(tmp_path):
    """The executor input of a step with one output of each kind, and the folder of its outputs."""

    def artifact(name, kind):
        return {
            "artifacts": [{"name": name, "type": {"schemaTitle": kind}, "uri": str(tmp_path / name), "metadata": {}}]
        }

    return {
        "outputs": {
            "parameters": {"digest": {"outputFile": str(tmp_path / "digest")}},
            "artifacts": {"data": artifact("data", "system.Dataset"), "metrics": artifact("metrics", "system.Metrics")},
            "outputFile": str(tmp_path / "executor_output.json"),
        }
    }, tmp_path


def _finish(executor_input, folder, *, parameters=None, metrics=None):
    artifacts = json.loads(json.dumps(executor_input["outputs"]["artifacts"]))
    artifacts["metrics"]["artifacts"][0]["metadata"] = {"loss": 0.5} if metrics is None else metrics
    content = {"parameterValues": {"digest": "abc"} if parameters is None else parameters, "artifacts": artifacts}
    (folder / "executor_output.json").write_text(json.dumps(content))


def _write_data(folder):
    with write_artifact(folder / "data", RAW_DATA) as draft:
        (draft.folder / "rows.csv").write_text("a\n1\n")


def test_a_step_that_left_everything_misses_nothing(step):
    executor_input, folder = step
    _write_data(folder)
    _finish(executor_input, folder)
    assert find_missing_outputs(executor_input) == []
    outputs = read_outputs(executor_input)
    assert outputs["parameters"] == {"digest": "abc"}
    assert outputs["artifacts"]["metrics"]["metadata"] == {"loss": 0.5}
    assert outputs["artifacts"]["data"]["path"] == str(folder / "data")


def test_a_step_that_wrote_nothing_misses_each_output(step):
    missing = find_missing_outputs(step[0])
    assert len(missing) == 4
    assert missing[0] == "The output parameter 'digest' has no value."
    assert missing[2] == "The output 'metrics' has no metrics."
    assert "before KFP could record" in missing[3]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda data: (data / "rows.csv").write_text("a"), "is not whole"),
        (lambda data: (data / "rows.csv").unlink(), "is not whole"),
        (lambda data: [file.unlink() for file in list(data.iterdir())], "is an empty folder"),
        (lambda data: data.rename(data.with_name("data.partial")), "was not written to"),
    ],
)
def test_a_spoilt_artifact_is_missed(step, spoil, message):
    executor_input, folder = step
    _write_data(folder)
    spoil(folder / "data")
    _finish(executor_input, folder)
    (missing,) = find_missing_outputs(executor_input)
    assert missing.startswith("The output 'data' ")
    assert message in missing


def test_an_empty_file_is_no_artifact(step):
    executor_input, folder = step
    (folder / "data").touch()
    _finish(executor_input, folder)
    assert "is an empty file" in find_missing_outputs(executor_input)[0]


def test_an_artifact_in_an_object_store_is_not_looked_for_here(step):
    executor_input, folder = step
    executor_input["outputs"]["artifacts"]["data"]["artifacts"][0]["uri"] = "s3://bucket/data"
    _finish(executor_input, folder)
    assert find_missing_outputs(executor_input) == []


def test_a_parameter_may_be_written_to_its_file(step):
    executor_input, folder = step
    _write_data(folder)
    _finish(executor_input, folder, parameters={})
    (folder / "digest").write_text("from a file")
    assert find_missing_outputs(executor_input) == []
    assert read_outputs(executor_input)["parameters"] == {"digest": "from a file"}


def test_false_zero_and_empty_values_count_as_values(step):
    executor_input, folder = step
    _write_data(folder)
    for value in (False, 0, "", {}, []):
        _finish(executor_input, folder, parameters={"digest": value})
        assert find_missing_outputs(executor_input) == []
