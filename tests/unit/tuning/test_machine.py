"""Processors and GPUs are shared out by a trial's place."""

import os

import pytest

from ropewalk.tuning.machine import Machine, usable_cpus


def _env(machine, slot, **changes):
    return machine.env(slot, **{"parallel": 2, "processes": 1, "gpus": 0, **changes})


def test_processors_are_shared_by_trials_and_their_processes():
    machine = Machine(cpus=8)
    assert _env(machine, 0)["OMP_NUM_THREADS"] == "4"
    assert _env(machine, 0, processes=2)["OMP_NUM_THREADS"] == "2"
    assert _env(machine, 0, parallel=20)["OMP_NUM_THREADS"] == "1"
    assert _env(machine, 0, processes=2)["PET_NPROC_PER_NODE"] == "2"


def test_by_default_those_processors_count_that_this_process_may_use():
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        assert usable_cpus() == Machine().cpus == 1
    finally:
        os.sched_setaffinity(0, allowed)


@pytest.mark.parametrize(
    ("gpus", "expected"), [(0, ["0", "1", "2", "0"]), (2, ["0,1", "2,0", "1,2", "0,1"]), (9, ["0,1,2"] * 4)]
)
def test_gpus_are_taken_in_turn_by_the_trials_place(monkeypatch, gpus, expected):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0, 1,2")
    machine = Machine()
    found = [_env(machine, slot, gpus=gpus)["CUDA_VISIBLE_DEVICES"] for slot in range(4)]
    assert found == expected


def test_only_as_many_gpus_are_used_as_are_given(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-a,GPU-b,GPU-c")
    machine = Machine(gpus=2)
    assert [_env(machine, slot)["CUDA_VISIBLE_DEVICES"] for slot in range(3)] == ["GPU-a", "GPU-b", "GPU-a"]
    assert _env(Machine(gpus=0), 0)["CUDA_VISIBLE_DEVICES"] == ""


def test_a_machine_without_gpus_says_nothing_of_them(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert "CUDA_VISIBLE_DEVICES" not in _env(Machine(), 0)
