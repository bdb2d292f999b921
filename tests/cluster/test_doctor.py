"""The doctor asks a cluster, names what is missing with the way to mend it, and hangs on nothing."""

import http.server
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from kube_api import NAMESPACE, KubeApi
from quick import QUICK
from serving import served

from kfp_server.server import serve
from ropewalk.commands.checks import doctor
from ropewalk.launch.connection_config import ConnectionConfig
from ropewalk.launch.doctor import registry, services
from ropewalk.launch.doctor.doctor import examine
from ropewalk.launch.doctor.result import FAILED, OK, SKIPPED, UNKNOWN, Result
from ropewalk.launch.doctor.run import run_checks
from ropewalk.launch.profiles import Profile, read_profile
from ropewalk.launch.profiles.config import MlflowConfig

HERE = f"/api/v1/namespaces/{NAMESPACE}"
STEPS = ["pull-data", "train-model", "tune-model"]
PROFILE = """
defaults: {security: {run_as_non_root: true, run_as_user: 1000}}
steps: {train-model: {gpus: 1, memory: 4Gi, shared_memory: 1Gi, node_selector: {pool: gpu},
        tolerations: [{key: gpu, operator: Exists, effect: NoSchedule}]}}
images: {pull_secrets: [registry]}
secrets: [{env: T, secret: git, key: token, steps: [pull-data]}]
volumes: [{claim: cache, path: /cache, steps: [pull-data]}, {claim: shared, path: /shared, steps: [tune-model]}]
train_job: {nodes: 2, gpus: 4}
tune: {engine: katib, shared_folder: /shared}
"""


class ClusterApi(KubeApi):
    """An API server with whatever objects a test puts there; what it does not have is 404."""

    def __init__(self) -> None:
        super().__init__()
        self.objects: dict[str, dict] = {}
        self.forbidden: set[str] = set()

    def serve_more(self, handler, method: str, path: str) -> bool:
        if path in self.forbidden:
            handler._fail(403, f'User "x" cannot get resource at {path}')
        elif path in self.objects and method == "GET":
            handler._json(200, self.objects[path])
        else:
            return False
        return True


def _node(amount: str = "8", *, labels=None, taint: str = "gpu") -> dict:
    return {
        "metadata": {"labels": labels or {"pool": "gpu"}},
        "spec": {"taints": [{"key": taint, "effect": "NoSchedule"}]},
        "status": {"allocatable": {"nvidia.com/gpu": amount}},
    }


def _claim(*modes: str, phase: str = "Bound", storage_class: str = "nfs") -> dict:
    spec = {"accessModes": list(modes), "storageClassName": storage_class}
    return {"spec": spec, "status": {"phase": phase}}


def _deployment(image: str) -> dict:
    return {"spec": {"template": {"spec": {"containers": [{"image": image}]}}}}


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ClusterApi]:
    """A cluster that has all that PROFILE needs."""
    with served(ClusterApi(), tmp_path, monkeypatch) as server:
        trainer = "/apis/trainer.kubeflow.org/v1alpha1"
        server.objects = {
            "/version": {"gitVersion": "v1.33.1"},
            HERE: {
                "metadata": {
                    "labels": {
                        "katib.kubeflow.org/metrics-collector-injection": "enabled",
                        "pod-security.kubernetes.io/enforce": "restricted",
                    }
                }
            },
            f"{HERE}/secrets/git": {"data": {"token": "aHVudGVyMg=="}},
            f"{HERE}/secrets/registry": {"data": {".dockerconfigjson": "aHVudGVyMg=="}},
            f"{HERE}/persistentvolumeclaims/cache": _claim("ReadWriteOnce"),
            f"{HERE}/persistentvolumeclaims/shared": _claim("ReadWriteMany"),
            "/api/v1/nodes": {"items": [_node()]},
            "/apis/kubeflow.org/v1beta1": {"resources": [{"name": "experiments"}]},
            trainer: {"resources": [{"name": "trainjobs"}]},
            f"{trainer}/clustertrainingruntimes/torch-distributed": {},
            "/apis/apps/v1/namespaces/kubeflow/deployments/katib-controller": _deployment("ghcr.io/k/katib:v0.19.0"),
            "/apis/apps/v1/namespaces/kubeflow-system/deployments/kubeflow-trainer-controller-manager": _deployment(
                "ghcr.io/k/trainer:v2.2.0"
            ),
        }
        yield server


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    text = PROFILE.replace(
        "gpus: 4}", "gpus: 4, node_selector: {pool: gpu}, tolerations: [{key: gpu, operator: Exists}]}"
    )
    (tmp_path / "profile.yaml").write_text(text)
    return read_profile(tmp_path / "profile.yaml")


