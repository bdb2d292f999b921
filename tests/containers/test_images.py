"""The images: small, whole, the same at each build, and content with what the strictest cluster leaves them."""

import ast
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import ropewalk
from ropewalk.containers.build import build_command, inspect_built, make_plan
from ropewalk.containers.families import FAMILIES
from ropewalk.errors import ImageError
from ropewalk.images_lock import IMAGES_LOCK, read_images_lock

pytestmark = pytest.mark.timeout(1500)
ROOT = Path(__file__).parents[2]
MOST_MEGABYTES = {"data": 450, "tables": 450, "train": 1100, "registry": 450}
PACKAGES = {
    "data": ["data"],
    "tables": ["check", "preprocess", "report", "summary", "validation"],
    "train": ["cluster", "evaluation", "preprocess", "report", "training", "tuning"],
    "registry": ["registry"],
}
"""What of the library each family's steps run."""
ELSEWHERE = {
    # Imported only where a model is served.
    "registry": {"torch"},
}
MODULES = """
import importlib.util, sys
print([name for name in sys.argv[1:] if importlib.util.find_spec(name) is None])
"""
STATUS = r"""
import re
found = re.findall(r'(CapEff|NoNewPrivs|Seccomp|Uid):\s+(\w+)', open('/proc/self/status').read())
print(dict(found))
"""
FILES = """
import hashlib, json, os, stat, sys
found = {}
for folder, folders, files in os.walk('/', onerror=None):
    folders[:] = [name for name in folders if folder != '/' or name not in ('proc', 'sys', 'dev', 'run', 'tmp')]
    for name in files + [name for name in folders if os.path.islink(os.path.join(folder, name))]:
        path = os.path.join(folder, name)
        facts = os.lstat(path)
        if os.path.islink(path):
            content = os.readlink(path)
        elif os.access(path, os.R_OK):
            content = hashlib.sha256(open(path, 'rb').read()).hexdigest()
        else:
            content = ''
        found[path] = [oct(facts.st_mode), facts.st_uid, facts.st_gid, facts.st_size, content]
for path in ('/etc/hosts', '/etc/resolv.conf', '/etc/hostname', '/run/.containerenv'):
    found.pop(path, None)
print(json.dumps(found))
"""


