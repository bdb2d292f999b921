"""A profile reaches exactly the steps that it names, in the very fields that KFP's own functions write."""

from pathlib import Path

import pytest
import yaml
from kfp import compiler, dsl, kubernetes

from ropewalk.config import parse_config
from ropewalk.errors import ConfigError
from ropewalk.launch.compile import compile_everything
from ropewalk.launch.lint.lint import lint_text
from ropewalk.launch.lint.rule import LintConfig
from ropewalk.launch.profiles import Profile, read_profile
from ropewalk.launch.profiles.apply import apply_profile
from ropewalk.launch.profiles.config import ImagesConfig, SecretVariable, Variable, Volume
from ropewalk.launch.profiles.images import placed
from ropewalk.launch.profiles.start import KINDS
from ropewalk.launch.specification import read_specification
from ropewalk.tuning.profile import TuneProfile

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "profiles"


@dsl.component(base_image="example.org/steps:1", install_kfp_package=False)
def work() -> int:
    return 1


@dsl.pipeline(name="plain")
def plain():
    work()


def _text(pipeline, file: Path) -> str:
    compiler.Compiler().compile(pipeline, str(file))
    return file.read_text()


def _profile(text: str, tmp_path: Path) -> Profile:
    (tmp_path / "p.yaml").write_text(text)
    return read_profile(tmp_path / "p.yaml")


EVERYTHING = """
images: {pull_policy: Always, pull_secrets: [registry]}
run: {pipeline_root: s3://b/root, deadline_seconds: 9000, keep_seconds: 60, keep_seconds_after_success: 30,
      keep_seconds_after_failure: 90}
defaults:
  cpu: "2"
  cpu_request: 500m
  memory: 16Gi
  memory_request: 1Gi
  node_selector: {pool: cpu}
  labels: {team: a}
  retry: {count: 3, backoff_seconds: 30, backoff_factor: 2.0, backoff_max_seconds: 600}
steps:
  work:
    gpus: 1
    gpu_resource: amd.com/gpu
    shared_memory: 8Gi
    node_selector: {kind: gpu}
    tolerations:
      - {key: gpu, operator: Exists, effect: NoSchedule}
      - {key: spot, value: "true", effect: NoExecute, seconds: 60}
    node_affinity:
      - {key: zone, values: [a, b]}
      - {key: gen, operator: Gt, values: ["5"]}
      - {key: zone, values: [a], weight: 10}
    annotations: {note: x}
    timeout_seconds: 100
    security: {run_as_user: 1000, run_as_group: 1000, run_as_non_root: true}
    caching: false
secrets: [{env: ROPEWALK_GIT_TOKEN, secret: git, key: token}]
secret_files: [{secret: ca, path: /etc/ca}]
variables: [{env: A, value: b}]
volumes: [{claim: cache, path: /cache, sub_path: dvc}]
tune: {engine: local}
"""


@dsl.pipeline(
    name="plain",
    pipeline_root="s3://b/root",
    pipeline_config=dsl.PipelineConfig(
        ttl_seconds_after_finished=60,
        ttl_seconds_after_success=30,
        ttl_seconds_after_failure=90,
        active_deadline_seconds=9000,
    ),
)
def by_hand():
    task = work()
    kubernetes.use_secret_as_env(task, "git", {"token": "ROPEWALK_GIT_TOKEN"})
    kubernetes.use_secret_as_volume(task, "ca", "/etc/ca")
    kubernetes.mount_pvc(task, "cache", "/cache", sub_path="dvc")
    kubernetes.empty_dir_mount(task, "shm", "/dev/shm", medium="Memory", size_limit="8Gi")
    kubernetes.set_image_pull_secrets(task, ["registry"])
    kubernetes.set_image_pull_policy(task, "Always")
    kubernetes.add_node_selector(task, "pool", "cpu")
    kubernetes.add_node_selector(task, "kind", "gpu")
    kubernetes.add_toleration(task, key="gpu", operator="Exists", effect="NoSchedule")
    kubernetes.add_toleration(
        task, key="spot", operator="Equal", value="true", effect="NoExecute", toleration_seconds=60
    )
    required = [
        {"key": "zone", "operator": "In", "values": ["a", "b"]},
        {"key": "gen", "operator": "Gt", "values": ["5"]},
    ]
    kubernetes.add_node_affinity(task, match_expressions=required)
    preferred = [{"key": "zone", "operator": "In", "values": ["a"]}]
    kubernetes.add_node_affinity(task, match_expressions=preferred, weight=10)
    kubernetes.add_pod_label(task, "team", "a")
    kubernetes.add_pod_annotation(task, "note", "x")
    kubernetes.set_timeout(task, 100)
    kubernetes.set_security_context(task, run_as_user=1000, run_as_group=1000, run_as_non_root=True)
    task.set_cpu_limit("2").set_cpu_request("500m").set_memory_limit("16Gi").set_memory_request("1Gi")
    task.set_accelerator_type("amd.com/gpu").set_accelerator_limit(1)
    task.set_retry(num_retries=3, backoff_duration="30s", backoff_factor=2.0, backoff_max_duration="600s")
    task.set_env_variable("A", "b")
    task.set_caching_options(False)


