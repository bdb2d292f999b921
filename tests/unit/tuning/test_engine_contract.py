"""What every engine does with an experiment; `make_engine` in conftest.py names the engines."""

import time

import pytest

from ropewalk.errors import ConfigError, RopewalkError, RunError
from ropewalk.tuning.engine import best_trial
from ropewalk.tuning.following import follow
from ropewalk.tuning.results import result_of

CASES = """case "$0" in
  fail) echo "no such file" >&2; exit 3;;
  silent) echo "loss: 0.1";;
  slow) echo loss=1; touch "$MARK.began"; sleep 60; touch "$MARK.ended";;
  *) echo "loss=$0";;
esac"""


@pytest.fixture
def grid_of(experiment, tmp_path):
    """Return a function that gives an experiment with one trial per value of `what`, in order."""

    def make(*values, line=CASES, **changes):
        limits = {"max_trials": len(values), **changes.pop("limits", {})}
        trial = {
            "command": ["sh", "-c", " ".join(line.split("\n")), "${trialParameters.what}"],
            "env": {"MARK": str(tmp_path / "mark")},
        }
        return experiment(
            parameters=[{"name": "what", "type": "categorical", "values": list(values)}],
            algorithm={"name": "grid"},
            limits=limits,
            trial=trial,
            **changes,
        )

    return make


def _run(engine, experiment):
    return follow(engine, experiment, say=lambda _: None)


def _states(snapshot):
    return [trial.state for trial in snapshot.trials]


def test_every_trial_runs_once_and_the_best_is_found(make_engine, grid_of):
    made = grid_of("0.5", "0.25", "0.75")
    snapshot = _run(make_engine(), made)
    assert _states(snapshot) == ["succeeded"] * 3
    assert [trial.number for trial in snapshot.trials] == [0, 1, 2]
    assert snapshot.end == "max_trials_reached"
    result = result_of(made, snapshot)
    assert (result.best_value, result.best_parameters) == (0.25, {"what": "0.25"})


def test_numbers_that_are_not_finite_do_not_win(make_engine, grid_of):
    made = grid_of("nan", "0.5", "-inf", "0.3", "NaN")
    snapshot = _run(make_engine(), made)
    assert best_trial(made.objective, snapshot.trials).values == {"what": "0.3"}
    assert "no finite number" in snapshot.trials[0].message


def test_metrics_that_cannot_be_read_fail_the_trial_and_say_why(make_engine, grid_of):
    snapshot = _run(make_engine(), grid_of("silent", "0.5"))
    assert _states(snapshot) == ["failed", "succeeded"]
    assert "never reported loss" in snapshot.trials[0].message


def test_an_experiment_whose_trials_all_fail_has_no_result(make_engine, grid_of):
    made = grid_of("fail", "silent")
    snapshot = _run(make_engine(), made)
    assert snapshot.end == "max_trials_reached"
    with pytest.raises(RunError, match=r"(?s)no trial succeeded with a finite loss \(2 failed\).*no such file"):
        result_of(made, snapshot)


@pytest.mark.parametrize("limit", [0, 1])
def test_the_first_failure_ends_it_when_none_is_allowed(make_engine, grid_of, limit):
    made = grid_of("0.5", "fail", "0.1", limits={"max_failed": limit})
    snapshot = _run(make_engine(), made)
    assert (_states(snapshot), snapshot.end) == (["succeeded", "failed"], "max_failed_reached")
    with pytest.raises(RunError, match=f"max_failed={limit} is reached"):
        result_of(made, snapshot)


def test_the_goal_stops_what_still_runs(make_engine, grid_of, tmp_path):
    made = grid_of(
        "slow",
        "0.5",
        "0.1",
        "0.2",
        objective={"metric": "loss", "type": "minimize", "goal": 0.1},
        limits={"parallel": 2},
    )
    snapshot = _run(make_engine(), made)
    assert (_states(snapshot), snapshot.end) == (["stopped", "succeeded", "succeeded"], "goal_reached")
    assert (tmp_path / "mark.began").exists()
    assert not (tmp_path / "mark.ended").exists()


def test_values_reach_the_command_as_they_are(make_engine, grid_of):
    values = ("a b", "c;d", "$HOME", "*", "`e` & f", "")
    made = grid_of(
        *values, line='printf "%s\\n" "<$0>" > "$MARK.$KATIB_TRIAL_NAME"; cat "$MARK.$KATIB_TRIAL_NAME"; echo loss=1'
    )
    snapshot = _run(make_engine(), made)
    assert _states(snapshot) == ["succeeded"] * len(values)


