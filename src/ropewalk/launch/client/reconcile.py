"""Makes the server's recurring runs what a file declares, and leaves those of others alone.

A recurring run cannot be changed, only enabled and disabled: another one takes its place. The new one is made disabled,
the old one is deleted, and then the new one is enabled. Killed in between, nothing runs twice; the next call goes on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ropewalk.errors import ConfigError, ServiceError, nearest
from ropewalk.launch.client.publish import find_pipeline, find_version, newest_version
from ropewalk.launch.client.schedule import Declared, Schedule, digest_of, mark, read_mark, typed_parameters
from ropewalk.launch.client.server import Server
from ropewalk.launch.client.submit import find_or_create_experiment
from ropewalk.launch.specification import describe

CREATE, REPLACE, ENABLE, DISABLE = "create", "replace", "enable", "disable"
DELETE, TIDY, KEEP = "delete", "tidy", "keep"
_DEFAULT = "Default"
_MOST_ROUNDS = 5


@dataclass(frozen=True, kw_only=True)
class Step:
    """What is to be done about one schedule."""

    action: str
    """create, replace, enable, disable, delete, tidy (others of its name go) or keep."""
    name: str
    """The schedule's name."""
    remove: tuple[str, ...] = ()
    """Ids of recurring runs to delete."""
    keep: str = ""
    """Id of the one that stays."""


@dataclass(frozen=True, kw_only=True)
class ScheduleLine:
    """One recurring run of a server, in a line."""

    id: str
    name: str
    owner: str
    """Of the file that declared it; "" when it was made by hand."""
    status: str
    """ENABLED or DISABLED."""
    when: str
    """Its cron, or "every N s"."""


@dataclass(frozen=True, kw_only=True)
class Settled:
    """A schedule with what the server knows of its pipeline."""

    schedule: Schedule
    body: dict[str, Any]
    """What creates it, disabled; the experiment is still a name."""
    digest: str


def settle(server: Server, declared: Declared) -> list[Settled]:
    """Return the schedules with their versions pinned and their parameters checked. Nothing is changed by it.

    Raises:
        ConfigError: A pipeline or version is not on the server, or parameters are wrong; names all of them.
    """
    settled, problems = [], []
    for schedule in declared.schedules:
        try:
            settled.append(_settle(server, declared.owner, schedule))
        except ConfigError as error:
            problems.append(str(error))
    if problems:
        raise ConfigError("Nothing was changed:\n  - " + "\n  - ".join(problems))
    return settled


def plan(owner: str, settled: Sequence[Settled], existing: Sequence[Mapping[str, Any]]) -> list[Step]:
    """Return what makes `existing`, all recurring runs of the namespace, what is declared."""
    own: dict[str, list[Mapping[str, Any]]] = {}
    for recurring in existing:
        marked = read_mark(recurring)
        if marked and marked[0] == owner:
            own.setdefault(marked[1], []).append(recurring)
    steps = [_step(each, own.pop(each.schedule.name, [])) for each in settled]
    gone = [Step(action=DELETE, name=name, remove=tuple(map(_id, left))) for name, left in own.items()]
    return steps + gone


def apply(server: Server, owner: str, settled: Sequence[Settled]) -> list[Step]:
    """Make the server's recurring runs what is declared, and return what was done.

    Raises:
        ClusterError, ServiceError: As `Server.get`; call it again to go on.
    """
    by_name = {each.schedule.name: each for each in settled}
    done = plan(owner, settled, existing(server))
    left = done
    for _ in range(_MOST_ROUNDS):
        found = [_take(server, owner, step, by_name.get(step.name)) for step in left]
        if all(found):
            return done
        # What is gone was taken away by somebody who applies the same file now: look again.
        left = plan(owner, settled, existing(server))
    raise ServiceError("Others change the same schedules at this moment, again and again. Apply the file once more.")


def list_schedules(server: Server) -> list[ScheduleLine]:
    """Return the recurring runs of our namespace, by owner and name."""
    lines = [
        ScheduleLine(
            id=_id(one),
            name=str(one.get("display_name", "")),
            owner=(read_mark(one) or ("",))[0],
            status=str(one.get("status", "")),
            when=_when(one.get("trigger") or {}),
        )
        for one in existing(server)
    ]
    return sorted(lines, key=lambda line: (line.owner, line.name))


def existing(server: Server) -> list[dict[str, Any]]:
    """Return all recurring runs of our namespace."""
    query = {"namespace": server.namespace} if server.namespace else {}
    return list(server.pages("/recurringruns", "recurringRuns", query))