def test_a_profile_writes_all_that_kfp_writes_by_hand(tmp_path: Path) -> None:
    found = apply_profile(_text(plain, tmp_path / "plain.yaml"), _profile(EVERYTHING, tmp_path))
    assert list(yaml.safe_load_all(found)) == list(yaml.safe_load_all(_text(by_hand, tmp_path / "by_hand.yaml")))


def test_an_empty_profile_changes_nothing(tmp_path: Path) -> None:
    text = _text(plain, tmp_path / "plain.yaml")
    unchanged = apply_profile(text, Profile())
    assert yaml.safe_load(unchanged) == yaml.safe_load(text)
    assert unchanged.partition("components:")[0] == text.partition("components:")[0]


def test_what_a_pipeline_sets_itself_stays_beside_the_profile(tmp_path: Path) -> None:
    @dsl.pipeline(name="own")
    def own():
        task = work()
        kubernetes.use_secret_as_env(task, "own", {"k": "OWN"})
        kubernetes.mount_pvc(task, "own", "/own")
        kubernetes.empty_dir_mount(task, "mine", "/dev/shm", medium="Memory", size_limit="1Gi")
        task.set_env_variable("A", "mine").set_memory_limit("1Gi").set_cpu_limit("7")

    profile = _profile(EVERYTHING.replace('  cpu: "2"\n', ""), tmp_path)
    specification, platform = yaml.safe_load_all(apply_profile(_text(own, tmp_path / "own.yaml"), profile))
    pod = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]["exec-work"]
    assert [entry["secretName"] for entry in pod["secretAsEnv"]] == ["own", "git"]
    assert [entry["mountPath"] for entry in pod["pvcMount"]] == ["/own", "/cache"]
    # A pod takes one mount a path, and a container one value a variable.
    assert [(entry["mountPath"], entry["sizeLimit"]) for entry in pod["emptyDirMounts"]] == [("/dev/shm", "8Gi")]
    container = specification["deploymentSpec"]["executors"]["exec-work"]["container"]
    assert container["env"] == [{"name": "A", "value": "b"}]
    assert (container["resources"]["resourceMemoryLimit"], container["resources"]["resourceCpuLimit"]) == ("16Gi", "7")


def test_every_use_of_a_component_gets_it_in_loops_conditions_and_nested_pipelines_too(tmp_path: Path) -> None:
    @dsl.pipeline(name="inner")
    def inner():
        work()

    @dsl.pipeline(name="outer")
    def outer(flag: str = "a"):
        work()
        work().set_env_variable("B", "c")
        inner()
        with dsl.If(flag == "a"):
            work().set_env_variable("C", "d")
        with dsl.ParallelFor(items=[1, 2]):
            work()

    text = apply_profile(_text(outer, tmp_path / "outer.yaml"), _profile(EVERYTHING, tmp_path))
    specification, platform = yaml.safe_load_all(text)
    executors = specification["deploymentSpec"]["executors"]
    assert len(executors) > 3
    pods = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert pods.keys() == executors.keys()
    for name, executor in executors.items():
        assert executor["container"]["resources"]["accelerator"]["resourceType"] == "amd.com/gpu", name
        assert pods[name]["activeDeadlineSeconds"] == "100"
    leaves = [task for _, task in _tasks(specification) if task["componentRef"]["name"].startswith("comp-work")]
    assert len(leaves) == 5
    assert all(task["retryPolicy"]["maxRetryCount"] == 3 and task["cachingOptions"] == {} for task in leaves)