def _examine(profile: Profile, **settings) -> dict[str, Result]:
    found = examine(profile, steps=STEPS, images=[], patience=QUICK, **settings)
    assert all(result.found and (result.fix or result.state in (OK, SKIPPED)) for result in found)
    assert "hunter2" not in str(found)
    assert "aHVudGVyMg" not in str(found)
    return {result.check: result for result in found}


def test_a_cluster_that_has_everything_is_well(api, profile) -> None:
    found = _examine(profile)
    assert {check: result.state for check, result in found.items()} == {
        "Kubernetes": OK,
        f"namespace {NAMESPACE}": OK,
        f"metrics of trials in {NAMESPACE}": OK,
        f"pod security in {NAMESPACE}": OK,
        "permissions for training": OK,
        "permissions for tuning": OK,
        "secret git": OK,
        "secret registry": OK,
        "claim cache": OK,
        "claim shared": OK,
        "GPUs of train-model": OK,
        "GPUs of TrainJob": OK,
        "Katib": OK,
        "Kubeflow Trainer": OK,
        "training runtime torch-distributed": OK,
        "Kubeflow Pipelines": SKIPPED,
        "MLflow": SKIPPED,
        "DVC remote": SKIPPED,
    }
    assert found["Kubernetes"].found.startswith("v1.33.1 at http://127.0.0.1:")
    assert "v0.19.0" in found["Katib"].found
    assert "v2.2.0" in found["Kubeflow Trainer"].found


GONE = [
    (HERE, f"namespace {NAMESPACE}", "not there", "kubectl create namespace"),
    (f"{HERE}/secrets/git", "secret git", "not there", "--from-file=token=FILE"),
    (f"{HERE}/persistentvolumeclaims/cache", "claim cache", "not there", "`volumes`"),
    ("/apis/kubeflow.org/v1beta1", "Katib", "not installed", "engine: local"),
    ("/apis/trainer.kubeflow.org/v1alpha1", "Kubeflow Trainer", "not installed", "2.2 or newer"),
    (
        "/apis/trainer.kubeflow.org/v1alpha1/clustertrainingruntimes/torch-distributed",
        "training runtime torch-distributed",
        "no ClusterTrainingRuntime",
        "kubectl get clustertrainingruntimes",
    ),
]


@pytest.mark.parametrize(("path", "check", "told", "fix"), GONE, ids=[case[1] for case in GONE])
def test_what_is_not_there_is_named_with_the_way_to_mend_it(path, check, told, fix, api, profile) -> None:
    del api.objects[path]
    found = _examine(profile)
    assert found[check].state == FAILED
    assert told in found[check].found
    assert fix in found[check].fix
    assert {result.check for result in found.values() if result.state == FAILED} == {check}


@pytest.mark.parametrize(
    ("path", "check"),
    [
        (HERE, f"namespace {NAMESPACE}"),
        (f"{HERE}/secrets/git", "secret git"),
        (f"{HERE}/persistentvolumeclaims/cache", "claim cache"),
        ("/api/v1/nodes", "GPUs of TrainJob"),
    ],
)
def test_what_we_may_not_see_is_not_called_missing(path, check, api, profile) -> None:
    api.forbidden.add(path)
    found = _examine(profile)
    assert found[check].state == UNKNOWN
    assert "kubectl" in found[check].fix
    assert [result for result in found.values() if result.state == FAILED] == []


