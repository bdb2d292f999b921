"""A difference in meaning is found, weighed and shown; one that means nothing is not."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from kfp import compiler, dsl, kubernetes

from ropewalk.launch.compare import show
from ropewalk.launch.compare.compare import compare_texts
from ropewalk.launch.compare.files import Compared

GOLDEN = Path(__file__).parents[4] / "tests" / "pipelines" / "golden"


@dsl.component(base_image="example.org/steps:1", install_kfp_package=False)
def work(text: str = "", value: int = 0) -> int:
    """Work."""
    return value + 1


@dsl.component(base_image="example.org/steps:1", install_kfp_package=False)
def check(value: int) -> int:
    return value


def _text(pipeline, tmp_path: Path) -> str:
    compiler.Compiler().compile(pipeline, str(tmp_path / "p.yaml"))
    return (tmp_path / "p.yaml").read_text()


@pytest.fixture
def before(tmp_path: Path) -> str:
    @dsl.pipeline(name="p", description="A pipeline.")
    def p(text: str = "a", value: int = 1):
        done = work(text=text, value=value)
        with dsl.If(done.output > 1):
            check(value=done.output)

    return _text(p, tmp_path)


def _edited(text: str, edit) -> str:
    documents = [each for each in yaml.safe_load_all(text) if each]
    edit(documents[0])
    return yaml.safe_dump_all(documents)


def _told(before: str, after: str) -> list[tuple[str, str, str]]:
    return [(change.weight, change.subject, change.what) for change in compare_texts(before, after)]


def _parameters(spec: dict) -> dict:
    return spec["root"]["inputDefinitions"]["parameters"]


def _container(spec: dict, step: str = "exec-work") -> dict:
    return spec["deploymentSpec"]["executors"][step]["container"]


def _code(spec: dict, old: str, new: str) -> None:
    command = _container(spec)["command"]
    assert old in command[-1]
    command[-1] = command[-1].replace(old, new)


CASES = [
    ("a parameter goes", lambda s: _parameters(s).pop("text"), ("breaking", "parameter text", "removed")),
    (
        "a parameter comes that must be given",
        lambda s: _parameters(s).update(new={"parameterType": "STRING"}),
        ("breaking", "parameter new", "added"),
    ),
    (
        "a parameter comes that need not",
        lambda s: _parameters(s).update(new={"parameterType": "STRING", "isOptional": True, "defaultValue": ""}),
        ("behaviour", "parameter new", "added"),
    ),
    (
        "a parameter has another type",
        lambda s: _parameters(s)["text"].update(parameterType="LIST"),
        ("breaking", "parameter text", "type changed"),
    ),
    (
        "a parameter has another default",
        lambda s: _parameters(s)["value"].update(defaultValue=2.0),
        ("behaviour", "parameter value", "default changed"),
    ),
    (
        "a parameter must be given now",
        lambda s: _parameters(s)["value"].pop("isOptional"),
        ("breaking", "parameter value", "required changed"),
    ),
    (
        "a parameter is described",
        lambda s: _parameters(s)["value"].update(description="How much."),
        ("cosmetic", "parameter value", "description added"),
    ),
    ("the name", lambda s: s["pipelineInfo"].update(name="q"), ("breaking", "pipeline itself", "name changed")),
    (
        "the description",
        lambda s: s["pipelineInfo"].update(description="Another."),
        ("cosmetic", "pipeline itself", "description changed"),
    ),
    (
        "the compiler's version",
        lambda s: s.update(sdkVersion="kfp-2.17.9"),
        ("cosmetic", "pipeline itself", "sdkVersion changed"),
    ),
    (
        "an image",
        lambda s: _container(s).update(image="example.org/steps:2"),
        ("behaviour", "step work", "image changed"),
    ),
    ("code", lambda s: _code(s, "value + 1", "value + 2"), ("behaviour", "step work", "code changed")),
    ("a docstring", lambda s: _code(s, "Work.", "Work well."), ("cosmetic", "step work", "code changed")),
    ("a comment", lambda s: _code(s, "return", "# why\n    return"), ("cosmetic", "step work", "code changed")),
    (
        "a limit",
        lambda s: _container(s).update(resources={"resourceMemoryLimit": "1Gi", "memoryLimit": 1.07}),
        ("behaviour", "step work", "resources memoryLimit added"),
    ),
    (
        "a wire",
        lambda s: s["root"]["dag"]["tasks"]["work"]["inputs"]["parameters"].update(
            value={"runtimeValue": {"constant": 3.0}}
        ),
        ("behaviour", "task work", "input value changed"),
    ),
    (
        "a condition",
        lambda s: s["root"]["dag"]["tasks"]["condition-1"]["triggerPolicy"].update(condition="true"),
        ("behaviour", "task condition-1", "condition changed"),
    ),
    (
        "caching",
        lambda s: s["root"]["dag"]["tasks"]["work"].update(cachingOptions={}),
        ("behaviour", "task work", "caching changed"),
    ),
    (
        "true is not 1",
        lambda s: s["root"]["dag"]["tasks"]["work"].update(cachingOptions={"enableCache": 1}),
        ("behaviour", "task work", "caching changed"),
    ),
    (
        "something that only a later KFP knows",
        lambda s: s["root"]["dag"]["tasks"]["work"].update(novelty={"a": 1}),
        ("behaviour", "task work", "novelty added"),
    ),
    (
        "a component's own default",
        lambda s: s["components"]["comp-work"]["inputDefinitions"]["parameters"]["value"].update(defaultValue=9.0),
        ("behaviour", "component work", "inputDefinitions.parameters.value.defaultValue changed"),
    ),
]


@pytest.mark.parametrize(("edit", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_one_edit_is_one_change_of_the_right_weight(edit, expected, before) -> None:
    assert _told(before, _edited(before, edit)) == [expected]


def test_layout_order_and_comments_of_the_yaml_mean_nothing(before) -> None:
    assert _told(before, "# a comment\n" + yaml.safe_dump(yaml.safe_load(before), sort_keys=False, width=40)) == []


def test_a_task_that_comes_is_told_once_and_so_is_one_that_moves(before, tmp_path) -> None:
    @dsl.pipeline(name="p", description="A pipeline.")
    def p(text: str = "a", value: int = 1):
        done = work(text=text, value=value)
        with dsl.If(value > 5):
            work(value=7)
        with dsl.If(done.output > 1):
            check(value=done.output)

    told = _told(before, _text(p, tmp_path))
    assert ("behaviour", "task condition-1/work-2", "added") in told
    assert ("cosmetic", "task condition-1/check", "moved") in told
    assert [subject for _, subject, _ in told if subject.startswith("step")] == []


def test_a_profile_is_told_by_step_and_once_where_all_get_the_same(tmp_path) -> None:
    def made(dress):
        @dsl.pipeline(name="p")
        def p():
            done = work()
            dress(done)
            dress(check(value=done.output))

        return _text(p, tmp_path)

    def dress(task):
        kubernetes.use_secret_as_env(task, "git", {"token": "TOKEN"})
        kubernetes.mount_pvc(task, "cache", "/cache")

    told = _told(made(lambda task: None), made(dress))
    assert told == [
        ("behaviour", "every step", "claim at /cache added"),
        ("behaviour", "every step", "secret variable TOKEN added"),
    ]


def test_a_golden_pipeline_is_the_same_as_itself_and_not_as_the_other() -> None:
    training, tuning = ((GOLDEN / f"{name}.yaml").read_text() for name in ("training", "tuning"))
    assert compare_texts(training, training) == []
    assert ("breaking", "pipeline itself", "name changed") in _told(training, tuning)


def test_markdown_holds_its_table_whatever_the_values_and_its_length_is_bounded(before) -> None:
    after = _edited(before, lambda s: _parameters(s)["text"].update(defaultValue="a | `b` | ``` c"))
    changes = compare_texts(before, after)
    text = show.as_markdown([Compared(name="p.yaml", changes=changes)])
    (row,) = [line for line in text.splitlines() if "default changed" in line]
    assert row.replace("\\|", "").count("|") == 6
    long = [replace(changes[0], subject=f"parameter {number}", detail="x\n" * 200) for number in range(500)]
    comment = show.as_markdown([Compared(name="p.yaml", changes=long)])
    assert len(comment) < 65_536
    assert comment.count("<details>") == comment.count("</details>")
    assert "too long for a comment" in comment


def test_json_names_the_next_version(before) -> None:
    after = _edited(before, lambda s: _parameters(s).pop("text"))
    content = json.loads(show.as_json([Compared(name="p.yaml", changes=compare_texts(before, after))]))
    assert content["next_version"] == "major"
    assert content["files"][0]["changes"][0]["subject"] == "parameter text"
