"""What does a checked pull cost over copying the same bytes by hand?

From a DVC remote that is a folder: one file of 1 GiB, and 10,000 files of 16 KiB. The floor is `cp -r` of the remote's
files and hashing the copies once; it neither has names nor survives a crash. `transfer` is what fetches and checks;
`pull` is the whole step, with Git, DVC's records, the manifest and a disk that is told to keep all of it.

From S3 (a server of moto on this machine): one file of 200 MB and 500 of 16 KiB. The floor is boto3 with as many
threads, hashing once.

All arms run in turn, in one process, with the files in the page cache.

    python benchmarks/pull.py [--rounds 5] [--folder DIR] [--results FILE]
"""

import argparse
import hashlib
import json
import logging
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import boto3
import requests
from dvc.repo import Repo

from ropewalk.data import pull as pull_step
from ropewalk.data.versioned import fetch_versioned

THREADS = 16
KEYS = {"AWS_ACCESS_KEY_ID": "benchmark", "AWS_SECRET_ACCESS_KEY": "benchmark", "AWS_DEFAULT_REGION": "us-east-1"}
BARS = {"folder: 1 x 1 GiB": 1.2, "folder: 10,000 x 16 KiB": 1.5}
S3_BAR = 0.9

Arms = dict[str, Callable[[Path], object]]


def main() -> None:
    """Measure, print a table, and write it to --results when asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each arm (default 5)")
    parser.add_argument("--folder", type=Path, help="where to work (default: a new folder for temporary files)")
    parser.add_argument("--results", type=Path, help="also write the figures to this JSON file")
    arguments = parser.parse_args()
    logging.getLogger("dvc").setLevel(logging.ERROR)
    os.environ.update(KEYS, DVC_NO_ANALYTICS="1")
    with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="ropewalk-benchmark-") as name:
        figures = measure(Path(name), arguments.rounds)
    if arguments.results:
        arguments.results.parent.mkdir(exist_ok=True)
        arguments.results.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def measure(folder: Path, rounds: int) -> dict[str, object]:
    """Return medians and ratios of every case."""
    cases: dict[str, object] = {}
    for title, files, size in [("folder: 1 x 1 GiB", 1, 2**30), ("folder: 10,000 x 16 KiB", 10_000, 2**14)]:
        repository = make_repository(folder / title, str(folder / title / "remote"), files, size)
        remote = folder / title / "remote"
        arms: Arms = {"floor": lambda to, remote=remote: copy_and_hash(remote, to), **our_arms(repository)}
        cases[title] = show(title, in_turn(arms, folder / "out", rounds), BARS[title])
        shutil.rmtree(folder / title)
    with s3_server() as endpoint:
        for title, files, size in [("s3: 1 x 200 MB", 1, 200_000_000), ("s3: 500 x 16 KiB", 500, 2**14)]:
            bucket = f"bucket-{files}"
            client = boto3.client("s3", endpoint_url=endpoint)
            client.create_bucket(Bucket=bucket)
            repository = make_repository(folder / title, f"s3://{bucket}/dvc", files, size, endpoint)
            arms = {"floor": lambda to, at=(endpoint, bucket): boto3_download(*at, to), **our_arms(repository)}
            cases[title] = show(title, in_turn(arms, folder / "out", rounds), 1 / S3_BAR)
            shutil.rmtree(folder / title)
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    return {"machine": machine, "rounds": rounds, "cases": cases}


def make_repository(place: Path, url: str, files: int, size: int, endpoint: str = "") -> Path:
    """Make a Git and DVC repository with the folder `data` of random bytes, pushed to the remote `url`."""
    repository = place / "repository"
    (repository / "data").mkdir(parents=True)
    for number in range(files):
        (repository / "data" / f"{number:05d}.bin").write_bytes(os.urandom(size))
    git = ["git", "-C", str(repository), "-c", "user.name=B", "-c", "user.email=b@example.invalid"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    with Repo.init(str(repository)) as repo:
        with repo.config.edit("repo") as config:
            config["core"]["remote"] = "remote"
            config["remote"]["remote"] = {"url": url} | ({"endpointurl": endpoint} if endpoint else {})
        repo.add(str(repository / "data"))
        repo.push()
    subprocess.run([*git, "add", "--all"], check=True)
    subprocess.run([*git, "commit", "--quiet", "-m", "Data"], check=True)
    # A remote does not have the cache beside it.
    shutil.rmtree(repository / ".dvc" / "cache")
    shutil.rmtree(repository / "data")
    return repository


def our_arms(repository: Path) -> Arms:
    """Return the transfer alone, and the whole step."""
    named = {"path": "data", "revision": "", "pattern": "", "cache": None}
    return {
        "transfer": lambda to: fetch_versioned(str(repository), destination=to, staging=to.with_suffix(".s"), **named),
        "pull": lambda to: pull_step.pull(str(repository), path="data", output=to),
    }


def copy_and_hash(remote: Path, to: Path) -> None:
    """Copy by `cp -r`, then hash each copy."""
    subprocess.run(["cp", "-r", str(remote), str(to)], check=True)
    hash_all(to)


def boto3_download(endpoint: str, bucket: str, to: Path) -> None:
    """Download every object by boto3's own transfer, with threads, then hash each file."""
    client = boto3.client("s3", endpoint_url=endpoint)
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    keys = [entry["Key"] for page in pages for entry in page["Contents"]]
    to.mkdir()
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda key: client.download_file(bucket, key, str(to / Path(key).name)), keys))
    hash_all(to)


def hash_all(folder: Path) -> None:
    """Hash every file below `folder` once."""
    for parent, _, names in os.walk(folder):
        for name in names:
            with Path(parent, name).open("rb") as stream:
                hashlib.file_digest(stream, "md5")


def in_turn(arms: Arms, out: Path, rounds: int) -> dict[str, float]:
    """Return the median seconds of each arm; a first round, which warms everything, does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    for number in range(rounds + 1):
        for name, arm in arms.items():
            os.sync()
            started = time.perf_counter()
            with redirect_stdout(sys.stderr):
                arm(out)
            if number:
                seconds[name].append(time.perf_counter() - started)
            shutil.rmtree(out)
            shutil.rmtree(out.with_suffix(".s"), ignore_errors=True)
    return {name: statistics.median(values) for name, values in seconds.items()}


@contextmanager
def s3_server() -> Iterator[str]:
    """Yield the address of an S3 server on this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = [str(Path(sys.executable).with_name("python")), "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(server, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(100):
            try:
                requests.get(address, timeout=1)
                break
            except requests.ConnectionError:
                time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait()


def show(title: str, medians: dict[str, float], bar: float) -> dict[str, float]:
    """Print one case and return it with its ratios."""
    ratios = {f"{arm}_ratio": medians[arm] / medians["floor"] for arm in ("transfer", "pull")}
    seconds = "".join(f"{arm} {value:7.2f} s   " for arm, value in medians.items())
    shown = "".join(f"{name} {value:.2f}   " for name, value in ratios.items())
    print(f"{title:<26}{seconds}{shown}(bar for transfer: {bar:.2f})", flush=True)
    return {**{f"{arm}_s": value for arm, value in medians.items()}, **ratios, "bar": bar}


if __name__ == "__main__":
    main()
