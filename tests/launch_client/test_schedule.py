"""Recurring runs become what a file declares: from any state, and from any point of being killed."""

import copy
import json
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kfp_server.server import serve
from ropewalk.errors import ClusterError, ConfigError
from ropewalk.launch.client.publish import publish
from ropewalk.launch.client.reconcile import apply, settle
from ropewalk.launch.client.schedule import read_schedules
from ropewalk.launch.client.version_name import VersionName
from ropewalk.launch.request import Request, open_request

NIGHTLY = {"name": "nightly", "pipeline": "training", "cron": "0 0 3 * * *", "parameters": {"epochs": 3}}
HOURLY = {"name": "hourly", "pipeline": "training", "every": "1h", "description": "Fresh data"}


@pytest.fixture
def published(server, compiled: Path) -> Request:
    request = open_request(str(compiled))
    publish(server, request, VersionName(name="1.0.0"))
    return request


@pytest.fixture
def declare(tmp_path: Path):
    """Return a function that writes schedules to a file and reads them."""

    def declare(*schedules: dict, owner: str = "flights"):
        file = tmp_path / "schedules.yaml"
        file.write_text(json.dumps({"owner": owner, "schedules": schedules}), encoding="utf-8")
        return read_schedules(file)

    return declare


def _apply(server, declared):
    return [(step.action, step.name) for step in apply(server, declared.owner, settle(server, declared))]


def _kept(api):
    return {each["display_name"]: each["status"] for each in api.state.recurring.values()}


def test_what_is_declared_is_made_and_then_left_alone(api, server, published, declare):
    declared = declare(NIGHTLY, HOURLY)
    assert _apply(server, declared) == [("create", "nightly"), ("create", "hourly")]
    assert _kept(api) == {"nightly": "ENABLED", "hourly": "ENABLED"}
    nightly, hourly = api.state.recurring.values()
    assert nightly["trigger"] == {"cron_schedule": {"cron": "0 0 3 * * *"}}
    assert nightly["runtime_config"] == {"parameters": {"epochs": 3}}
    assert (nightly["max_concurrency"], nightly["no_catchup"]) == ("1", True)
    assert hourly["trigger"] == {"periodic_schedule": {"interval_second": "3600"}}
    before = (copy.deepcopy(api.state.recurring), api.count("POST", ""))
    assert _apply(server, declared) == [("keep", "nightly"), ("keep", "hourly")]
    assert (api.state.recurring, api.count("POST", "")) == before


def test_a_change_takes_the_place_of_the_old_one(api, server, published, declare):
    _apply(server, declare(NIGHTLY, HOURLY))
    (old,) = (key for key, each in api.state.recurring.items() if each["display_name"] == "nightly")
    assert _apply(server, declare(NIGHTLY | {"cron": "0 0 4 * * *"}, HOURLY)) == [
        ("replace", "nightly"),
        ("keep", "hourly"),
    ]
    assert old not in api.state.recurring
    assert _kept(api) == {"nightly": "ENABLED", "hourly": "ENABLED"}


def test_a_new_version_takes_the_place_of_the_old_one_unless_it_is_pinned(api, server, published, declare):
    declared = declare(NIGHTLY, HOURLY | {"version": "1.0.0"})
    _apply(server, declared)
    text = published.text.replace("defaultValue: sample:breast_cancer", "defaultValue: sample:wine")
    for version in api.state.versions.values():
        version["created_at"] = "2026-01-01T00:00:00Z"
    newer = publish(server, Request(text=text, specification=published.specification), VersionName(name="1.1.0"))
    assert _apply(server, declared) == [("replace", "nightly"), ("keep", "hourly")]
    pinned = {each["display_name"]: each["pipeline_version_reference"] for each in api.state.recurring.values()}
    assert pinned["nightly"]["pipeline_version_id"] == newer.version_id