FIELDS = dsl.TaskConfigField
PASSED_ON = [
    *(FIELDS.RESOURCES, FIELDS.KUBERNETES_AFFINITY, FIELDS.KUBERNETES_NODE_SELECTOR, FIELDS.KUBERNETES_TOLERATIONS),
    dsl.TaskConfigPassthrough(field=FIELDS.ENV, apply_to_task=True),
    dsl.TaskConfigPassthrough(field=FIELDS.KUBERNETES_VOLUMES, apply_to_task=True),
]
"""What the library's components of these names hand on."""


@dsl.component(base_image="example.org/steps:1", install_kfp_package=False, task_config_passthroughs=PASSED_ON)
def tune_model(cluster: dict = {}, task_config: dsl.TaskConfig = None):  # noqa: B006 - KFP copies it
    pass


@dsl.component(base_image="example.org/steps:1", install_kfp_package=False, task_config_passthroughs=PASSED_ON)
def launch_training(cluster: dict = {}, task_config: dsl.TaskConfig = None):  # noqa: B006 - KFP copies it
    pass


def test_what_a_step_hands_on_to_its_job_is_told_apart_from_its_own_pod(tmp_path: Path) -> None:
    @dsl.pipeline(name="plain")
    def plain_tuning():
        tune_model()

    @dsl.pipeline(name="own")
    def own():
        tune_model().set_accelerator_type("nvidia.com/gpu").set_accelerator_limit(2)
        launch_training()

    profile = _profile(
        "defaults: {memory: 4Gi, node_selector: {pool: cpu}, shared_memory: 1Gi}\n"
        "steps: {tune-model: {cpu: 2}, launch-training: {gpus: 8}}\ntune: {engine: local}\n",
        tmp_path,
    )

    def applied(pipeline):
        specification, platform = yaml.safe_load_all(apply_profile(_text(pipeline, tmp_path / "p.yaml"), profile))
        pods = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
        for name, executor in specification["deploymentSpec"]["executors"].items():
            step = name.removeprefix("exec-")
            passed = [one["field"] for one in specification["components"][f"comp-{step}"]["taskConfigPassthroughs"]]
            resources = executor["container"].get("resources", {})
            yield step, (passed, resources, "nodeSelector" in pods[name])

    # KFP would hand all of it on, and leave the pod in which trials run without memory.
    passed, resources, placed_there = dict(applied(plain_tuning))["tune-model"]
    assert passed == ["ENV"]
    assert (resources["resourceMemoryLimit"], resources["resourceCpuLimit"], placed_there) == ("4Gi", "2", True)
    found = dict(applied(own))
    passed, resources, placed_there = found["tune-model"]
    assert passed == ["RESOURCES", "ENV"]
    assert (resources["accelerator"]["resourceCount"], resources.get("resourceMemoryLimit")) == ("2", None)
    assert placed_there
    passed, resources, placed_there = found["launch-training"]
    assert len(passed) == len(PASSED_ON)
    assert (resources["accelerator"]["resourceCount"], resources.get("resourceMemoryLimit")) == ("8", None)
    assert not placed_there


def _tasks(specification: dict):
    for graph in (specification["root"], *specification["components"].values()):
        yield from graph.get("dag", {}).get("tasks", {}).items()


@pytest.fixture(scope="module")
def pipelines() -> dict[str, str]:
    """The text of each pipeline, compiled for no cluster."""
    return {one.path.stem: one.text for one in compile_everything() if one.path.parent == Path()}


