"""Each rule finds what KFP's own compiler lets through, says where it is and what to do, and is silent otherwise."""

from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from kfp import compiler, dsl, kubernetes

from ropewalk.launch.lint.lint import NAMES, lint_text
from ropewalk.launch.lint.rule import LintConfig

ROOT = Path(__file__).parents[4]
IMAGE = "example.org/steps:1"


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def work(text: str = "", value: int = 0) -> int:
    return 1


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def numbers() -> list:
    return [1]


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def named_numbers() -> NamedTuple("Outputs", [("items", list)]):
    return ([1],)


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def write(made: dsl.Output[dsl.Dataset]):
    Path(made.path).write_text("1")


@dsl.component(base_image="example.org/steps", packages_to_install=["pandas"])
def installs():
    pass


@dsl.component(base_image="example.org/steps:latest", install_kfp_package=False)
def latest():
    pass


def _bounded(task):
    return task.set_memory_limit("4Gi").set_cpu_limit("1")


def _text(build, tmp_path: Path, **settings) -> str:
    @dsl.pipeline(name="p", **settings)
    def made():
        build()

    file = tmp_path / "p.yaml"
    compiler.Compiler().compile(made, str(file))
    return file.read_text()


def _rules(text: str, **config) -> dict[str, list[str]]:
    """Return the levels of the findings of each rule."""
    found: dict[str, list[str]] = {}
    for finding in lint_text(text, source="p.yaml", config=LintConfig(**config)):
        assert finding.message.strip() and finding.fix.strip()
        found.setdefault(finding.rule, []).append(finding.level)
    return found


def gpu_without_shm():
    _bounded(work()).set_accelerator_type("nvidia.com/gpu").set_accelerator_limit(1)


def gpu_with_shm():
    task = _bounded(work()).set_accelerator_type("nvidia.com/gpu").set_accelerator_limit(1)
    kubernetes.empty_dir_mount(task, "shm", "/dev/shm", medium="Memory", size_limit="1Gi")


def gpu_of_no_kind():
    task = _bounded(work()).set_accelerator_limit(1)
    kubernetes.empty_dir_mount(task, "shm", "/dev/shm", medium="Memory", size_limit="1Gi")


def shm_fills_memory():
    kubernetes.empty_dir_mount(_bounded(work()), "shm", "/dev/shm", medium="Memory", size_limit="4Gi")


def no_limits():
    work()


def inside_text():
    _bounded(work(text=f"run-{dsl.PIPELINE_JOB_ID_PLACEHOLDER}"))


def whole_text():
    _bounded(work(text=dsl.PIPELINE_JOB_ID_PLACEHOLDER))


def unknown_placeholder():
    _bounded(work(text="{{$.pipeline_job_uid}}"))


def argo_placeholder():
    _bounded(work(text="{{workflow.uid}}"))


def placeholder_in_env():
    _bounded(work()).set_env_variable("RUN", dsl.PIPELINE_JOB_ID_PLACEHOLDER)


def output_inside_text():
    _bounded(work(text=f"made {_bounded(work()).output}"))


def long_constant():
    _bounded(work(text="x" * 130_000))


def loop_over_outer_value():
    outer = _bounded(work())
    with dsl.ParallelFor(items=[1, 2]) as item:
        _bounded(work(value=outer.output, text=str(item)))


def loop_over_output():
    with dsl.ParallelFor(items=_bounded(numbers()).output) as item:
        _bounded(work(value=item))


def loop_over_named_output():
    with dsl.ParallelFor(items=_bounded(named_numbers()).outputs["items"]) as item:
        _bounded(work(value=item))


def secret_variable():
    _bounded(work()).set_env_variable("DB_PASSWORD", "hunter2")


def secret_value():
    _bounded(work(text="https://me:hunter2@example.org/x.git"))


def harmless_names():
    _bounded(work(text="https://example.org/x.git")).set_env_variable("TOKENIZERS_PARALLELISM", "false")


def python3():
    _bounded(work(text="python3 -m x"))


def job_time():
    _bounded(work(text=dsl.PIPELINE_JOB_CREATE_TIME_UTC_PLACEHOLDER))


def pip_at_start():
    _bounded(installs())


def tag_latest():
    _bounded(latest())


def cache_key():
    _bounded(work()).set_caching_options(True, cache_key="k")


def security():
    kubernetes.set_security_context(_bounded(work()), run_as_user=1000)


