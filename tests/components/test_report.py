from pathlib import Path

import pytest
from kfp import dsl

from ropewalk.components import report_run


@pytest.mark.parametrize(("state", "result"), [("SUCCEEDED", "passed"), ("FAILED", "failed")])
def test_shipped_source_writes_the_summary_of_a_run(
    state: str, result: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ROPEWALK_RUN_DIR", raising=False)
    monkeypatch.delenv("ROPEWALK_WEBHOOK_URL", raising=False)
    shipped: dict = {}
    exec(report_run.component_spec.implementation.container.command[-1], shipped)
    page = dsl.HTML(uri=str(tmp_path / "out" / "summary"))
    shipped["report_run"](
        status=dsl.PipelineTaskFinalStatus(
            state=state,
            pipeline_job_resource_name="run-7",
            pipeline_task_name="exit-handler-1",
            error_code=None,
            error_message=None,
        ),
        summary=page,
        pipeline="training",
        run_id="r1",
        run_name="first",
        parameters={"epochs": 3, "config": {"training": {"dropout": 0.1}}},
    )
    assert page.metadata["result"] == result
    html = Path(page.path).read_text(encoding="utf-8")
    assert result.capitalize() in html
    assert "dropout" in html
    assert "kubectl logs -l pipeline/runid=r1" in html