@pytest.fixture(scope="module", params=KINDS)
def example(request):
    """One of the examples: as it stands in its file, read, and all pipelines compiled with it."""
    file = EXAMPLES / f"{request.param}.yaml"
    profile = read_profile(file)
    return yaml.safe_load(file.read_text()), profile, compile_everything(profile)


def test_every_task_of_every_pipeline_carries_what_the_example_says(example) -> None:
    raw, _, compiled = example
    pipelines = [one for one in compiled if one.path.parent == Path()]
    assert {one.path.name for one in pipelines} >= {"training.yaml", "tuning.yaml"}
    for one in pipelines:
        specification, platform = yaml.safe_load_all(one.text)
        pods = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
        tasks = dict(_tasks(specification))
        for name, executor in specification["deploymentSpec"]["executors"].items():
            step = name.removeprefix("exec-")
            wanted = {**raw["defaults"], **raw.get("steps", {}).get(step, {})}
            _check_container(executor["container"], wanted, raw)
            _check_pod(pods[name], wanted, raw)
            assert tasks[step]["retryPolicy"]["maxRetryCount"] == wanted["retry"]["count"]
            _check_given(step, executor["container"], pods[name], raw)
        assert specification["defaultPipelineRoot"] == raw["run"]["pipeline_root"]
        assert platform["platforms"]["kubernetes"]["pipelineConfig"].keys() >= {
            name
            for ours, name in (
                ("deadline_seconds", "activeDeadlineSeconds"),
                ("keep_seconds", "resourceTtlOnCompletion"),
                ("keep_seconds_after_success", "resourceTtlOnSuccess"),
                ("keep_seconds_after_failure", "resourceTtlOnFailure"),
            )
            if ours in raw["run"]
        }
        assert read_specification(one.text, source="p").tasks


def _check_container(container: dict, wanted: dict, raw: dict) -> None:
    resources = container["resources"]
    assert resources["resourceCpuLimit"] == wanted["cpu"]
    assert resources["resourceMemoryLimit"] == wanted["memory"]
    assert resources.get("accelerator", {}).get("resourceCount") == (str(wanted["gpus"]) if "gpus" in wanted else None)
    assert container["image"].startswith(raw.get("images", {}).get("registry", "ghcr.io/ropewalk"))


def _check_pod(pod: dict, wanted: dict, raw: dict) -> None:
    assert pod.get("activeDeadlineSeconds") == str(wanted["timeout_seconds"])
    assert [one["key"] for one in pod.get("tolerations", [])] == [one["key"] for one in wanted.get("tolerations", [])]
    assert pod.get("nodeSelector", {}).get("labels", {}) == wanted.get("node_selector", {})
    assert len(pod.get("nodeAffinity", [])) == len(wanted.get("node_affinity", []))
    assert pod.get("podMetadata", {}).get("labels", {}) == wanted.get("labels", {})
    assert pod.get("securityContext", {}).get("runAsNonRoot") == wanted.get("security", {}).get("run_as_non_root")
    shm = [one["sizeLimit"] for one in pod.get("emptyDirMounts", []) if one["mountPath"] == "/dev/shm"]
    assert shm == ([wanted["shared_memory"]] if "shared_memory" in wanted else [])
    pulls = [one["secretName"] for one in pod.get("imagePullSecret", [])]
    assert pulls == raw.get("images", {}).get("pull_secrets", [])


