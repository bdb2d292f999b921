"""How the threads that torch computes with wait for each other."""

import os
from collections.abc import MutableMapping

_SET_BY_USER = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")


def let_waiting_threads_sleep(environment: MutableMapping[str, str] = os.environ) -> None:
    """Have OpenMP's threads sleep while they wait, unless the user said how they wait; before torch is imported.

    By default they spin. Where other work, or a container's limit, takes one thread's processor away, the others then
    spend theirs on waiting: with 2 threads and 15 processes that wanted 2 processors, two epochs of 20 steps took 4 to
    5 s with sleeping threads, and had not ended after 60 s with spinning ones (OpenMP 5.2, section 21.2.7).
    """
    if not any(name in environment for name in _SET_BY_USER):
        environment["OMP_WAIT_POLICY"] = "PASSIVE"
