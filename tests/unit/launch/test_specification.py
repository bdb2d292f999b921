"""A compiled YAML is described by its parameters, artifacts, tasks in order, and images."""
# ruff: noqa: B006 (KFP copies a dict's default)

import pytest
from kfp import dsl

from ropewalk.errors import ConfigError
from ropewalk.launch import catalog
from ropewalk.launch.specification import Field, read_specification


@dsl.component(base_image="example.org/b:1", install_kfp_package=False)
def first(data: dsl.Output[dsl.Dataset], count: int = 3, config: dict = {}):
    """First step.

    Args:
        count: How many.
        config: The rest.

    Returns:
        data: Rows.
    """


@dsl.component(base_image="example.org/a:1", install_kfp_package=False)
def second(data: dsl.Input[dsl.Dataset]):
    """Second step."""


@dsl.component(base_image="example.org/a:1", install_kfp_package=False)
def last(status: dsl.PipelineTaskFinalStatus, name: str):
    """Exit step."""


@dsl.pipeline(name="whole")
def whole(name: str, count: int = 4):
    """Does it all.

    Args:
        name: Whose.
    """
    with dsl.ExitHandler(last(name=name)):
        second(data=first(count=count).outputs["data"])


def test_a_pipeline_is_described():
    specification = read_specification(catalog.to_yaml(whole), source="whole")
    assert specification.name == "whole"
    assert specification.parameters == [
        Field(name="count", type="int", default=4),
        Field(name="name", type="str", description="Whose.", required=True),
    ]
    assert specification.tasks == ["first", "second", "last"]
    assert specification.images == ["example.org/a:1", "example.org/b:1"]


def test_a_component_is_described_without_what_kfp_injects():
    specification = read_specification(catalog.to_yaml(first), source="first")
    assert specification.inputs == [
        Field(name="config", type="dict", default={}, description="The rest."),
        Field(name="count", type="int", default=3, description="How many."),
    ]
    assert specification.outputs == [Field(name="data", type="Dataset", description="Rows.", required=True)]
    assert [field.name for field in read_specification(catalog.to_yaml(last), source="last").inputs] == ["name"]


@pytest.mark.parametrize("text", ["", "a: 1", "- 1", "a: [", "pipelineInfo: {name: x}"])
def test_anything_else_is_refused_by_name(text):
    with pytest.raises(ConfigError, match=r"other\.yaml is not"):
        read_specification(text, source="other.yaml")