def _check_given(step: str, container: dict, pod: dict, raw: dict) -> None:
    """Check variables, secrets and mounts: those that name the step, or no step, and no others."""

    def mine(entries, key):
        return {one[key] for one in entries if step in one.get("steps", [step])}

    sugar = {
        "fetch-champion": {"mlflow"},
        "register-model": {"mlflow"},
        "resolve-data": {"git"},
        "pull-data": {"git", "remote"},
        "version-results": {"git", "remote"},
    }.get(step, set())
    variables = mine(raw.get("variables", []), "env")
    variables |= {"MLFLOW_TRACKING_URI"} if "mlflow" in sugar else set()
    if "remote" in sugar:
        names = {"endpoint_url": "AWS_ENDPOINT_URL", "region": "AWS_DEFAULT_REGION"}
        variables |= {env for name, env in names.items() if name in raw["dvc"]}
    assert {one["name"] for one in container.get("env", [])} == variables
    secrets = mine(raw.get("secrets", []), "env")
    secrets |= {"ROPEWALK_GIT_TOKEN"} if "git" in sugar else set()
    secrets |= {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} if "remote" in sugar else set()
    if "mlflow" in sugar:
        secrets |= {
            f"MLFLOW_TRACKING_{name.upper()}" for name in ("token", "username", "password") if name in raw["mlflow"]
        }
    assert {pair["envVar"] for one in pod.get("secretAsEnv", []) for pair in one["keyToEnv"]} == secrets
    assert {one["mountPath"] for one in pod.get("pvcMount", [])} == mine(raw.get("volumes", []), "path")
    assert {one["mountPath"] for one in pod.get("secretAsVolume", [])} == mine(raw.get("secret_files", []), "path")


def test_an_example_has_no_error_and_no_warning_by_lint(example) -> None:
    for one in example[2]:
        findings = lint_text(one.text, source=str(one.path))
        assert [finding for finding in findings if finding.level != "note"] == []


def test_the_pods_that_tuning_launches_get_what_the_example_says(example) -> None:
    raw, profile, compiled = example
    (tuning,) = [one for one in compiled if one.path == Path("tuning.yaml")]
    tasks = dict(_tasks(next(yaml.safe_load_all(tuning.text))))
    given = tasks["tune-model"]["inputs"]["parameters"]["cluster"]["runtimeValue"]["constant"]
    # The step itself reads it so.
    read = parse_config(TuneProfile, given)
    assert read.engine == raw["tune"]["engine"]
    if read.engine == "local":
        assert "pods" not in given
        return
    executor = next(yaml.safe_load_all(tuning.text))["deploymentSpec"]["executors"]["exec-tune-model"]
    assert read.pods.image == executor["container"]["image"]
    assert read.pods.image.startswith(f"{raw['images']['registry']}/ropewalk-")
    assert list(read.pods.image_pull_secrets) == raw["images"]["pull_secrets"]
    assert read.pods.gpus == raw["tune"]["pods"]["gpus"]
    secrets = {
        one["env"]: f"{one['secret']}/{one['key']}" for one in raw.get("secrets", []) if "tune-model" in one["steps"]
    }
    assert dict(read.pods.secret_env) == secrets
    assert [claim.path for claim in read.pods.claims] == [
        one["path"] for one in raw.get("volumes", []) if "tune-model" in one["steps"]
    ]
    wanted = raw["tune"]["pods"].get("node_selector", raw["defaults"].get("node_selector", {}))
    assert dict(read.pods.node_selector) == wanted
    assert (
        dict(read.pods.security_context) == profile.defaults.security.manifest() if profile.defaults.security else True
    )


def test_variables_and_a_train_job_reach_the_step_that_trains(pipelines) -> None:
    job = {"nodes": 2, "gpus": 8, "memory": "64Gi"}
    variable = Variable(env="ROPEWALK_CHECKPOINTS", value="s3://b/c", steps=("train-model",))
    profile = Profile(variables=(variable,), train_job=job)
    training = yaml.safe_load(apply_profile(pipelines["training"], profile))
    executors = training["deploymentSpec"]["executors"]
    with_variables = {name: one["container"]["env"] for name, one in executors.items() if "env" in one["container"]}
    assert with_variables == {"exec-train-model": [{"name": "ROPEWALK_CHECKPOINTS", "value": "s3://b/c"}]}
    tasks = dict(_tasks(training))
    wired = [name for name, task in tasks.items() if "cluster" in task.get("inputs", {}).get("parameters", {})]
    assert wired == ["train-model"]
    assert tasks["train-model"]["inputs"]["parameters"]["cluster"]["runtimeValue"]["constant"] == {
        **job,
        "env": {"ROPEWALK_CHECKPOINTS": "s3://b/c"},
    }
    before = yaml.safe_load(pipelines["training"])
    del tasks["train-model"]["inputs"]["parameters"]["cluster"], executors["exec-train-model"]["container"]["env"]
    assert training == before