@pytest.mark.parametrize(
    ("path", "content", "check", "told"),
    [
        (f"{HERE}/secrets/git", {"data": {"tokn": ""}}, "secret git", "lacks the key token; it has tokn"),
        (HERE, {"metadata": {}}, f"metrics of trials in {NAMESPACE}", "lacks the label"),
        ("/api/v1/nodes", {"items": [_node("2")]}, "GPUs of TrainJob", "No node has 4 nvidia.com/gpu; the most is 2"),
        (
            "/api/v1/nodes",
            {"items": [_node(labels={"pool": "x"})]},
            "GPUs of TrainJob",
            "none of them the label pool=gpu",
        ),
        ("/api/v1/nodes", {"items": [_node(taint="spot")]}, "GPUs of TrainJob", "taint that is not tolerated: spot"),
        (
            f"{HERE}/persistentvolumeclaims/shared",
            _claim("ReadWriteOnce"),
            "claim shared",
            "Katib trials mount it on several nodes, and it is ReadWriteOnce",
        ),
        (
            f"{HERE}/persistentvolumeclaims/cache",
            _claim("ReadWriteOnce", phase="Pending"),
            "claim cache",
            "there is no storage class 'nfs'",
        ),
        (f"{HERE}/persistentvolumeclaims/cache", _claim("ReadWriteOnce", phase="Lost"), "claim cache", "Lost"),
    ],
)
def test_what_is_there_and_wrong_is_named(path, content, check, told, api, profile) -> None:
    api.objects[path] = content
    results = [result for result in examine(profile, steps=STEPS, images=[], patience=QUICK) if result.check == check]
    assert results[-1].state == FAILED
    assert told in results[-1].found


def test_a_claim_that_waits_for_its_first_pod_is_well(api, profile) -> None:
    api.objects[f"{HERE}/persistentvolumeclaims/cache"] = _claim(
        "ReadWriteOnce", phase="Pending", storage_class="local"
    )
    api.objects["/apis/storage.k8s.io/v1/storageclasses/local"] = {"volumeBindingMode": "WaitForFirstConsumer"}
    assert _examine(profile)["claim cache"].state == OK


def test_a_missing_permission_is_named_with_the_command_that_grants_it(api, profile) -> None:
    api.denied.add(("trainjobs", "create"))
    found = _examine(profile)["permissions for training"]
    assert found.state == FAILED
    assert "create on trainjobs" in found.found
    assert f"--role training --namespace {NAMESPACE}" in found.fix


def test_a_namespace_that_refuses_root_is_held_against_the_profile(api) -> None:
    found = _examine(Profile(tune={"engine": "local"}))
    assert found[f"pod security in {NAMESPACE}"].state == FAILED
    assert found["Katib"].state == SKIPPED


def test_katib_that_is_not_needed_may_be_missing(api) -> None:
    del api.objects["/apis/kubeflow.org/v1beta1"]
    assert "own pod" in _examine(Profile())["Katib"].found
    assert _examine(Profile())["Katib"].state == OK


def test_an_expired_token_fails_every_check_of_the_cluster_in_short(api, profile) -> None:
    api.token_expired = True
    found = _examine(profile)
    assert found["Kubernetes"].state == FAILED
    assert "does not know us" in found["Kubernetes"].found