def test_a_hopeless_trial_is_stopped_early_with_all_its_processes(make_engine, grid_of, tmp_path):
    line = (
        'i=0; while [ $i -lt 3 ]; do i=$((i + 1)); echo "loss=$0"; done; '
        'case "$0" in 9) touch "$MARK.began"; sleep 60; touch "$MARK.ended";; esac'
    )
    made = grid_of(
        "1", "2", "9", "0.5", line=line, early_stopping={"settings": {"min_trials_required": 2, "start_step": 2}}
    )
    snapshot = _run(make_engine(), made)
    assert _states(snapshot) == ["succeeded", "succeeded", "early_stopped", "succeeded"]
    assert result_of(made, snapshot).best_value == 0.5
    assert not (tmp_path / "mark.ended").exists()


def test_a_trial_that_takes_too_long_fails(make_engine, grid_of):
    snapshot = _run(make_engine(), grid_of("slow", "0.5", limits={"trial_seconds": 1.5}))
    assert _states(snapshot) == ["failed", "succeeded"]
    assert "longer than trial_seconds=1.5" in snapshot.trials[0].message


def test_a_trial_that_says_nothing_any_more_fails(make_engine, grid_of):
    snapshot = _run(make_engine(), grid_of("slow", "0.5", limits={"stall_seconds": 1.5}))
    assert _states(snapshot) == ["failed", "succeeded"]
    assert "said nothing for stall_seconds=1.5" in snapshot.trials[0].message


def test_when_the_time_is_up_the_best_so_far_counts(make_engine, grid_of):
    made = grid_of("0.5", "slow", "0.1", limits={"experiment_seconds": 3})
    snapshot = _run(make_engine(), made)
    assert (_states(snapshot), snapshot.end) == (["succeeded", "stopped"], "out_of_time")
    assert result_of(made, snapshot).best_value == 0.5


def test_no_more_trials_run_at_once_than_allowed(make_engine, grid_of):
    made = grid_of("1", "2", "3", "4", line='sleep 0.3; echo "loss=$0"', limits={"parallel": 2})
    engine, most = make_engine(), 0
    engine.start(made)
    while (snapshot := engine.poll()).end is None:
        most = max(most, _states(snapshot).count("running"))
    assert most == 2


def test_what_runs_is_seen_with_its_reports(make_engine, grid_of):
    engine = make_engine()
    engine.start(grid_of("slow"))
    deadline = time.monotonic() + 20
    while not ((trials := engine.poll().trials) and trials[0].observations and trials[0].observations["loss"].reports):
        assert time.monotonic() < deadline
    assert (trials[0].state, trials[0].observations["loss"].latest) == ("running", 1.0)
    assert _states(engine.stop("out_of_time")) == ["stopped"]


def test_a_finished_experiment_is_not_run_again(make_engine, grid_of):
    made = grid_of("0.5", "fail", line=CASES)
    first = _run(make_engine(), made)
    again = _run(make_engine(), made)
    assert again == first


def test_an_interrupted_experiment_can_be_run_again(make_engine, grid_of, tmp_path):
    line = 'echo x >> "$MARK.$0"; echo "loss=$0"; case "$0" in 2) [ -e "$MARK.go" ] || sleep 60;; esac'
    made = grid_of("1", "2", "3", line=line)
    engine = make_engine()
    engine.start(made)
    while not (tmp_path / "mark.2").exists():
        engine.poll()
    engine.stop()
    (tmp_path / "mark.go").touch()
    snapshot = _run(make_engine(), made)
    assert _states(snapshot) == ["succeeded"] * 3
    times = [(tmp_path / f"mark.{value}").read_text().count("x") for value in "123"]
    # An experiment of the cluster's goes with the step that is ended: nobody else would stop its trials.
    assert times == {"local": [1, 2, 1], "katib": [2, 2, 1]}[engine.name]


def test_another_experiment_in_the_same_place_is_refused(make_engine, grid_of):
    _run(make_engine(), grid_of("0.5"))
    with pytest.raises(
        RopewalkError, match=r"another experiment, 'bowl', or this one with other settings|bowl is .* with another spec"
    ):
        _run(make_engine(), grid_of("0.6"))


def test_an_experiment_that_is_wrong_starts_nothing(make_engine, experiment):
    from dataclasses import replace

    with pytest.raises(ConfigError, match="name: 'Wrong'"):
        make_engine().start(replace(experiment(), name="Wrong"))


def test_hyperband_ends_with_its_last_rung(make_engine, experiment):
    space = [
        {"name": "x", "type": "double", "min": 0, "max": 1},
        {"name": "epochs", "type": "int", "min": 1, "max": 3},
    ]
    settings = {"r_l": 3, "resource_name": "epochs"}
    made = experiment(
        'echo "loss=$0"',
        parameters=space,
        algorithm={"name": "hyperband", "settings": settings},
        limits={"parallel": 3, "max_trials": 20},
    )
    snapshot = _run(make_engine(), made)
    assert [trial.values["epochs"] for trial in snapshot.trials] == [1, 1, 1, 3, 3, 3]
    assert snapshot.trials[3].values["x"] == min(trial.values["x"] for trial in snapshot.trials[:3])
    assert snapshot.end == "space_exhausted"