def test_where_trials_run_reaches_the_step_that_tunes_and_no_other(pipelines) -> None:
    tune = {"engine": "katib", "pods": {"memory": "8Gi"}, "katib": {"namespace": "team-a"}}
    found = {}
    for name in ("training", "tuning"):
        for task, entry in _tasks(yaml.safe_load(apply_profile(pipelines[name], Profile(tune=tune)))):
            if "cluster" in entry.get("inputs", {}).get("parameters", {}):
                found[name, task] = entry["inputs"]["parameters"]["cluster"]["runtimeValue"]["constant"]
    assert found == {("tuning", "tune-model"): tune}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("secrets: [{env: A, secret: s}]", r"secrets\.0\.key: is missing"),
        ("secrets: [{env: A, secret: s, key: k, step: [x]}]", r"secrets\.0\.step: .*Did you mean 'steps'"),
        ("secrets: [{env: A-B, secret: s, key: k}]", "need the name of an environment variable"),
        ("secrts: []", "Did you mean 'secrets'"),
        ("volumes: [{claim: c, path: cache}]", "need an absolute path"),
        ("secret_files: [{secret: c, path: cache}]", "need an absolute path"),
        ("train_job: {nodes: 0}", r"train_job\.nodes=0"),
        ("tune: {engine: kabit}", r"tune\.engine='kabit'"),
        ("tune: {pods: {memory: much}}", r"memory='much': need a Kubernetes quantity"),
        ("tune: {pods: {memry: 8Gi}}", r"tune\.pods\.memry: .*Did you mean 'memory'"),
        ("tune: {katib: {cleanup: no}}", r"tune\.katib\.cleanup"),
        ("tune: {shared_folder: data}", "need an absolute path"),
        ("train_job: {gpu: 1}", r"train_job\.gpu: .*Did you mean 'gpus'"),
        ("variables: [{env: 1x, value: y}]", "need the name of an environment variable"),
        ("defaults: {memory: 1.5Gi}", r"defaults\.memory='1\.5Gi': need a whole number and a unit"),
        ("defaults: {memory: 4K}", r"defaults\.memory='4K'"),
        ("defaults: {cpu: two}", r"defaults\.cpu='two'"),
        ("defaults: {labels: {a: true}}", r"defaults\.labels\.a=True: need text\. In YAML and JSON, put it in quotes"),
        ("steps: {train-model: {gpu: 1}}", r"steps\.train-model\.gpu: .*Did you mean 'gpus'"),
        ("steps: {train-model: {gpus: -1}}", r"steps\.train-model\.gpus=-1"),
        ("defaults: {memory: 4Gi}\nsteps: {a: {shared_memory: 4Gi}}", r"steps\.a: shared_memory='4Gi' counts against"),
        ("defaults: {cpu: '1', cpu_request: '2'}", r"defaults: cpu_request='2' is more than cpu='1'"),
        ("defaults: {pod_affinity: {}}", r"pod_affinity: .*drops affinity between pods"),
        ("defaults: {service_account: x}", r"service_account: .*name it in kfp\.service_account"),
        ("defaults: {node_selector: {a b: c}}", r"node_selector: a b='c' is no label"),
        ("defaults: {tolerations: [{effect: NoSchedule}]}", r"tolerations\.0\.key: need the taint's key"),
        ("defaults: {tolerations: [{key: a, effect: NoSchedul}]}", r"tolerations\.0\.effect='NoSchedul'"),
        ("defaults: {node_affinity: [{key: a}]}", r"node_affinity\.0\.values=\[\]: In takes some"),
        ("defaults: {node_affinity: [{key: a, values: [b], weight: 101}]}", r"weight=101: need 1 to 100"),
        ("defaults: {retry: {count: -1}}", r"retry\.count=-1"),
        ("defaults: {timeout_seconds: 0}", r"timeout_seconds=0: need at least 1"),
        ("defaults: {security: {run_as_user: 0, run_as_non_root: true}}", "is root, which run_as_non_root forbids"),
        ("run: {keep_seconds: 0}", r"run\.keep_seconds=0"),
        ("images: {registry: https://r.example.org}", r"images\.registry='https://r\.example\.org': need host"),
        ("images: {tag: latest}", "another image tomorrow"),
        ("images: {lock: none.lock}", "none.lock cannot be read"),
        ("mlflow: {tracking_uri: https://me:hunter2@example.org}", "holds a user or password"),
        ("mlflow: {token: hunter2}", "need the place of a secret"),
        ("dvc: {access_key_id: s/k}", "belong together"),
        ("kfp: {host: example.org}", r"kfp\.host='example\.org': need a URL"),
        ("kfp: {host: https://me:hunter2@example.org}", "holds a user or password"),
        ("kfp: {verify: false}", "certificates are always checked"),
        ("kfp: {token_env: A, cookies_env: B}", "keep one way to log in"),
        ("kfp: {dex: {username_env: a b, password_env: P}}", r"dex\.username_env"),
        ("kfp: {port_forward: {port: 0}}", r"port_forward\.port=0"),
        ("- a", "holds no settings"),
        ("a: [", "cannot be read"),
    ],
)
def test_a_wrong_profile_is_refused_by_name(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        compile_profile = _profile(content, tmp_path)
        apply_profile(_text(plain, tmp_path / "plain.yaml"), compile_profile)
    assert "hunter2" not in str(caught.value)


def test_all_that_is_wrong_is_listed_at_once(tmp_path: Path) -> None:
    wrong = (
        "defaults: {memory: much, cpus: 1}\nsecrets: [{env: A}]\ntrain_job: {nodes: 0}\ntune: {engin: local}\nfoo: 1\n"
    )
    with pytest.raises(ConfigError) as caught:
        _profile(wrong, tmp_path)
    places = ("p.defaults.memory", "p.defaults.cpus", "p.secrets.0.secret", "p.secrets.0.key")
    places += ("p.train_job.nodes", "p.tune.engin", "p.foo")
    assert [place for place in places if f"  - {place}" not in str(caught.value)] == []


def test_cores_may_be_numbers_and_sections_may_be_empty(tmp_path: Path) -> None:
    profile = _profile("defaults: {cpu: 2}\nsteps:\n  work: {cpu_request: 0.5}\n  other:\nsecrets:\n", tmp_path)
    assert (profile.defaults.cpu, profile.steps["work"].cpu_request) == ("2", "0.5")
    assert profile.secrets == ()


def test_a_profile_made_in_python_is_checked_when_it_is_used() -> None:
    with pytest.raises(ConfigError, match=r"train_job\.nodes=0"):
        compile_everything(Profile(train_job={"nodes": 0}))


def test_a_step_that_is_nowhere_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"'pull-dta', which is nowhere\. Did you mean 'pull-data'"):
        compile_everything(Profile(volumes=(Volume(claim="c", path="/c", steps=("pull-dta", "x")),)))


