from collections.abc import Callable
from pathlib import Path

from kfp import dsl

from ropewalk.components import register_model


def test_shipped_source_registers_a_model(
    store: str, make_model: Callable[..., Path], make_evaluation: Callable[..., Path], report: Path
) -> None:
    shipped: dict = {}
    exec(register_model.component_spec.implementation.container.command[-1], shipped)
    model = make_model()
    evaluation = make_evaluation(model)
    name, version, uri, run = shipped["register_model"](
        model=dsl.Model(uri=str(model)),
        evaluation=dsl.Dataset(uri=str(evaluation)),
        report=dsl.HTML(uri=str(report)),
        name="houses",
        run_id="r1",
        run_name="first",
    )
    assert (name, version, uri) == ("houses", "1", "models:/houses/1")
    assert len(run) == 32