CASES = [
    (gpu_without_shm, {"gpu-shm": ["warning"]}),
    (gpu_with_shm, {}),
    (gpu_of_no_kind, {"gpu-incomplete": ["error"]}),
    (shm_fills_memory, {"shm-memory": ["error"]}),
    (no_limits, {"limit-memory": ["warning"], "limit-cpu": ["note"]}),
    (inside_text, {"placeholder-inside-text": ["error"]}),
    (whole_text, {}),
    (unknown_placeholder, {"placeholder-unknown": ["error"]}),
    (argo_placeholder, {"placeholder-argo": ["error"]}),
    (placeholder_in_env, {"placeholder-in-env": ["error"]}),
    (output_inside_text, {}),
    (long_constant, {"argument-size": ["error"]}),
    (loop_over_outer_value, {"loop-outer-value": ["warning"]}),
    (loop_over_output, {}),
    (loop_over_named_output, {"loop-named-output": ["warning"]}),
    (secret_variable, {"secret-variable": ["error"]}),
    (secret_value, {"secret-value": ["error"]}),
    (harmless_names, {}),
    (python3, {"local-python3": ["warning"]}),
    (job_time, {"local-placeholder": ["note"]}),
    (pip_at_start, {"pip-at-start": ["warning"], "image-latest": ["error"]}),
    (tag_latest, {"image-latest": ["error"]}),
    (cache_key, {"not-carried": ["warning"]}),
    (security, {}),
]


@pytest.mark.parametrize(("build", "expected"), CASES, ids=[build.__name__ for build, _ in CASES])
def test_a_rule_finds_this_and_no_other_does(build, expected, tmp_path: Path) -> None:
    assert _rules(_text(build, tmp_path)) == expected


def test_an_artifact_out_of_one_branch_or_another_is_an_error(tmp_path: Path) -> None:
    @dsl.pipeline(name="p")
    def made(flag: str = "a") -> dsl.Dataset:
        with dsl.If(flag == "a"):
            one = _bounded(write())
        with dsl.Else():
            other = _bounded(write())
        return dsl.OneOf(one.outputs["made"], other.outputs["made"])

    compiler.Compiler().compile(made, str(tmp_path / "p.yaml"))
    assert set(_rules((tmp_path / "p.yaml").read_text())) == {"oneof-artifact"}


def test_a_secret_as_parameter_is_a_warning_and_with_a_default_an_error(tmp_path: Path) -> None:
    @dsl.pipeline(name="p")
    def made(api_token: str, db_password: str = "hunter2", secret_name: str = "git"):
        _bounded(work(text=api_token))

    compiler.Compiler().compile(made, str(tmp_path / "p.yaml"))
    text = (tmp_path / "p.yaml").read_text()
    findings = lint_text(text, source="p.yaml")
    assert [(finding.rule, finding.level) for finding in findings] == [
        ("secret-parameter", "error"),
        ("secret-parameter", "warning"),
    ]
    assert "hunter2" not in str(findings)
    assert [text.splitlines()[finding.line - 1].strip() for finding in findings] == ["db_password:", "api_token:"]


def test_a_release_needs_digests_and_no_pip(tmp_path: Path) -> None:
    assert _rules(_text(whole_text, tmp_path), release=True) == {"image-digest": ["error"]}
    assert _rules(_text(pip_at_start, tmp_path), release=True)["pip-at-start"] == ["error"]
    pinned = _text(whole_text, tmp_path).replace(IMAGE, f"{IMAGE}@sha256:{'0' * 64}")
    assert _rules(pinned, release=True) == {}


@pytest.mark.parametrize(
    ("build", "settings", "since"),
    [
        (security, {}, (2, 16)),
        (whole_text, {"pipeline_config": dsl.PipelineConfig(ttl_seconds_after_finished=60)}, (2, 17)),
        (whole_text, {"pipeline_config": dsl.PipelineConfig(workspace=dsl.WorkspaceConfig(size="1Gi"))}, (2, 15)),
    ],
)
def test_what_an_older_server_drops_is_an_error_for_it(build, settings, since, tmp_path: Path) -> None:
    text = _text(build, tmp_path, **settings)
    assert _rules(text, kfp_version=since) == {}
    assert _rules(text, kfp_version=(since[0], since[1] - 1)) == {"needs-kfp": ["error"]}


@pytest.mark.parametrize("name", ["podAffinity", "enabledSharedMemory"])
def test_what_no_server_puts_into_the_pod_is_an_error(name, tmp_path: Path) -> None:
    specification, platform = yaml.safe_load_all(_text(security, tmp_path))
    platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]["exec-work"][name] = [{"topologyKey": "zone"}]
    assert _rules(yaml.safe_dump_all([specification, platform])) == {"not-carried": ["error"]}


def test_a_plan_that_etcd_refuses_is_an_error_and_one_for_annotations_a_warning(tmp_path: Path) -> None:
    text = _text(whole_text, tmp_path)
    for length, expected in ((300_000, "warning"), (1_100_000, "error")):
        specification = yaml.safe_load(text)
        specification["root"]["inputDefinitions"] = {
            "parameters": {f"p{number}": {"defaultValue": "x" * 50_000} for number in range(length // 50_000)}
        }
        for entry in specification["root"]["inputDefinitions"]["parameters"].values():
            entry["parameterType"] = "STRING"
        assert _rules(yaml.safe_dump(specification)) == {"size": [expected]}


def test_every_name_of_a_finding_is_tested_and_documented() -> None:
    documented = (ROOT / "docs" / "lint.md").read_text()
    tested = Path(__file__).read_text()
    assert [name for name in NAMES if f"`{name}`" not in documented or f'"{name}"' not in tested] == []
