"""A pipeline is published once: after a failure at any step, and by ten callers at once."""

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kfp_server.server import serve
from ropewalk.cluster.patience import Patience
from ropewalk.errors import ClusterError, ConfigError, ServiceError
from ropewalk.launch.client.publish import publish
from ropewalk.launch.client.version_name import VersionName, name_version
from ropewalk.launch.request import Request, open_request

PATIENT = Patience(first_retry=0.02, unreachable=60.0)
VERSION = VersionName(name="1.0.0-abc", commit="a" * 40, source="https://example.org/team/repo")


@pytest.fixture
def request_(compiled: Path) -> Request:
    return open_request(str(compiled))


def _changed(request: Request) -> Request:
    text = request.text.replace("defaultValue: sample:breast_cancer", "defaultValue: sample:wine")
    assert text != request.text
    return Request(text=text, specification=request.specification)


def test_the_bytes_are_uploaded_as_they_are(api, server, request_):
    done = publish(server, request_, VERSION)
    assert (done.created, done.pipeline, done.version) == (True, "training", "1.0.0-abc")
    assert done.url == f"{api.url}/#/pipelines/details/{done.pipeline_id}/version/{done.version_id}"
    assert api.state.uploads == {done.version_id: request_.text.encode()}
    version = api.state.versions[done.version_id]
    assert (version["description"], version["code_source_url"]) == (
        f"Commit {'a' * 40}",
        "https://example.org/team/repo",
    )
    assert api.state.pipelines[done.pipeline_id]["description"] == request_.specification.description


def test_the_same_bytes_are_not_uploaded_again_whatever_their_name(api, server, request_):
    first = publish(server, request_, VERSION)
    again = publish(server, request_, VERSION)
    other_name = publish(server, request_, VersionName(name="1.0.0-def"))
    assert (again.version_id, again.created) == (other_name.version_id, False) == (first.version_id, False)
    assert api.count("POST", "upload_version") == 1


def test_a_change_is_a_new_version_and_going_back_another(api, server, request_):
    publish(server, request_, VERSION)
    publish(server, _changed(request_), VersionName(name="1.0.0-def"))
    for version in api.state.versions.values():
        version["created_at"] = f"2026-01-01T00:00:0{version['name'] == '1.0.0-def':d}Z"
    back = publish(server, request_, VersionName(name="1.0.0-ghi"))
    assert back.created, "the newest version is what runs by default: it must have these bytes"


def test_a_name_never_means_two_contents(api, server, request_):
    publish(server, request_, VERSION)
    with pytest.raises(ConfigError, match=r"has a version '1\.0\.0-abc' .* with other content: http.*--version NAME"):
        publish(server, _changed(request_), VERSION)
    assert len(api.state.versions) == 1


def test_what_is_said_of_the_platform_is_content_too(api, server, request_):
    platform = "\n---\nplatforms:\n  kubernetes:\n    deploymentSpec:\n      executors: {}\n"
    with_platform = Request(text=request_.text.rstrip() + platform, specification=request_.specification)
    publish(server, with_platform, VERSION)
    assert not publish(server, with_platform, VERSION).created
    with pytest.raises(ConfigError, match="with other content"):
        publish(server, request_, VERSION)


STEPS = [
    ("GET", "/pipelines/names/"),
    ("POST", "/pipelines$"),
    ("GET", "/versions"),
    ("POST", "/pipelines/upload_version"),
]


@pytest.mark.parametrize("method, path", STEPS)
@pytest.mark.parametrize(
    "fault",
    [{"status": 503}, {"status": 500}, {"reset": True}, {"reset": True, "after": True}, {"status": 504, "after": True}],
)
def test_a_fault_at_each_step_is_got_over_with_one_version(api, server, request_, method, path, fault):
    api.faults.add(method=method, path=path, **fault)
    done = publish(server, request_, VERSION)
    assert list(api.state.versions) == [done.version_id]
    assert len(api.state.pipelines) == 1


@pytest.mark.parametrize("method, path", STEPS)
def test_killed_at_each_step_it_goes_on_the_next_time(api, server, request_, method, path):
    api.faults.add(method=method, path=path, status=403)
    with pytest.raises(ClusterError, match="403"):
        publish(server, request_, VERSION)
    done = publish(server, request_, VERSION)
    assert done.created
    assert list(api.state.versions) == [done.version_id]
    assert len(api.state.pipelines) == 1


@pytest.mark.parametrize("faults", [[], [{"reset": True, "after": True}, {"status": 503}, {"status": 500}]])
def test_ten_at_once_make_one_version(api, connect, request_, faults):
    for fault in faults:
        for method, path in STEPS:
            api.faults.add(method=method, path=path, times=2, **fault)
    servers = [connect(patience=PATIENT) for _ in range(10)]
    with ThreadPoolExecutor(10) as pool:
        done = list(pool.map(lambda server: publish(server, request_, VERSION), servers))
    assert len(api.state.versions) == 1
    assert {one.version_id for one in done} == set(api.state.versions)
    assert sum(one.created for one in done) <= 1


