"""Small real data sets that come with scikit-learn, written as CSV: `sample:<name>`."""

from pathlib import Path

from ropewalk.errors import SourceError, nearest

TARGETS = {"breast_cancer": "diagnosis", "wine": "cultivar", "diabetes": "progression"}
"""The samples and their target columns: two classes, three classes, a number."""


def check_sample(name: str) -> None:
    """Return when there is such a sample.

    Raises:
        SourceError: There is none.
    """
    if name not in TARGETS:
        raise SourceError(f"There is no sample {name!r}.{nearest(name, TARGETS)} Samples: {', '.join(TARGETS)}.")


def write_sample(name: str, destination: Path) -> str:
    """Write the sample as `destination`/<name>.csv and return the name of its target column."""
    # A second that only samples cost.
    from sklearn import datasets

    loaders = {
        "breast_cancer": datasets.load_breast_cancer,
        "wine": datasets.load_wine,
        "diabetes": lambda **options: datasets.load_diabetes(scaled=False, **options),
    }
    sample = loaders[name](as_frame=True)
    target = sample.target
    if "target_names" in sample:
        target = target.map(dict(enumerate(map(str, sample.target_names))))
    destination.mkdir(parents=True, exist_ok=True)
    sample.data.assign(**{TARGETS[name]: target}).to_csv(destination / f"{name}.csv", index=False)
    return TARGETS[name]
