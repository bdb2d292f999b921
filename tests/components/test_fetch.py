from collections.abc import Callable
from pathlib import Path

from kfp import dsl

from ropewalk.components import fetch_champion
from ropewalk.registry.register import register


def test_shipped_source_fetches_the_champion(
    store: str, make_model: Callable[..., Path], make_evaluation: Callable[..., Path], report: Path, tmp_path: Path
) -> None:
    shipped: dict = {}
    exec(fetch_champion.component_spec.implementation.container.command[-1], shipped)
    model = make_model()
    register(model, make_evaluation(model), report, name="houses", run_id="r1")
    champion = dsl.Model(uri=str(tmp_path / "champion"))
    shipped["fetch_champion"](champion=champion, name="houses")
    assert champion.metadata["version"] == "1"
    assert (tmp_path / "champion" / "model" / "weights.safetensors").is_file()