def test_files_that_launched_pods_cannot_be_given_are_refused(pipelines, tmp_path: Path) -> None:
    profile = _profile("secret_files: [{secret: ca, path: /ca}]\ntrain_job: {nodes: 2}\n", tmp_path)
    with pytest.raises(
        ConfigError, match="ca goes to train-model, and the pods that it launches cannot be given files"
    ):
        compile_everything(profile)


def test_a_job_keeps_what_its_own_section_says(pipelines, tmp_path: Path) -> None:
    profile = _profile(
        """
        defaults: {memory: 2Gi, cpu: "1", labels: {team: a}, node_selector: {pool: cpu}}
        variables: [{env: A, value: plain}, {env: B, value: plain}]
        secrets: [{env: C, secret: s, key: c}]
        volumes: [{claim: theirs, path: /data}, {claim: more, path: /more}]
        train_job:
          memory: 64Gi
          labels: {queue: q}
          node_selector: {pool: gpu}
          env: {C: mine}
          secret_env: {A: mine/a}
          claims: [{claim: mine, path: /data}]
        """,
        tmp_path,
    )
    training = apply_profile(pipelines["training"], profile)
    task = dict(_tasks(next(yaml.safe_load_all(training))))["train-model"]
    given = task["inputs"]["parameters"]["cluster"]["runtimeValue"]["constant"]
    assert (given["memory"], given["cpu"]) == ("64Gi", "1")
    assert given["labels"] == {"team": "a", "queue": "q"}
    assert given["node_selector"] == {"pool": "gpu"}
    assert (given["env"], given["secret_env"]) == ({"B": "plain", "C": "mine"}, {"A": "mine/a"})
    assert [claim["claim"] for claim in given["claims"]] == ["mine", "more"]


