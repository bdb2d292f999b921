"""KFP interface of `ropewalk.summary`: types, defaults and docs, no logic."""

from kfp import dsl

from ropewalk import images


@dsl.component(base_image=images.TABLES, install_kfp_package=False)
def report_run(
    status: dsl.PipelineTaskFinalStatus,
    summary: dsl.Output[dsl.HTML],
    pipeline: str,
    run_id: str,
    run_name: str = "",
    parameters: dict = {},
) -> None:
    """Tell how a run ended, whether it passed or failed: a page, and a notification when ROPEWALK_WEBHOOK_URL is set.

    Args:
        status: Final state of the tasks in the exit handler; KFP fills it in.
        pipeline: Name of the pipeline.
        run_id: Id of the run.
        run_name: Name of the run for people.
        parameters: The run's parameters, to be shown.

    Returns:
        summary: HTML page with the state, the failed step, its last lines, and where to look further.
    """
    from pathlib import Path

    from ropewalk.summary.summarize import summarize

    told = summarize(
        pipeline=pipeline,
        run_id=run_id,
        run_name=run_name,
        state=status.state,
        error=status.error_message,
        parameters=parameters,
        output=Path(summary.path),
    )
    summary.metadata.update(result=told.result, failed_task=told.failed_task, text=told.text)
