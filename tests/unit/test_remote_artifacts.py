"""Artifacts behind URIs come whole and verified, and are whole where they are stored."""

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest
import s3fs

from ropewalk.artifacts import MODEL, SPLIT, read_artifact, write_artifact
from ropewalk.errors import ArtifactError, ConfigError, ServiceError
from ropewalk.remote_artifacts import download_artifact, fetch_artifact, local_path, remove_artifact, store_artifact

PORT_FILE = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def s3_server():
    """Address of an S3 server of its own process."""
    process = subprocess.Popen(
        [sys.executable, "-c", PORT_FILE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    address = f"http://127.0.0.1:{int(process.stdout.readline())}"
    for _ in range(100):
        try:
            urllib.request.urlopen(address, timeout=5).close()
            break
        except urllib.error.URLError:
            time.sleep(0.05)
    # Earlier tests' connections, to other servers, are kept by their arguments.
    s3fs.S3FileSystem.clear_instance_cache()
    yield address
    s3fs.S3FileSystem.clear_instance_cache()
    process.stdin.close()
    process.wait()
    process.stdout.close()


@pytest.fixture
def bucket(s3_server, tmp_path, monkeypatch):
    """An empty bucket that the environment has the credentials of."""
    for name, value in {
        "AWS_ENDPOINT_URL": s3_server,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "TMPDIR": str(tmp_path / "tmp"),
    }.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", None)
    store = s3fs.S3FileSystem(endpoint_url=s3_server)
    if store.exists("artifacts/run"):
        store.rm("artifacts/run", recursive=True)
    elif not store.exists("artifacts"):
        store.mkdir("artifacts")
    store.invalidate_cache()
    return store


@pytest.fixture
def artifact(tmp_path):
    """A split of two files."""
    with write_artifact(tmp_path / "made", SPLIT) as draft:
        (draft.folder / "deep").mkdir()
        (draft.folder / "deep" / "part-0.parquet").write_bytes(b"rows" * 5000)
        (draft.folder / "schema.json").write_text("{}")
        draft.facts.update(rows=3)
    return tmp_path / "made"


@pytest.mark.parametrize("scheme", ["s3", "minio"])
def test_what_is_stored_comes_back_with_the_same_digest_and_read_only(bucket, artifact, scheme):
    store_artifact(artifact, f"{scheme}://artifacts/run/train", SPLIT)
    found = fetch_artifact(f"{scheme}://artifacts/run/train", SPLIT, digest=read_artifact(artifact, SPLIT).digest)
    assert read_artifact(found, SPLIT) == read_artifact(artifact, SPLIT)
    assert {file.stat().st_mode & 0o222 for file in found.rglob("*") if file.is_file()} == {0}


def test_many_processes_of_a_machine_fetch_it_once(bucket, artifact):
    store_artifact(artifact, "s3://artifacts/run/train", SPLIT)
    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(lambda _: fetch_artifact("s3://artifacts/run/train", SPLIT), range(4)))
    assert len(found) == 1
    bucket.rm("artifacts/run/train/deep", recursive=True)
    assert fetch_artifact("s3://artifacts/run/train", SPLIT) in found


def test_another_artifact_under_the_same_uri_is_not_taken_for_the_first(bucket, artifact, tmp_path):
    store_artifact(artifact, "s3://artifacts/run/train", SPLIT)
    first = fetch_artifact("s3://artifacts/run/train", SPLIT)
    with write_artifact(tmp_path / "other", SPLIT) as draft:
        (draft.folder / "schema.json").write_text("[]")
    store_artifact(tmp_path / "other", "s3://artifacts/run/train", SPLIT)
    assert fetch_artifact("s3://artifacts/run/train", SPLIT) != first
    with pytest.raises(ArtifactError, match="holds another artifact than the step was given"):
        fetch_artifact("s3://artifacts/run/train", SPLIT, digest=read_artifact(artifact, SPLIT).digest)


def test_bytes_that_have_changed_in_the_storage_are_refused_and_nothing_is_left(bucket, artifact, tmp_path):
    store_artifact(artifact, "s3://artifacts/run/train", SPLIT)
    bucket.pipe_file("artifacts/run/train/deep/part-0.parquet", b"other")
    with pytest.raises(ArtifactError, match="has changed since it was written"):
        download_artifact("s3://artifacts/run/train", tmp_path / "here", SPLIT)
    assert not (tmp_path / "here").exists()


def test_the_manifest_is_stored_last_and_taken_away_before_others_are_written(bucket, artifact, monkeypatch):
    """An upload that broke off leaves no manifest, also where an older artifact was."""
    store_artifact(artifact, "s3://artifacts/run/train", SPLIT)
    manifest = json.loads(bucket.cat_file("artifacts/run/train/manifest.json"))
    bucket.pipe_file("artifacts/run/train/manifest.json", json.dumps(manifest | {"digest": "0" * 64}).encode())
    written = []

    async def stop(self, local, remote, *_, **__):
        written.append(remote)
        raise ConnectionError("reset by peer")

    s3fs.S3FileSystem.clear_instance_cache()
    with monkeypatch.context() as broken, pytest.raises(ServiceError, match="reset by peer"):
        broken.setattr(s3fs.S3FileSystem, "_put_file", stop)
        store_artifact(artifact, "s3://artifacts/run/train", SPLIT)
    s3fs.S3FileSystem.clear_instance_cache()
    assert written == ["artifacts/run/train/deep/part-0.parquet"]
    with pytest.raises(ArtifactError, match="holds no finished artifact"):
        fetch_artifact("s3://artifacts/run/train", SPLIT)


def test_what_is_there_already_is_not_stored_again(bucket, artifact):
    store_artifact(artifact, "s3://artifacts/run/train", SPLIT)
    before = bucket.info("artifacts/run/train/manifest.json")["LastModified"]
    store_artifact(artifact, "s3://artifacts/run/train", SPLIT)
    bucket.invalidate_cache()
    assert bucket.info("artifacts/run/train/manifest.json")["LastModified"] == before


def test_a_path_on_this_machine_is_used_where_it_is(artifact):
    assert fetch_artifact(str(artifact), SPLIT) == artifact
    assert fetch_artifact(artifact.as_uri(), SPLIT) == artifact
    assert local_path("s3://bucket/x") is None


def test_a_copy_of_a_path_is_whole_or_not_there(artifact, tmp_path):
    assert download_artifact(str(artifact), tmp_path / "copy", SPLIT) == read_artifact(artifact, SPLIT)
    (artifact / "schema.json").write_text("[1]")
    with pytest.raises(ArtifactError, match="has changed"):
        download_artifact(str(artifact), tmp_path / "second", SPLIT)
    assert not (tmp_path / "second").exists()


def test_an_artifact_of_another_kind_is_refused(bucket, artifact):
    store_artifact(artifact, "s3://artifacts/run/train", SPLIT)
    with pytest.raises(ArtifactError, match="'model' is needed"):
        fetch_artifact("s3://artifacts/run/train", MODEL)


@pytest.mark.parametrize(
    ("uri", "error", "message"),
    [
        ("minio://bucket/x", ConfigError, "Set AWS_ENDPOINT_URL"),
        ("gopher://bucket/x", ConfigError, "of a kind that is not known"),
        ("gs://bucket/x", ConfigError, "needs a library that this image lacks"),
    ],
)
def test_a_uri_that_leads_nowhere_says_what_is_missing(uri, error, message, monkeypatch):
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3", raising=False)
    with pytest.raises(error, match=message):
        fetch_artifact(uri, SPLIT)


def test_a_storage_that_does_not_answer_is_a_service_error(bucket, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(ServiceError, match="cannot be"):
        fetch_artifact("minio://artifacts/run/train", SPLIT)
    s3fs.S3FileSystem.clear_instance_cache()


def test_an_artifact_that_is_not_there_says_so(bucket):
    with pytest.raises(ArtifactError, match="holds no finished artifact"):
        fetch_artifact("s3://artifacts/none", SPLIT)


def test_what_is_removed_is_gone_and_what_is_not_there_is_no_error(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "file").write_text("x")
    (tmp_path / "a" / "manifest.json").write_text("{}")
    remove_artifact(str(tmp_path / "a"))
    assert list(tmp_path.iterdir()) == []
    remove_artifact(str(tmp_path / "a"))