def test_disabled_and_enabled_in_place(api, server, published, declare):
    _apply(server, declare(NIGHTLY))
    before = list(api.state.recurring)
    assert _apply(server, declare(NIGHTLY | {"enabled": False})) == [("disable", "nightly")]
    assert _kept(api) == {"nightly": "DISABLED"}
    assert _apply(server, declare(NIGHTLY)) == [("enable", "nightly")]
    assert (list(api.state.recurring), _kept(api)) == (before, {"nightly": "ENABLED"})
    assert _apply(server, declare(HOURLY | {"enabled": False})) == [("create", "hourly"), ("delete", "nightly")]
    assert _kept(api) == {"hourly": "DISABLED"}


def test_what_belongs_to_others_is_left_alone(api, server, published, declare):
    _apply(server, declare(NIGHTLY, owner="flights"))
    _apply(server, declare(NIGHTLY, owner="flights-2"))
    made_by_hand = copy.deepcopy(next(iter(api.state.recurring.values())))
    made_by_hand |= {"recurring_run_id": "by-hand", "description": "Mine"}
    api.state.recurring["by-hand"] = made_by_hand
    assert _apply(server, declare(owner="flights")) == [("delete", "nightly")]
    assert len(api.state.recurring) == 2
    assert "by-hand" in api.state.recurring


CHANGES = [("POST", "/recurringruns$"), ("DELETE", "/recurringruns/"), ("POST", ":enable"), ("GET", "/recurringruns")]


@pytest.mark.parametrize("method, path", CHANGES)
@pytest.mark.parametrize("fault", [{"reset": True, "after": True}, {"status": 503}])
def test_faults_are_got_over_with_one_of_each(api, server, published, declare, method, path, fault):
    _apply(server, declare(NIGHTLY))
    api.faults.add(method=method, path=path, **fault)
    _apply(server, declare(NIGHTLY | {"every": "2h", "cron": ""}, HOURLY))
    assert _kept(api) == {"nightly": "ENABLED", "hourly": "ENABLED"}
    assert len(api.state.recurring) == 2


@pytest.mark.parametrize("method, path", CHANGES)
def test_killed_in_between_nothing_runs_twice_and_the_next_call_goes_on(api, server, published, declare, method, path):
    _apply(server, declare(NIGHTLY))
    changed = declare(NIGHTLY | {"cron": "0 0 4 * * *"})
    api.faults.add(method=method, path=path, status=403)
    with pytest.raises(ClusterError, match="403"):
        _apply(server, changed)
    enabled = [each for each in api.state.recurring.values() if each["status"] == "ENABLED"]
    assert len(enabled) <= 1
    _apply(server, changed)
    (kept,) = api.state.recurring.values()
    assert (kept["status"], kept["trigger"]["cron_schedule"]["cron"]) == ("ENABLED", "0 0 4 * * *")


def test_several_at_once_leave_one_of_each(api, connect, server, published, declare):
    declared = declare(NIGHTLY, HOURLY)
    servers = [connect() for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda each: _apply(each, declared), servers))
    _apply(server, declared)
    assert _kept(api) == {"nightly": "ENABLED", "hourly": "ENABLED"}
    assert len(api.state.recurring) == 2


@pytest.mark.parametrize(
    ("schedule", "told"),
    [
        (NIGHTLY | {"pipeline": "trainig"}, r"there is no pipeline 'trainig' on the server\. Did you mean 'training'"),
        (NIGHTLY | {"version": "9"}, r"'training' has no version '9'"),
        (NIGHTLY | {"parameters": {"epochs": "many"}}, r"epochs='many': need a whole number"),
        (NIGHTLY | {"parameters": {"epoch": 1}}, r"no such parameter\. Did you mean 'epochs'"),
    ],
)
def test_nothing_is_changed_when_something_is_wrong(api, server, published, declare, schedule, told):
    with pytest.raises(ConfigError, match=told):
        _apply(server, declare(HOURLY, schedule))
    assert not api.state.recurring


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("schedules: []", "owner=None: need a name"),
        ("owner: a\nschedules: {}", "declares no schedules"),
        ("owner: a\nschedule: []\nschedules: []", "no setting 'schedule'. Did you mean 'schedules'"),
        (
            "owner: a\nschedules: [{name: n, pipeline: p, cron: 0 3 * * *}]",
            "five fields; KFP's have six.* Write '0 0 3",
        ),
        ("owner: a\nschedules: [{name: n, pipeline: p, cron: daily}]", "need six fields"),
        ("owner: a\nschedules: [{name: n, pipeline: p}]", "need either cron or every"),
        ("owner: a\nschedules: [{name: n, pipeline: p, every: 5s}]", "at least a minute"),
        ("owner: a\nschedules: [{name: n, pipeline: p, every: 1h, start: tomorrow}]", "need a time with a zone"),
        ("owner: a\nschedules: [{name: n, pipeline: p, every: 1h, start: 2026-01-01}]", "need a time with a zone"),
        ("owner: a\nschedules: [{name: n, pipeline: p, every: 1h, max_concurrency: 11}]", "need 1 to 10"),
        ("owner: a\nschedules: [{name: n, pipeline: p, every: 1h, enabeld: true}]", "Did you mean 'enabled'"),
        ("owner: a\nschedules: [{name: A b, pipeline: p, every: 1h}]", "cannot name"),
        (
            "owner: a\nschedules: [{name: n, pipeline: p, every: 1h}, {name: n, pipeline: p, every: 2h}]",
            "declared twice",
        ),
        ("owner: a\nschedules: [nightly]", "schedules.0: need settings"),
        ("a: [", "cannot be read"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path, text, told):
    file = tmp_path / "schedules.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=told):
        read_schedules(file)


