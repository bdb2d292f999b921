"""How the threads that torch computes with wait for each other."""

import os
from collections.abc import MutableMapping

_SET_BY_USER = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
_SPINS = 2_000


def let_waiting_threads_sleep(environment: MutableMapping[str, str] = os.environ) -> None:
    """Have OpenMP's threads soon sleep while they wait, unless the user said how they wait; before torch is imported.

    By default GNU's spin up to 300,000 times (https://gcc.gnu.org/onlinedocs/libgomp/GOMP_005fSPINCOUNT.html). Where
    other work, or a container's limit, takes one thread's processor away, the others then spend theirs on waiting.
    Those that sleep at once must be woken for each of many short pieces of work. With 2,000 an epoch of small steps
    takes little longer than with 300,000 on a quiet machine, and little longer than without any on a busy one; see
    benchmarks/README.md. Other OpenMP libraries know no such number: there they sleep at once.
    """
    if not any(name in environment for name in _SET_BY_USER):
        environment.update(OMP_WAIT_POLICY="PASSIVE", GOMP_SPINCOUNT=str(_SPINS))