def test_no_kubeconfig_is_one_failure_and_the_rest_is_looked_at(profile, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    found = _examine(profile)
    assert [check for check, result in found.items() if result.state == FAILED] == ["Kubernetes"]
    assert "KUBECONFIG" in found["Kubernetes"].fix
    assert "MLflow" in found


def test_a_server_that_hangs_holds_up_nobody(api, profile, monkeypatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = f"http://127.0.0.1:{silent.getsockname()[1]}"
        began = time.monotonic()
        checks = {
            "pipelines": lambda: services.check_pipelines(ConnectionConfig(host=host), patience=QUICK),
            "other": lambda: [Result(check="other", state=OK, found="It is there.")],
        }
        said: list[Result] = []
        found = run_checks(checks, seconds=1.0, say=said.append)
        assert time.monotonic() - began < 3
    assert [(result.check, result.state) for result in found] == [("pipelines", FAILED), ("other", OK)]
    assert found == said
    assert "No answer in 1 s" in found[0].found


@pytest.fixture
def web() -> Iterator[tuple[str, dict]]:
    """A server on this machine; what it answers is (status, headers, body) by path."""
    answers: dict[str, tuple[int, dict, str]] = {}
    asked: list[tuple[str, str]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            asked.append((self.path, self.headers.get("Authorization", "")))
            key = f"{path} {self.headers['Authorization']}" if self.headers.get("Authorization") else path
            status, headers, body = answers.get(key, (404, {}, ""))
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body.encode())

        do_HEAD = do_GET

        def log_message(self, *_) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", answers
    server.shutdown()
    server.server_close()


def _pipelines(**config) -> Result:
    (found,) = services.check_pipelines(ConnectionConfig(**config), patience=QUICK)
    return found


def test_kubeflow_pipelines_lets_us_in_as_the_profile_says(monkeypatch) -> None:
    with serve(multi_user=True) as kfp:
        kfp.gate.tokens = {"right": "ann"}
        kfp.state.members = {"ann": {"team-a"}}
        monkeypatch.setenv("MY_TOKEN", "right")
        found = _pipelines(host=kfp.url, namespace="team-a", token_env="MY_TOKEN")
        assert (found.state, found.found) == (OK, f"{kfp.url} is healthy, and lets you in.")
        assert "no namespace is named" in _pipelines(host=kfp.url, token_env="MY_TOKEN").found
        assert "in namespace team-b (403)" in _pipelines(host=kfp.url, namespace="team-b", token_env="MY_TOKEN").found
        monkeypatch.setenv("MY_TOKEN", "of-yesterday")
        refused = _pipelines(host=kfp.url, namespace="team-a", token_env="MY_TOKEN")
    assert refused.state == FAILED
    assert "MY_TOKEN" in refused.found
    assert "of-yesterday" not in refused.found


@pytest.mark.parametrize(
    ("status", "body"), [(200, "<html>Welcome</html>"), (302, ""), (404, ""), (500, "no database")]
)
def test_what_is_not_kubeflow_pipelines_is_a_failure(status, body, web) -> None:
    host, answers = web
    answers["/pipeline/apis/v2beta1/healthz"] = (status, {}, body)
    found = _pipelines(host=f"{host}/pipeline")
    assert found.state == FAILED
    assert host in found.found


def test_a_port_where_nobody_listens_is_a_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    found = _pipelines(host=f"http://127.0.0.1:{port}")
    assert found.state == FAILED
    assert "cannot be reached" in found.found


def test_mlflow_inside_the_cluster_cannot_be_told_from_here(web, monkeypatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    host, answers = web
    answers["/health"] = (200, {}, "OK")

    def told(uri: str) -> str:
        (found,) = services.check_mlflow(Profile(mlflow=MlflowConfig(tracking_uri=uri)))
        return found.state

    assert told(host) == OK
    answers["/health"] = (500, {}, "")
    assert told(host) == FAILED
    assert told("http://mlflow.mlflow.svc:5000") == UNKNOWN


def test_an_image_is_looked_for_with_the_token_that_the_registry_gives_to_everybody(web) -> None:
    host, answers = web
    manifest = "/v2/ml/ropewalk-steps/manifests/1"
    answers[manifest] = (401, {"WWW-Authenticate": f'Bearer realm="{host}/token",service="r",scope="s"'}, "")
    image = f"{host.removeprefix('http://')}/ml/ropewalk-steps:1"
    assert [found.state for found in registry.check_images([image])] == [UNKNOWN]
    answers["/token"] = (200, {}, json.dumps({"token": "abc"}))
    assert [found.state for found in registry.check_images([image])] == [FAILED]
    answers[f"{manifest} Bearer abc"] = (200, {}, "")
    assert [found.state for found in registry.check_images([image, image])] == [OK]


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("ghcr.io/a/b:1", ("ghcr.io", "a/b", "1")),
        ("localhost:5000/b", ("localhost:5000", "b", "latest")),
        ("python:3.11", ("registry-1.docker.io", "library/python", "3.11")),
        ("a/b", ("registry-1.docker.io", "a/b", "latest")),
        ("r.org:5000/a/b:1@sha256:ab", ("r.org:5000", "a/b", "sha256:ab")),
    ],
)
def test_an_images_name_is_taken_apart_as_engines_do(image, expected) -> None:
    assert registry.parse_reference(image) == expected


def test_the_command_prints_a_line_each_and_its_exit_code_tells(api, profile, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("ropewalk.launch.doctor.doctor.check_images", lambda images: [])
    arguments = ["--profile", str(tmp_path / "profile.yaml")]
    well = CliRunner().invoke(doctor, arguments)
    assert well.exit_code == 0, well.output
    assert "ok      secret git: It has token.\n" in well.output
    del api.objects[f"{HERE}/secrets/git"]
    ill = CliRunner().invoke(doctor, [*arguments, "--json"])
    assert ill.exit_code == 1
    (secret,) = [entry for entry in json.loads(ill.output) if entry["check"] == "secret git"]
    assert secret["state"] == "failed"
