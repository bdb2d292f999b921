"""The command that opens MLflow works for where the run was recorded."""

import shlex

from rich.console import Console

from ropewalk.launch.conclusion import mlflow_command, show_conclusion
from ropewalk.launch.runs import new_run


def test_a_store_on_disk_is_opened_by_mlflow_ui():
    words = shlex.split(mlflow_command("sqlite:////a folder/mlflow.db"))
    assert words[0].rpartition("/")[2] == "mlflow"
    assert words[1:] == ["ui", "--backend-store-uri", "sqlite:////a folder/mlflow.db"]


def test_a_server_is_opened_in_a_browser_and_its_password_is_not_shown():
    for uri in ("https://mlflow.example.org", "https://name:secret@mlflow.example.org"):
        assert mlflow_command(uri) == "open https://mlflow.example.org in a browser"


def test_markup_in_messages_is_shown_as_it_is(tmp_path):
    console = Console(record=True, width=100)
    with new_run(tmp_path, "p", {}) as run:
        run.state, run.error, run.ended = "failed", "column [bold]x[/] is [missing", run.started
    show_conclusion(console, run)
    assert "column [bold]x[/] is [missing" in console.export_text()