def test_each_namespace_has_its_own_pipeline(connect, request_, monkeypatch):
    monkeypatch.setenv("ROPEWALK_KFP_TOKEN", "t")
    with serve(multi_user=True) as api:
        api.gate.tokens = {"t": "ann"}
        api.state.members = {"ann": {"team-a", "team-b"}}
        a, b = (publish(connect(host=api.url, namespace=name), request_, VERSION) for name in ("team-a", "team-b"))
        assert a.pipeline_id != b.pipeline_id
        with pytest.raises(ClusterError, match="in namespace team-c"):
            publish(connect(host=api.url, namespace="team-c"), request_, VERSION)


def _git(folder: Path, *arguments: str) -> None:
    author = ("-c", "user.name=Test", "-c", "user.email=test@example.invalid")
    subprocess.run(["git", "-C", folder, *author, *arguments], check=True, capture_output=True)


@pytest.fixture
def repository(compiled: Path) -> Path:
    folder = compiled.parents[1]
    (folder / "pipeline.py").write_text("a = 1\n")
    (folder / ".gitignore").write_text("build/\n")
    _git(folder, "init", "--quiet")
    _git(folder, "remote", "add", "origin", "https://ann:s3cret@example.org/team/repo.git")
    _git(folder, "add", "pipeline.py", ".gitignore")
    _git(folder, "commit", "--quiet", "-m", "Start")
    return folder


def _name(
    folder: Path, text: str = "x", *, images: list[str] | None = None, release: str = "1.2.0", dirty: bool = False
):
    return name_version(text, folder / "build", images=images or [], release=release, allow_dirty=dirty)


def test_a_version_is_named_for_its_release_and_commit(repository):
    commit = subprocess.run(["git", "-C", repository, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    named = _name(repository)
    assert named.name == f"1.2.0-{commit.stdout[:12]}"
    assert named.source == "https://example.org/team/repo.git"


def test_a_version_is_not_named_for_a_commit_that_it_does_not_come_from(repository):
    (repository / "pipeline.py").write_text("a = 2\n")
    with pytest.raises(ConfigError, match=r"files have changed since: pipeline\.py\. Commit them .*--allow-dirty"):
        _name(repository)
    one, two = (_name(repository, text, dirty=True).name for text in ("x", "y"))
    assert "-dirty-" in one
    assert one != two


def test_outside_of_git_the_content_is_the_name(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    (tmp_path / "build").mkdir()
    assert _name(tmp_path, "x").name != _name(tmp_path, "y").name
    assert _name(tmp_path, "x").commit == ""


def test_yaml_of_another_ropewalk_is_not_named_for_this_one(tmp_path):
    (tmp_path / "build").mkdir()
    images = ["registry.example.org/ml/ropewalk-steps:9.9.0"]
    with pytest.raises(ConfigError, match=r"compiled by Ropewalk 9\.9\.0, .* --release 9\.9\.0"):
        _name(tmp_path, images=images, release="")
    assert _name(tmp_path, images=images, release="9.9.0").name.startswith("9.9.0-")


def test_the_command_publishes_and_says_where(api, ropewalk, compiled):
    code, out, err = ropewalk("publish", compiled, "--host", api.url, "--version", "1.0.0", "--json")
    assert (code, err) == (0, "")
    first = json.loads(out)
    assert first["created"]
    code, out, _ = ropewalk("publish", compiled, "--host", api.url, "--version", "1.0.0")
    assert (code, out) == (0, f"There already: training version 1.0.0\n{first['url']}\n")


@pytest.mark.parametrize("name", ["Version 1", "a/b", "x" * 64])
def test_a_name_that_not_every_server_takes_is_refused(api, ropewalk, compiled, name):
    code, _, err = ropewalk("publish", compiled, "--host", api.url, "--version", name)
    assert code == 2
    assert "cannot name a version" in err
    assert not api.calls


def test_what_is_no_pipeline_is_refused_before_anything_is_asked(api, ropewalk, tmp_path):
    file = tmp_path / "notes.yaml"
    file.write_text("a: 1\n")
    code, _, err = ropewalk("publish", file, "--host", api.url)
    assert code == 2
    assert "is not a compiled KFP pipeline" in err
    assert not api.calls


def test_a_server_that_stays_away_is_an_error(api, server, request_):
    assert server.get("/healthz")
    api.faults.add(status=503, times=10_000)
    with pytest.raises(ServiceError, match="has not answered"):
        publish(server, request_, VERSION)