def test_times_may_be_written_without_quotes(tmp_path):
    file = tmp_path / "schedules.yaml"
    entry = "{name: n, pipeline: p, every: 1h, start: 2026-01-01T03:00:00Z}"
    file.write_text(f"owner: a\nschedules: [{entry}]", encoding="utf-8")
    (schedule,) = read_schedules(file).schedules
    assert schedule.trigger["periodic_schedule"]["start_time"] == "2026-01-01T03:00:00+00:00"


def test_in_a_shared_server_schedules_live_in_the_namespace(connect, compiled, declare, monkeypatch):
    monkeypatch.setenv("ROPEWALK_KFP_TOKEN", "t")
    with serve(multi_user=True) as api:
        api.gate.tokens = {"t": "ann"}
        api.state.members = {"ann": {"team-a", "team-b"}}
        for namespace in ("team-a", "team-b"):
            server = connect(host=api.url, namespace=namespace)
            publish(server, open_request(str(compiled)), VersionName(name="1.0.0"))
            assert _apply(server, declare(NIGHTLY)) == [("create", "nightly")]
        assert len(api.state.recurring) == 2
        assert _apply(server, declare()) == [("delete", "nightly")]
        assert len(api.state.recurring) == 1


def test_the_command_only_says_what_it_would_do_when_asked_to(api, published, ropewalk, tmp_path):
    file = tmp_path / "schedules.yaml"
    file.write_text(
        textwrap.dedent(
            """
            owner: flights
            schedules:
              - name: nightly
                pipeline: training
                cron: "0 0 3 * * *"
                parameters: {epochs: 3, config: {training: {dropout: 0.1}}, data: sample:wine}
            """
        ),
        encoding="utf-8",
    )
    assert ropewalk("schedule", "apply", file, "--host", api.url, "--dry-run") == (0, "would create nightly\n", "")
    assert not api.state.recurring
    assert ropewalk("schedule", "apply", file, "--host", api.url) == (0, "create nightly\n", "")
    code, out, _ = ropewalk("schedule", "apply", file, "--host", api.url, "--json")
    assert (code, json.loads(out)) == (0, [{"action": "keep", "name": "nightly"}])
    (listed,) = json.loads(ropewalk("schedule", "ls", "--host", api.url, "--json")[1])
    assert (listed["owner"], listed["status"], listed["when"]) == ("flights", "ENABLED", "0 0 3 * * *")
    assert "nightly" in ropewalk("schedule", "ls", "--host", api.url)[1]
    profile = tmp_path / "cluster.yaml"
    profile.write_text(f"kfp: {{host: '{api.url}', experiment: work, service_account: trainer}}\n")
    assert ropewalk("schedule", "apply", file, "--profile", profile)[1] == "replace nightly\n"
    (kept,) = api.state.recurring.values()
    assert kept["service_account"] == "trainer"
    assert api.state.experiments[kept["experiment_id"]]["display_name"] == "work"
