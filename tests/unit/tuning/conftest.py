"""Experiments whose trials are a line of shell, and Katib's published examples."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ropewalk.tuning.parse import parse_experiment
from ropewalk.tuning.spec import Experiment

EXAMPLES = Path(__file__).parents[4] / "shared" / "contracts" / "katib" / "examples"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a test with the argument `example` each of Katib's published experiments."""
    if "example" in metafunc.fixturenames:
        files = sorted(EXAMPLES.glob("*.yaml"))
        missing = pytest.param(None, marks=pytest.mark.skip(f"Katib's examples are not in {EXAMPLES}"))
        metafunc.parametrize("example", files or [missing], ids=lambda file: getattr(file, "stem", "none"))


@pytest.fixture
def spec() -> Callable[..., dict[str, Any]]:
    """Return a function that gives an experiment in our own form; keywords replace its fields."""

    def make(line: str = 'echo "loss=$0"', **changes: Any) -> dict[str, Any]:
        values: dict[str, Any] = {
            "name": "bowl",
            "parameters": [{"name": "x", "type": "double", "min": -1, "max": 1}],
            "objective": {"metric": "loss", "type": "minimize"},
            "limits": {"max_trials": 4},
        }
        values |= changes
        if "trial" not in values:
            words = [f"${{trialParameters.{each['name']}}}" for each in values["parameters"]]
            values["trial"] = {"command": ["sh", "-c", line, *words]}
        return values

    return make


@pytest.fixture
def experiment(spec: Callable[..., dict[str, Any]]) -> Callable[..., Experiment]:
    """Return a function that gives a checked experiment; its trials run `line` with the parameters as $0, $1, ..."""
    return lambda line='echo "loss=$0"', **changes: parse_experiment(spec(line, **changes))


@pytest.fixture
def katib() -> Callable[[], dict[str, Any]]:
    """Return a function that gives an experiment in Katib's form, to be altered."""
    return lambda: yaml.safe_load(KATIB)


KATIB = """
apiVersion: kubeflow.org/v1beta1
kind: Experiment
metadata: {name: mine, namespace: team}
spec:
  objective: {type: minimize, goal: 0.001, objectiveMetricName: loss, additionalMetricNames: [accuracy]}
  algorithm: {algorithmName: random, algorithmSettings: [{name: random_state, value: "7"}]}
  parallelTrialCount: 2
  maxTrialCount: 6
  maxFailedTrialCount: 3
  parameters:
    - {name: lr, parameterType: double, feasibleSpace: {min: "0.01", max: "0.05"}}
    - {name: size, parameterType: discrete, feasibleSpace: {list: ["16", "32"]}}
    - {name: optimizer, parameterType: categorical, feasibleSpace: {list: [sgd, adam]}}
  trialTemplate:
    primaryContainerName: main
    trialParameters:
      - {name: learningRate, reference: lr}
      - {name: size, reference: size}
      - {name: optimizer, reference: optimizer}
    trialSpec:
      apiVersion: batch/v1
      kind: Job
      spec:
        backoffLimit: 0
        template:
          spec:
            restartPolicy: Never
            containers:
              - name: main
                image: example.org/train:1
                command: [python3, train.py, "--lr=${trialParameters.learningRate}",
                          "--size=${trialParameters.size}", "--optimizer=${trialParameters.optimizer}"]
"""


@pytest.fixture(params=["local", "katib"])
def make_engine(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Return a function that gives an engine of each kind in turn; the same `name` is the same place.

    The contract of `test_engine_contract` holds for every engine named in this fixture's parameters.
    """
    make: Callable[..., Any] = request.getfixturevalue(f"{request.param}_engine")
    return make


@pytest.fixture
def local_engine(tmp_path: Path) -> Callable[..., Any]:
    """Return a function that gives an engine of this machine."""
    from ropewalk.tuning.local import LocalEngine
    from ropewalk.tuning.local_command import LocalConfig

    return lambda name="a": LocalEngine(tmp_path / name, LocalConfig(terminate_seconds=2))


@pytest.fixture
def katib_api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A Kubernetes API server with Katib, whose trials are processes of this machine; `controller` plays Katib."""
    from katib_api import KatibApi
    from katib_controller import KatibController
    from serving import served

    with served(KatibApi(), tmp_path, monkeypatch) as api:
        api.controller = KatibController(api, tmp_path / "pods")
        yield api
        api.controller.stop()


@pytest.fixture
def katib_engine(katib_api: Any) -> Callable[..., Any]:
    """Return a function that gives an engine of that cluster; keywords are its settings."""
    from quick import QUICK

    from ropewalk.cluster.access import TUNING
    from ropewalk.cluster.connect import connect
    from ropewalk.tuning.katib_config import KatibConfig
    from ropewalk.tuning.katib_engine import KatibEngine

    def make(name: str = "a", **settings: Any) -> KatibEngine:
        return KatibEngine(KatibConfig(**settings), connect(patience=QUICK, role=TUNING))

    return make


@pytest.fixture
def snapshot_of() -> Callable[..., Any]:
    """Return a function that gives the snapshot of a finished experiment: one trial per list of reports of loss."""
    from ropewalk.tuning.engine import Snapshot, Trial
    from ropewalk.tuning.metrics import observe

    def make(*reports: list[float], states: dict[int, str] | None = None, **values: list[Any]) -> Snapshot:
        names = values or {"x": [number / 10 for number in range(len(reports))]}
        trials = [
            Trial(
                number=number,
                name=f"t-{number}",
                values={name: each[number] for name, each in names.items()},
                state=(states or {}).get(number, "succeeded"),  # type: ignore[arg-type]
                observations={"loss": observe(each)},
                seconds=2.0,
                started=1.7e9 + number,
                log_tail=("out of memory",) if (states or {}).get(number) == "failed" else (),
                message="exit code 1" if (states or {}).get(number) == "failed" else "",
            )
            for number, each in enumerate(reports)
        ]
        return Snapshot(trials=tuple(trials), started=1.7e9, end="max_trials_reached")

    return make
