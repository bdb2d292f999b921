import pytest

from ropewalk.errors import ConfigError
from ropewalk.registry.names import check_model_name


@pytest.mark.parametrize("name", ["model", "fraud-detector v2.1", "Prüfer_1", "catalog.schema.model"])
def test_a_usable_name_is_returned_as_it_is(name: str) -> None:
    assert check_model_name(name) == name


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("team/fraud", "'team-fraud'"),
        ("fraud:2", "'fraud-2'"),
        ("it's", "'it-s'"),
        (" fraud ", "'fraud'"),
        ("../fraud", "'fraud'"),
        ("/", "'model'"),
        ("", "'fraud-detector'"),
        ("   ", "'fraud-detector'"),
        ("x" * 201, f"'{'x' * 200}'"),
    ],
)
def test_another_name_is_refused_with_one_that_would_do(name: str, suggestion: str) -> None:
    with pytest.raises(ConfigError, match=suggestion):
        check_model_name(name)