def _take(server: Server, owner: str, step: Step, settled: Settled | None) -> bool:
    """Do what a step says, and return whether what it keeps still was there."""
    kept = step.keep
    if settled and step.action in (CREATE, REPLACE):
        kept = _create(server, owner, settled)
    for recurring_id in step.remove:
        server.delete(f"/recurringruns/{recurring_id}")
    if settled and step.action in (CREATE, REPLACE, ENABLE) and settled.schedule.enabled:
        return bool(kept) and server.act(f"/recurringruns/{kept}:enable")
    return step.action != DISABLE or server.act(f"/recurringruns/{kept}:disable")


def _settle(server: Server, owner: str, schedule: Schedule) -> Settled:
    pipeline = find_pipeline(server, schedule.pipeline)
    if pipeline is None:
        known = [str(each.get("name")) for each in server.pages("/pipelines", "pipelines", _namespace(server))]
        raise ConfigError(
            f"{schedule.name}: there is no pipeline {schedule.pipeline!r} on the server."
            f"{nearest(schedule.pipeline, known)} Publish it first: ropewalk publish FILE."
        )
    pipeline_id = str(pipeline["pipeline_id"])
    version = (
        find_version(server, pipeline_id, schedule.version) if schedule.version else newest_version(server, pipeline_id)
    )
    if version is None:
        named = f"version {schedule.version!r}" if schedule.version else "version"
        raise ConfigError(f"{schedule.name}: the pipeline {schedule.pipeline!r} has no {named}. Publish it first.")
    spec = version.get("pipeline_spec") or {}
    parameters = typed_parameters(schedule, describe(spec.get("pipeline_spec", spec)))
    reference = {"pipeline_id": pipeline_id, "pipeline_version_id": str(version["pipeline_version_id"])}
    digest = digest_of(schedule, reference)
    body: dict[str, Any] = {
        "display_name": schedule.name,
        "description": mark(owner, schedule, digest),
        "pipeline_version_reference": reference,
        "runtime_config": {"parameters": parameters},
        "trigger": schedule.trigger,
        "max_concurrency": str(schedule.max_concurrency),
        "no_catchup": not schedule.catchup,
        "mode": "DISABLE",
    }
    if schedule.service_account:
        body["service_account"] = schedule.service_account
    return Settled(schedule=schedule, body=body, digest=digest)


def _step(settled: Settled, there: Sequence[Mapping[str, Any]]) -> Step:
    schedule = settled.schedule
    same = sorted((one for one in there if (read_mark(one) or ("",) * 3)[2] == settled.digest), key=_age)
    others = tuple(_id(one) for one in there if one not in same[:1])
    if not same:
        return Step(action=REPLACE if others else CREATE, name=schedule.name, remove=others)
    enabled = same[0].get("status") == "ENABLED"
    action = KEEP if enabled == schedule.enabled else ENABLE if schedule.enabled else DISABLE
    return Step(
        action=TIDY if others and action == KEEP else action, name=schedule.name, remove=others, keep=_id(same[0])
    )


def _create(server: Server, owner: str, settled: Settled) -> str:
    """Make a recurring run, disabled, and return its id: whoever else makes the same meanwhile, one is left.

    The id is "" when somebody deleted it at once.
    """
    wanted = settled.schedule.experiment or (_DEFAULT if server.namespace else "")
    experiment = {"experiment_id": find_or_create_experiment(server, wanted)["experiment_id"]} if wanted else {}

    def same() -> list[dict[str, Any]]:
        me = (owner, settled.schedule.name, settled.digest)
        return sorted((one for one in existing(server) if read_mark(one) == me), key=_age)

    server.post("/recurringruns", settled.body | experiment, found=lambda: next(iter(same()), None))
    made = same()
    for one in made[1:]:
        server.delete(f"/recurringruns/{_id(one)}")
    return _id(made[0]) if made else ""


def _namespace(server: Server) -> dict[str, str]:
    return {"namespace": server.namespace} if server.namespace else {}


def _when(trigger: Mapping[str, Any]) -> str:
    periodic = trigger.get("periodic_schedule") or {}
    cron = str((trigger.get("cron_schedule") or {}).get("cron", ""))
    return f"every {periodic['interval_second']} s" if periodic else cron


def _id(recurring: Mapping[str, Any]) -> str:
    return str(recurring["recurring_run_id"])


def _age(recurring: Mapping[str, Any]) -> tuple[str, str]:
    return str(recurring.get("created_at", "")), _id(recurring)