def _third_parties(family):
    """Return the top-level modules that the family's part of the library imports, at once or later."""
    found = set()
    for package in PACKAGES[family]:
        for file in (ROOT / "src" / "ropewalk" / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    found |= {alias.name.partition(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module:
                    found.add(node.module.partition(".")[0])
    return sorted(found - sys.stdlib_module_names - ELSEWHERE.get(family, set()))


def _facts(engine, image):
    facts = engine.inspect(image)
    assert facts is not None, image
    return facts


def test_images_are_small(built):
    sizes = {image.family: round(image.size / 1e6) for image in built}
    assert all(size < MOST_MEGABYTES[family] for family, size in sizes.items()), sizes


@pytest.mark.parametrize("family", FAMILIES)
def test_an_image_says_what_it_was_made_of_and_runs_as_nobody(engine, images, base, family):
    facts = _facts(engine, images[family])
    labels = {name.removeprefix("org.opencontainers.image."): value for name, value in facts["Labels"].items()}
    assert labels["version"] == ropewalk.__version__
    assert labels["base.name"] == base
    assert labels["base.digest"] == _facts(engine, base)["Digest"]
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert labels["revision"].partition("-")[0] == head.stdout.strip()
    assert facts["Config"]["User"] == "10001:0"


@pytest.mark.parametrize("family", FAMILIES)
def test_an_image_has_all_that_its_steps_import_and_runs_under_the_strictest_restrictions(restricted, images, family):
    modules = _third_parties(family)
    assert len(modules) > 5
    assert restricted(images[family], "python3", "-c", MODULES, *modules).strip() == "[]"
    status = ast.literal_eval(restricted(images[family], "python3", "-c", STATUS))
    assert status == {"Uid": "10001", "CapEff": "0" * 16, "NoNewPrivs": "1", "Seccomp": "2"}


@pytest.mark.parametrize("family", FAMILIES)
def test_each_component_of_a_family_finds_its_library_in_its_image(restricted, images, family):
    for file in sorted((ROOT / "components").glob("*/component.py")):
        text = file.read_text(encoding="utf-8")
        name = {"registry": "REGISTER"}.get(family, family.upper())
        if f"images.{name}" not in text:
            continue
        lines = [line.strip() for line in text.splitlines() if line.startswith("    from ropewalk")]
        restricted(images[family], "python3", "-c", "\n".join(lines), options=("--env=_KFP_RUNTIME=true",))


def test_a_user_that_the_cluster_makes_up_can_run_it(restricted, images):
    script = "import ropewalk.data.pull, tempfile; print(tempfile.mkdtemp())"
    assert restricted(images["data"], "python3", "-c", script, options=("--user=1000660000:0",)).startswith("/tmp/")


@pytest.mark.parametrize("family", FAMILIES)
def test_an_image_holds_no_compiler_package_manager_or_cache(restricted, images, family):
    script = (
        "import glob, importlib.util, shutil; "
        "print([name for name in ('cc', 'gcc', 'ld', 'strip', 'make', 'pip', 'pip3') if shutil.which(name)], "
        "importlib.util.find_spec('pip'), glob.glob('/var/lib/apt/lists/*'), glob.glob('/root/.cache/*'), "
        "glob.glob('/wheels*') + glob.glob('/tools*') + glob.glob('/build*'))"
    )
    assert restricted(images[family], "python3", "-c", script).strip() == "[] None [] [] []"


def test_a_step_starts_within_a_second_and_a_half(engine, images):
    script = "import kfp.dsl.executor_main, time; print(time.time())"
    options = ("--rm", "--read-only", "--tmpfs=/tmp", "--network=none", "--env=_KFP_RUNTIME=true")
    seconds = []
    for _ in range(5):
        started = time.time()
        said = engine.run("run", *options, images["train"], "python3", "-c", script, what="start")
        seconds.append(float(said) - started)
    assert min(seconds) < 1.5, seconds


@pytest.mark.parametrize("family", FAMILIES)
def test_the_sbom_names_what_was_locked_and_debians_packages(built, sources, family):
    bom = json.loads((sources.built / "sboms" / f"{family}.cdx.json").read_text(encoding="utf-8"))
    assert bom["bomFormat"] == "CycloneDX"
    purls = {part["purl"].partition("?")[0] for part in bom["components"] if "purl" in part}
    lock = sources.lock(family, "cpu").read_text(encoding="utf-8")
    locked = {line.split()[0] for line in lock.splitlines() if line[:1].isalnum()}
    wanted = {
        f"pkg:pypi/{name.replace('==', '@').replace('+', '%2B')}" for name in locked if not name.startswith("pip=")
    }
    python = {purl for purl in purls if purl.startswith("pkg:pypi/") and "/ropewalk@" not in purl}
    assert {purl.lower().replace("_", "-").replace(".", "-") for purl in python} == {
        purl.lower().replace("_", "-").replace(".", "-") for purl in wanted
    }
    assert any(purl.startswith("pkg:deb/debian/libc6@") for purl in purls)
    assert any(purl.startswith("pkg:deb/debian/git@") for purl in purls) == (family == "data")


def test_the_lock_names_every_image_by_digest(built, sources):
    locked = read_images_lock(sources.root / IMAGES_LOCK)
    assert locked.keys() == set(FAMILIES)
    for image in built:
        assert locked[image.family].endswith(f"@{image.digest}")


def test_building_again_from_nothing_gives_the_same_files(engine, images, base, sources):
    plan = make_plan(engine, sources, base=base, accelerator="cpu", registry="localhost/again")
    command = build_command(engine, sources, "registry", plan)
    subprocess.run([*command[:2], "--no-cache", *command[2:]], check=True, capture_output=True)
    again = plan.name("registry", plan.tag)
    try:
        layers = [_facts(engine, image)["RootFS"]["Layers"] for image in (images["registry"], again)]
        listed = [
            json.loads(engine.run("run", "--rm", image, "python3", "-c", FILES, what="list"))
            for image in (images["registry"], again)
        ]
        different = {path for path in listed[0].keys() | listed[1].keys() if listed[0].get(path) != listed[1].get(path)}
        assert not different, sorted(different)[:20]
        assert len(listed[0]) > 5000
        assert layers[0] == layers[1]
    finally:
        engine.run("rmi", "--force", again, plan.name("registry", plan.version_tag), what="remove")


def test_a_change_of_the_library_renews_the_last_layer_alone(engine, images, base, copied):
    plan = make_plan(engine, copied, base=base, accelerator="cpu", registry="localhost/changed")
    file = copied.root / "src" / "ropewalk" / "home.py"
    mark = f"# {time.time()}"
    file.write_text(f"{file.read_text(encoding='utf-8')}{mark}\n", encoding="utf-8")
    from ropewalk.containers.build import build_images

    (changed,) = build_images(engine, copied, ("registry",), plan, say=lambda _: None)
    try:
        script = "import pathlib, ropewalk.home as h; print(pathlib.Path(h.__file__).read_text())"
        assert mark in engine.run("run", "--rm", changed.image, "python3", "-c", script, what="read")
        before, after = (_facts(engine, image)["RootFS"]["Layers"] for image in (images["registry"], changed.image))
        assert before[:-1] == after[:-1]
        assert before[-1] != after[-1]
    finally:
        engine.run("rmi", "--force", changed.image, plan.name("registry", plan.version_tag), what="remove")


def test_a_killed_build_names_no_image_and_can_be_run_again(engine, built, base, copied):
    registry = f"localhost/killed-{time.time_ns()}"
    # Something that was never built, so that there is time to kill.
    with (copied.root / "containers" / "unused.txt").open("a") as rules:
        rules.write(f"# {time.time()}\n")
    script = "from ropewalk.cli import main; main()"
    arguments = ["images", "build", "registry", "--base", base, "--registry", registry, "--no-sbom"]
    with subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        cwd=copied.root,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stderr is not None
        while "image" not in process.stderr.readline():
            pass
        time.sleep(3)
        os.killpg(process.pid, signal.SIGKILL)
    name = f"{registry}/ropewalk-registry:{ropewalk.__version__}"
    assert engine.inspect(name) is None
    ended = subprocess.run(
        [sys.executable, "-c", script, *arguments], cwd=copied.root, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    facts = engine.inspect(name)
    assert facts is not None
    engine.run("rmi", "--force", *facts["RepoTags"], what="remove")
    assert not (copied.root / IMAGES_LOCK).exists()


def test_an_image_of_another_version_is_refused_with_both_versions(engine, base, tmp_path):
    (tmp_path / "Containerfile").write_text(f"FROM {base}\nLABEL org.opencontainers.image.version=9.9.9\n")
    engine.run("build", "--tag", "localhost/other/ropewalk-data:1", str(tmp_path), what="build")
    with pytest.raises(ImageError, match=rf"holds Ropewalk 9\.9\.9, this is Ropewalk {ropewalk.__version__}"):
        inspect_built(engine, "data", "localhost/other/ropewalk-data:1")
    engine.run("rmi", "--force", "localhost/other/ropewalk-data:1", what="remove")
