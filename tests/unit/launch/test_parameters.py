"""Parameters: text in, typed values out, everything else refused with advice."""

import pytest

from ropewalk.errors import ConfigError
from ropewalk.launch.parameters import merge_parameters, parse_parameters
from ropewalk.launch.specification import Field, Specification

SPECIFICATION = Specification(
    name="p",
    description="",
    inputs=[
        Field(name="data", type="Dataset"),
        Field(name="text", type="str", default=""),
        Field(name="count", type="int", default=2),
        Field(name="rate", type="float", default=0.5),
        Field(name="flag", type="bool", default=False),
        Field(name="config", type="dict", default={}),
        Field(name="items", type="list", default=[]),
    ],
    outputs=[],
    tasks=[],
    images=[],
)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("text", "", ""),
        ("text", "12", "12"),
        ("text", "@home", "@home"),
        ("text", "x" * 100_000, "x" * 100_000),
        ("count", "-7", -7),
        ("count", str(2**53), 2**53),
        ("rate", "3", 3.0),
        ("rate", "1e-4", 1e-4),
        ("flag", "True", True),
        ("flag", "no", False),
        ("config", '{"a": {"b": [1, null]}}', {"a": {"b": [1, None]}}),
        ("items", "[]", []),
    ],
)
def test_text_becomes_a_value_of_the_declared_type(name, text, value):
    parsed = parse_parameters({name: text}, SPECIFICATION)
    assert parsed == {name: value}
    assert type(parsed[name]) is type(value)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("count", "2.5", "count='2.5': need a whole number, such as 2."),
        ("count", str(2**53 + 1), "KFP can pass on exactly"),
        ("rate", "nan", "need a finite number"),
        ("rate", "inf", "need a finite number"),
        ("rate", "fast", "rate='fast': need a finite number, such as 0.5."),
        ("flag", "maybe", "flag='maybe': need true or false."),
        ("config", "[1]", "need a JSON object"),
        ("config", "{'a': 1}", "not valid JSON"),
        ("config", '{"a": NaN}', "NaN"),
        ("config", '{"a": 9007199254740993}', "9007199254740993"),
        ("items", '{"a": 1}', "need a JSON array"),
        ("text", "x" * 100_001, "100,001 bytes are more than a parameter can hold (100,000)"),
        ("text", "é" * 60_000, "120,000 bytes"),
        ("text", "{{$}}", "KFP would replace '{{$'"),
        ("config", '{"a": "{{$.pipeline_job_name}}"}', "KFP would replace '{{$'"),
        ("text", "/kfp-workspace/x", "KFP would replace '/kfp-workspace'"),
        ("data", "x", "data: the pipeline 'p' has no such parameter."),
        ("cuont", "1", "Did you mean 'count'?"),
    ],
)
def test_what_kfp_would_refuse_or_garble_is_refused_first(name, text, message):
    with pytest.raises(ConfigError) as refused:
        parse_parameters({name: text}, SPECIFICATION)
    assert message in str(refused.value)
    assert len(str(refused.value)) < 1000


def test_all_problems_are_told_at_once():
    with pytest.raises(ConfigError, match=r"count='a'(.|\n)*flag='b'(.|\n)*nothing: the pipeline"):
        parse_parameters({"count": "a", "flag": "b", "nothing": ""}, SPECIFICATION)


def test_json_is_read_from_a_file_after_an_at_sign(tmp_path):
    file = tmp_path / "settings.json"
    file.write_text('{"a": "ü"}', encoding="utf-8")
    assert parse_parameters({"config": f"@{file}"}, SPECIFICATION) == {"config": {"a": "ü"}}


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_settings_file_that_cannot_be_read_is_named(tmp_path, content):
    file = tmp_path / "settings.json"
    if content:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=r"config: cannot read the file .*settings\.json"):
        parse_parameters({"config": f"@{file}"}, SPECIFICATION)


def test_pairs_keep_equal_signs_in_values():
    assert merge_parameters({"a": "1"}, ["b=c=d"]) == {"a": "1", "b": "c=d"}


@pytest.mark.parametrize(
    ("pairs", "message"), [(["b"], "NAME=VALUE"), (["=1"], "NAME=VALUE"), (["a=2"], "a is given twice")]
)
def test_malformed_and_repeated_pairs_are_refused(pairs, message):
    with pytest.raises(ConfigError, match=message):
        merge_parameters({"a": "1"}, pairs)