def test_a_lock_names_images_by_digest_in_steps_and_trials(pipelines, tmp_path: Path) -> None:
    digest = f"sha256:{'a' * 64}"
    plain_text = pipelines["tuning"]
    named = read_specification(plain_text, source="t").images
    images = {image.rpartition("/ropewalk-")[2].partition(":")[0]: image for image in named}
    lock = {"images": {family: {"image": image, "digest": digest} for family, image in images.items()}}
    (tmp_path / "images.lock").write_text(yaml.safe_dump(lock))
    profile = _profile("images: {lock: images.lock, registry: r.example.org/ml}\n", tmp_path)
    tuning = apply_profile(plain_text, profile)
    wanted = [f"r.example.org/ml/ropewalk-{family}@{digest}" for family in sorted(images)]
    assert read_specification(tuning, source="t").images == wanted
    task = dict(_tasks(next(yaml.safe_load_all(tuning))))["tune-model"]
    assert task["inputs"]["parameters"]["cluster"]["runtimeValue"]["constant"]["pods"]["image"] in wanted
    assert [finding.rule for finding in lint_text(tuning, source="t", config=LintConfig(release=True))] == [
        "limit-memory",
        "limit-cpu",
    ]
    lock["images"].pop(next(iter(images)))
    (tmp_path / "images.lock").write_text(yaml.safe_dump(lock))
    with pytest.raises(ConfigError, match=r"(has no digest of the image|names no images)"):
        apply_profile(plain_text, profile)


DIGEST = f"sha256:{'b' * 64}"


@pytest.mark.parametrize(
    ("image", "settings", "expected"),
    [
        ("ghcr.io/ropewalk/ropewalk-a:1", {}, "ghcr.io/ropewalk/ropewalk-a:1"),
        ("ghcr.io/ropewalk/ropewalk-a:1", {"registry": "r.org:5000/ml"}, "r.org:5000/ml/ropewalk-a:1"),
        ("ghcr.io/ropewalk/ropewalk-a:1", {"tag": "2"}, "ghcr.io/ropewalk/ropewalk-a:2"),
        ("ghcr.io/ropewalk/ropewalk-a:1", {"lock": "l"}, f"localhost:5000/x/ropewalk-a@{DIGEST}"),
        ("ghcr.io/ropewalk/ropewalk-a:1", {"lock": "l", "registry": "r.org"}, f"r.org/ropewalk-a@{DIGEST}"),
        ("python:3.11", {"registry": "r.org", "tag": "2"}, "python:3.11"),
        ("example.org/not-ropewalk-a:1", {"registry": "r.org"}, "example.org/not-ropewalk-a:1"),
    ],
)
def test_an_image_of_ours_is_placed_and_any_other_left_alone(image, settings, expected) -> None:
    digests = {"a": f"localhost:5000/x/ropewalk-a:1@{DIGEST}"} if "lock" in settings else {}
    assert placed(image, ImagesConfig(**settings), digests) == expected


def test_a_secret_reaches_the_step_that_is_named_and_no_other(pipelines) -> None:
    profile = Profile(secrets=(SecretVariable(env="T", secret="git", key="token", steps=("pull-data",)),))
    _, platform = yaml.safe_load_all(apply_profile(pipelines["training"], profile))
    executors = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert list(executors) == ["exec-pull-data"]
