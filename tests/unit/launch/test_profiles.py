"""A profile's secrets and volumes reach exactly the steps that it names, as kfp-kubernetes itself would write them."""

from pathlib import Path

import pytest
import yaml
from kfp import compiler, dsl, kubernetes

from ropewalk.errors import ConfigError
from ropewalk.launch.compile import compile_everything
from ropewalk.launch.profiles import Profile, read_profile
from ropewalk.launch.profiles.apply import apply_profile
from ropewalk.launch.profiles.config import SecretVariable, Variable, Volume
from ropewalk.launch.specification import read_specification

ROOT = Path(__file__).parents[3]


@dsl.component(base_image="example.org/steps:1", install_kfp_package=False)
def work() -> int:
    return 1


@dsl.pipeline(name="plain")
def plain():
    work()


@dsl.pipeline(name="plain")
def by_hand():
    task = work()
    kubernetes.use_secret_as_env(task, "git", {"token": "ROPEWALK_GIT_TOKEN"})
    kubernetes.mount_pvc(task, "cache", "/cache")


def _text(pipeline, file: Path) -> str:
    compiler.Compiler().compile(pipeline, str(file))
    return file.read_text()


def test_a_profile_writes_what_kfp_kubernetes_writes_by_hand(tmp_path: Path) -> None:
    profile = Profile(
        secrets=(SecretVariable(env="ROPEWALK_GIT_TOKEN", secret="git", key="token"),),
        volumes=(Volume(claim="cache", path="/cache"),),
    )
    found = apply_profile(_text(plain, tmp_path / "plain.yaml"), profile)
    assert list(yaml.safe_load_all(found)) == list(yaml.safe_load_all(_text(by_hand, tmp_path / "by_hand.yaml")))


def test_an_empty_profile_changes_nothing(tmp_path: Path) -> None:
    text = _text(plain, tmp_path / "plain.yaml")
    unchanged = apply_profile(text, Profile())
    assert yaml.safe_load(unchanged) == yaml.safe_load(text)
    assert unchanged.partition("components:")[0] == text.partition("components:")[0]


def test_the_example_gives_each_step_of_each_pipeline_what_it_says() -> None:
    profile = read_profile(ROOT / "profiles" / "cluster.yaml")
    wanted = {(step, variable.env) for variable in profile.secrets for step in variable.steps} | {
        (step, volume.path) for volume in profile.volumes for step in volume.steps
    }
    compiled = compile_everything(profile)
    (training,) = [one for one in compiled if one.path == Path("training.yaml")]
    _, platform = yaml.safe_load_all(training.text)
    executors = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    found = set()
    for name, settings in executors.items():
        step = name.removeprefix("exec-")
        found |= {(step, entry["keyToEnv"][0]["envVar"]) for entry in settings.get("secretAsEnv", [])}
        found |= {(step, entry["mountPath"]) for entry in settings.get("pvcMount", [])}
    assert found == wanted
    assert read_specification(training.text, source="training.yaml") == next(
        one.specification for one in compile_everything() if one.path == training.path
    )


def test_variables_and_a_train_job_reach_the_step_that_trains() -> None:
    job = {"nodes": 2, "gpus": 8, "memory": "64Gi"}
    variable = Variable(env="ROPEWALK_CHECKPOINTS", value="s3://b/c", steps=("train-model",))
    profile = Profile(variables=(variable,), train_job=job)
    plain_ones, given = ({one.path: one for one in compile_everything(each)} for each in (Profile(), profile))
    training = yaml.safe_load(given[Path("training.yaml")].text)
    executors = training["deploymentSpec"]["executors"]
    with_variables = {name: one["container"]["env"] for name, one in executors.items() if "env" in one["container"]}
    assert with_variables == {"exec-train-model": [{"name": "ROPEWALK_CHECKPOINTS", "value": "s3://b/c"}]}
    tasks = {
        name: task
        for component in training["components"].values()
        for name, task in component.get("dag", {}).get("tasks", {}).items()
    }
    wired = [name for name, task in tasks.items() if "cluster" in task.get("inputs", {}).get("parameters", {})]
    assert wired == ["train-model"]
    assert tasks["train-model"]["inputs"]["parameters"]["cluster"]["runtimeValue"]["constant"] == {
        **job,
        "env": {"ROPEWALK_CHECKPOINTS": "s3://b/c"},
    }
    before = yaml.safe_load(plain_ones[Path("training.yaml")].text)
    del tasks["train-model"]["inputs"]["parameters"]["cluster"], executors["exec-train-model"]["container"]["env"]
    assert training == before
    header = "# PIPELINE DEFINITION"
    assert given[Path("training.yaml")].text.startswith(header) == plain_ones[Path("training.yaml")].text.startswith(
        header
    )


def test_where_trials_run_reaches_the_step_that_tunes_and_no_other() -> None:
    tune = {"engine": "katib", "pods": {"memory": "8Gi"}, "katib": {"namespace": "team-a"}}
    compiled = {one.path: one for one in compile_everything(Profile(tune=tune))}
    found = {}
    for name in ("training", "tuning"):
        pipeline = yaml.safe_load(compiled[Path(f"{name}.yaml")].text)
        for component in pipeline["components"].values():
            for task, entry in component.get("dag", {}).get("tasks", {}).items():
                if "cluster" in entry.get("inputs", {}).get("parameters", {}):
                    found[name, task] = entry["inputs"]["parameters"]["cluster"]["runtimeValue"]["constant"]
    assert found == {("tuning", "tune-model"): tune}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("secrets: [{env: A, secret: s}]", r"secrets\.0\.key"),
        ("secrets: [{env: A-B, secret: s, key: k}]", "need the name of an environment variable"),
        ("secrts: []", "Did you mean 'secrets'"),
        ("volumes: [{claim: c, path: cache}]", "need an absolute path"),
        ("train_job: {nodes: 0}", r"train_job\.nodes=0"),
        ("tune: {engine: kabit}", r"tune\.engine='kabit'"),
        ("tune: {pods: {memory: much}}", r"memory='much': need a Kubernetes quantity"),
        ("tune: {katib: {cleanup: no}}", r"tune\.katib\.cleanup"),
        ("tune: {shared_folder: data}", "need an absolute path"),
        ("train_job: {gpu: 1}", r"train_job\.gpu: .*Did you mean 'gpus'"),
        ("variables: [{env: 1x, value: y}]", "need the name of an environment variable"),
        ("- a", "holds no settings"),
        ("a: [", "cannot be read"),
    ],
)
def test_a_wrong_profile_is_refused_by_name(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "p.yaml").write_text(content)
    with pytest.raises(ConfigError, match=message):
        read_profile(tmp_path / "p.yaml")


def test_a_step_that_is_nowhere_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"'pull-dta', which is nowhere\. Did you mean 'pull-data'"):
        compile_everything(Profile(volumes=(Volume(claim="c", path="/c", steps=("pull-dta",)),)))
