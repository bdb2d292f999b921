"""A bundle: whole or refused, and enough to install and run where there is no network at all."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile

import pytest
import yaml

from ropewalk.containers.bundle import SUMS
from ropewalk.containers.families import FAMILIES
from ropewalk.images_lock import IMAGES_LOCK, read_images_lock

pytestmark = pytest.mark.timeout(1500)


@pytest.fixture(scope="module")
def bundle(built, ropewalk_command, tmp_path_factory):
    out = tmp_path_factory.mktemp("bundle") / "ropewalk"
    environment = {**os.environ, "ROPEWALK_IMAGE_REGISTRY": "elsewhere.example.com/x"}
    registry = built[0].image.rpartition("/")[0]
    ended = ropewalk_command("bundle", "--out", str(out), "--registry", registry, env=environment)
    assert ended.returncode == 0, ended.stderr
    yield out
    shutil.rmtree(out)


def test_it_verifies_and_holds_all_that_is_promised(bundle, ropewalk_command, built):
    ended = ropewalk_command("bundle", "verify", str(bundle))
    assert ended.returncode == 0, ended.stderr
    assert "all as they were written" in ended.stdout
    assert subprocess.run(["sha256sum", "--check", "--quiet", SUMS], cwd=bundle, check=False).returncode == 0
    assert {file.name for file in (bundle / "sboms").iterdir()} == {f"{family}.cdx.json" for family in FAMILIES}
    compiled = yaml.safe_load((bundle / "pipelines" / "training.yaml").read_text())
    used = {one["container"]["image"] for one in compiled["deploymentSpec"]["executors"].values()}
    assert used <= {image.image.partition("-0")[0] for image in built} | {image.image for image in built}
    for family, reference in read_images_lock(bundle / IMAGES_LOCK).items():
        with tarfile.open(bundle / "images" / f"ropewalk-{family}.oci.tar") as archive:
            index = json.load(archive.extractfile("index.json"))
        assert reference.endswith(index["manifests"][0]["digest"])


def test_it_installs_and_runs_without_a_network(bundle, engine, tmp_path):
    without_network = ["unshare", "--net", "--"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    environment |= {"PIP_CONFIG_FILE": os.devnull, "ROPEWALK_HOME": str(tmp_path / "home"), "OMP_NUM_THREADS": "1"}

    def run(*command):
        ended = subprocess.run(
            [*without_network, *map(str, command)],
            capture_output=True,
            text=True,
            check=False,
            env=environment,
            cwd=tmp_path,
        )
        assert ended.returncode == 0, f"{command}\n{ended.stdout[-3000:]}\n{ended.stderr[-3000:]}"
        return ended.stdout

    assert "default" not in run("cat", "/proc/net/route")
    run(sys.executable, "-m", "venv", "installed")
    run("installed/bin/pip", "install", "--quiet", "--no-index", "--find-links", bundle / "wheels", "ropewalk")
    told = run(
        "installed/bin/ropewalk",
        "run",
        bundle / "pipelines" / "training.yaml",
        "--data",
        "sample:wine",
        "--epochs",
        "2",
    )
    assert "succeeded" in told
    # A storage of its own, so that the image can come from nowhere but the bundle. podman takes a short --runroot only.
    state = tempfile.mkdtemp(prefix="run-")
    podman = [engine.program, "--root", tmp_path / "storage", "--runroot", state]
    try:
        run(*podman, "load", "--quiet", "--input", bundle / "images" / "ropewalk-tables.oci.tar")
        image = read_images_lock(bundle / IMAGES_LOCK)["tables"].partition("@")[0]
        script = "import ropewalk, ropewalk.validation.validate; print('version', ropewalk.__version__)"
        assert "version" in run(*podman, "run", "--rm", "--network=none", "--read-only", image, "python3", "-c", script)
    finally:
        subprocess.run([*podman, "rmi", "--all", "--force"], check=False, capture_output=True)
        shutil.rmtree(tmp_path / "storage", ignore_errors=True)
        shutil.rmtree(state, ignore_errors=True)
