"""What the compiled YAML gives each container."""

import pytest
from kfp import compiler, dsl, kubernetes

from ropewalk.errors import ConfigError
from ropewalk.launch.containers.limits import Volume, read_limits


@dsl.component(base_image="example.org/steps:1", install_kfp_package=False)
def work(text: str = "x"):
    print(text)  # noqa: T201


@dsl.container_component
def shell():
    return dsl.ContainerSpec(image="example.org/steps:1", command=["true"])


def limits_of(wire, tmp_path):
    """Return the limits of the steps that `wire` adds to a pipeline."""

    @dsl.pipeline(name="p")
    def pipeline(processors: str = "2"):
        wire(processors)

    compiler.Compiler().compile(pipeline, str(tmp_path / "p.yaml"))
    return read_limits((tmp_path / "p.yaml").read_text(encoding="utf-8"))


def test_limits_folders_claims_and_secrets_are_read(tmp_path):
    def wire(_processors):
        task = work()
        task.set_cpu_limit("1500m").set_memory_limit("512Mi")
        task.set_accelerator_type("nvidia.com/gpu").set_accelerator_limit(2)
        kubernetes.empty_dir_mount(task, "shm", "/dev/shm", medium="Memory", size_limit="8Gi")
        kubernetes.empty_dir_mount(task, "scratch", "/scratch", size_limit="500M")
        kubernetes.mount_pvc(task, "cache", "/cache")
        kubernetes.use_secret_as_env(task, "git", {"token": "TOKEN"})

    found = limits_of(wire, tmp_path)["work"]

    assert (found.image, found.processors, found.memory, found.gpus) == ("example.org/steps:1", 1.5, 512 * 2**20, 2)
    assert found.folders == (
        Volume(path="/dev/shm", in_memory=True, bytes=8 * 2**30),
        Volume(path="/scratch", in_memory=False, bytes=500 * 10**6),
    )
    assert found.claims == {"/cache": "cache"}
    assert found.secrets == {"TOKEN": False}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda task, processors: task.set_cpu_limit(processors), "set by a parameter of the pipeline"),
        (lambda task, _: kubernetes.use_secret_as_volume(task, "s", "/s"), "Secrets mounted as files"),
        (lambda task, _: kubernetes.use_config_map_as_env(task, "c", {"k": "V"}), "ConfigMaps"),
    ],
)
def test_what_only_a_cluster_has_is_refused(spoil, message, tmp_path):
    with pytest.raises(ConfigError, match=f"nothing was started:\n  - work: .*{message}"):
        limits_of(lambda processors: spoil(work(), processors), tmp_path)


def test_a_container_component_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="shell: only Python components run on this machine"):
        limits_of(lambda _: shell(), tmp_path)
