"""Checkpoints are whole or not taken, on a disk and in an object store."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
import torch
from s3fs import S3FileSystem

from ropewalk.errors import ServiceError, StoppedError, StorageError
from ropewalk.training.checkpoint import Checkpoints, Saved
from ropewalk.training.config import TrainingConfig
from ropewalk.training.distributed import Group
from ropewalk.training.store import open_store
from ropewalk.training.train import train

ALONE = Group(rank=0, world=1)


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        assert time.monotonic() < deadline
        time.sleep(0.1)
    yield f"http://127.0.0.1:{port}"
    server.terminate()
    server.wait()


@pytest.fixture
def bucket(s3: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}
    for name, value in {**keys, "AWS_ENDPOINT_URL": s3, "AWS_CONFIG_FILE": str(tmp_path / "none")}.items():
        monkeypatch.setenv(name, value)
    name = f"b{os.getpid()}-{time.monotonic_ns()}"
    boto3.client("s3", endpoint_url=s3).create_bucket(Bucket=name)
    return f"s3://{name}/kept"


@pytest.fixture(params=["disk", "bucket"])
def place(request, tmp_path: Path) -> str:
    return str(tmp_path / "kept") if request.param == "disk" else request.getfixturevalue("bucket")


def checkpoints(place: str, fingerprint: str = "f") -> Checkpoints:
    return Checkpoints(open_store(place), fingerprint=fingerprint, group=ALONE)


def state(done: int, *, best: float = 0.0) -> Saved:
    tensors = {"weight": torch.full((3,), float(done)), "random": torch.arange(5, dtype=torch.uint8)}
    return Saved(tensors=tensors, best={"weight": torch.full((3,), best)}, facts={"done": done, "key": [0.1, -1 / 3]})


def loaded(place: str, fingerprint: str = "f") -> int | None:
    saved = checkpoints(place, fingerprint).load()
    return None if saved is None else int(saved.tensors["weight"][0])


def damage(place: str, name: str, content: bytes) -> None:
    store = open_store(place)
    (found,) = [each for each in store.names() if each.startswith(name)]
    store.write(found, content)


def test_a_checkpoint_comes_back_as_it_was(place: str) -> None:
    assert checkpoints(place).load() is None
    checkpoints(place).save(7, state(7, best=3.5), best_epoch=1)
    saved = checkpoints(place).load()
    assert torch.equal(saved.tensors["weight"], torch.full((3,), 7.0))
    assert saved.tensors["random"].dtype == torch.uint8
    assert torch.equal(saved.best["weight"], torch.full((3,), 3.5))
    assert saved.facts == {"done": 7, "key": [0.1, -1 / 3]}


def test_the_last_two_and_their_best_weights_are_kept(place: str) -> None:
    kept = checkpoints(place)
    for done, best_epoch in ((1, 1), (2, 1), (30, 2)):
        kept.save(done, state(done), best_epoch=best_epoch)
    assert open_store(place).names() == [
        "best-000001.safetensors",
        "best-000002.safetensors",
        "checkpoint-000000000002.json",
        "checkpoint-000000000030.json",
        "state-000000000002.safetensors",
        "state-000000000030.safetensors",
    ]
    assert loaded(place) == 30
    kept.remove()
    assert open_store(place).names() == []


@pytest.mark.parametrize("damaged", ["state-000000000002", "best-000002", "checkpoint-000000000002"])
@pytest.mark.parametrize("content", [b"", b"{}", b'{"content": 3}'])
def test_the_one_before_is_taken_when_the_last_is_damaged(
    tmp_path: Path, damaged: str, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = checkpoints(str(tmp_path))
    kept.save(1, state(1), best_epoch=1)
    kept.save(2, state(2), best_epoch=2)
    damage(str(tmp_path), damaged, content)
    assert loaded(str(tmp_path)) == 1
    assert "checkpoint-000000000002.json" in capsys.readouterr().out


def test_a_changed_figure_in_a_manifest_is_noticed(tmp_path: Path) -> None:
    checkpoints(str(tmp_path)).save(1, state(1), best_epoch=1)
    file = tmp_path / "checkpoint-000000000001.json"
    file.write_text(file.read_text().replace("0.1", "0.2"))
    assert loaded(str(tmp_path)) is None


def test_state_without_a_manifest_is_no_checkpoint(place: str) -> None:
    kept = checkpoints(place)
    kept.save(1, state(1), best_epoch=1)
    open_store(place).write("state-000000000002.safetensors", b"half")
    assert loaded(place) == 1
    kept.save(2, state(2), best_epoch=1)
    assert loaded(place) == 2


def test_a_checkpoint_of_another_training_is_not_taken(tmp_path: Path) -> None:
    checkpoints(str(tmp_path)).save(1, state(1), best_epoch=1)
    assert loaded(str(tmp_path), "other") is None


def test_no_file_holds_pickle(tmp_path: Path) -> None:
    checkpoints(str(tmp_path)).save(1, state(1), best_epoch=1)
    assert {file.suffix for file in tmp_path.iterdir()} == {".json", ".safetensors"}


def test_a_store_that_cannot_be_reached_is_a_service_error(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ServiceError, match=r"cannot be used.*training\.checkpoint"):
        checkpoints("s3://there-is-no-such-bucket/kept").save(1, state(1), best_epoch=1)
    with pytest.raises(ServiceError, match="nosuchkind"):
        open_store("nosuchkind://bucket/folder")


@pytest.fixture
def own_connections() -> Iterator[None]:
    """Connections of this test alone: fsspec keeps them, with the credentials that they were made with."""
    S3FileSystem.clear_instance_cache()
    yield
    S3FileSystem.clear_instance_cache()


@pytest.mark.usefixtures("own_connections")
def test_a_bucket_without_credentials_names_what_to_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(ServiceError, match=r"s3://nobody/kept cannot be used.*its credentials"):
        open_store("s3://nobody/kept").names()


def test_a_full_disk_is_a_storage_error(tmp_path: Path) -> None:
    full = Path("/dev/full")
    kept = checkpoints(str(tmp_path))
    kept.save(1, state(1), best_epoch=1)
    (tmp_path / "state-000000000002.safetensors.partial").symlink_to(full)
    with pytest.raises(StorageError, match="Cannot write"):
        kept.save(2, state(2), best_epoch=1)
    assert loaded(str(tmp_path)) == 1


def test_training_that_was_stopped_goes_on_from_a_bucket(
    prepared, bucket: str, tmp_path: Path, stop_after, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = prepared()

    def fit(model: str, checkpoint: str) -> bytes:
        config = TrainingConfig(width=16, depth=2, batch_size=64, checkpoint=checkpoint)
        splits = {name: folder / name for name in ("validation", "preprocessor")}
        train(folder / "train", **splits, model=tmp_path / model, epochs=3, config=config)
        return (tmp_path / model / "weights.safetensors").read_bytes()

    stop_after(25)
    with pytest.raises(StoppedError, match=r"last good checkpoint is that of step 25 in s3://"):
        fit("model", bucket)
    resumed = fit("model", bucket)
    assert re.search(r"going on from the checkpoint at step \d+ of epoch 2/3", capsys.readouterr().out)
    assert resumed == fit("undisturbed", "")
    assert open_store(bucket).names() == []
