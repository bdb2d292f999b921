"""The page of training curves."""

from pathlib import Path

from ropewalk.training.config import TrainingConfig
from ropewalk.training.curves import curves_page
from ropewalk.training.train import train

HISTORY = [
    {
        "epoch": epoch,
        "train_loss": 1 / epoch,
        "validation_loss": 1 + abs(epoch - 3) / 10,
        "validation_rmse": 20 + abs(epoch - 3),
        "learning_rate": 1e-3 / epoch,
        "rows": 100,
        "rows_per_second": 1000.0 * epoch,
        "seconds": float(epoch),
        "system/cpu_utilization_percentage": 50.0 + epoch,
    }
    for epoch in range(1, 6)
]


def page(**changes: object) -> str:
    arguments = {"title": "Predicting y", "score": "validation_rmse", "task": "regression", **changes}
    return curves_page(HISTORY, **arguments)


def test_the_page_names_the_best_epoch_and_draws_every_series() -> None:
    html = page()
    assert "Epoch 3 is kept: RMSE 20" in html
    for series in ("Loss", "RMSE", "Learning rate", "Rows per second", "CPU utilization percentage"):
        assert f"{series} over epochs" in html
    assert html.count("<svg") >= 5


def test_learning_rates_keep_their_digits_in_the_table() -> None:
    html = page()
    for shown in ("0.001", "0.0005", "0.000333", "0.00025", "0.0002"):
        assert f">{shown}<" in html


def test_a_failure_is_told_first() -> None:
    html = page(failure="The training loss became nan <here>.")
    assert "became nan &lt;here&gt;." in html
    assert "is kept" not in html
    assert html.index("What went wrong") < html.index("Learning rate")


def test_the_loss_is_drawn_once_where_it_is_the_score() -> None:
    entries = [{**entry, "validation_log_loss": entry["validation_loss"]} for entry in HISTORY]
    html = curves_page(entries, title="t", score="validation_log_loss", task="multiclass")
    assert "Log loss over epochs" not in html
    assert "Epoch 3 is kept" in html


def test_training_writes_the_page_of_its_history(prepared, tmp_path: Path) -> None:
    folder = prepared()
    train(
        folder / "train",
        validation=folder / "validation",
        preprocessor=folder / "preprocessor",
        model=tmp_path / "model",
        curves=tmp_path / "out" / "curves.html",
        epochs=2,
        config=TrainingConfig(width=16, depth=1),
    )
    assert "Predicting y" in (tmp_path / "out" / "curves.html").read_text()
