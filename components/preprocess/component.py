"""KFP interface of `ropewalk.preprocess`: types, defaults and docs, no logic."""

from kfp import dsl

from ropewalk import images


@dsl.component(base_image=images.TABLES, install_kfp_package=False)
def preprocess_table(
    data: dsl.Input[dsl.Dataset],
    train: dsl.Output[dsl.Dataset],
    validation: dsl.Output[dsl.Dataset],
    test: dsl.Output[dsl.Dataset],
    preprocessor: dsl.Output[dsl.Model],
    target: str,
    task: str,
    time_column: str = "",
    config: dict = {},
) -> None:
    """Split a table into train, validation and test, and learn from the training rows how to read its columns.

    Args:
        data: Raw data, as pull_data writes it.
        target: Column to predict; rows without it are dropped.
        task: "binary", "multiclass" or "regression".
        time_column: Split by time, oldest rows for training; empty splits by a hash of each row.
        config: Shares of the splits and roles of columns; see `python -m ropewalk.preprocess --help`.

    Returns:
        train: Rows to learn from, raw columns, Parquet.
        validation: Rows that choose the best epoch.
        test: Rows that only evaluation sees.
        preprocessor: How each column becomes numbers, as readable JSON.
    """
    from pathlib import Path

    from ropewalk.config import parse_config
    from ropewalk.preprocess.allocation import use_jemalloc
    from ropewalk.preprocess.config import PreprocessConfig

    use_jemalloc()
    from ropewalk.preprocess.preprocess import preprocess

    outputs = {"train": train, "validation": validation, "test": test, "preprocessor": preprocessor}
    paths = {name: Path(artifact.path) for name, artifact in outputs.items()}
    settings = parse_config(PreprocessConfig, config, section="preprocess")
    manifests = preprocess(Path(data.path), **paths, target=target, task=task, time_column=time_column, config=settings)
    for name, artifact in outputs.items():
        artifact.metadata.update(manifests[name].metadata())
