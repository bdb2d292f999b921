"""Patience that suits a server on this machine."""

from ropewalk.cluster.patience import Patience

QUICK = Patience(
    shortest_poll=0.02,
    longest_poll=1.0,
    first_retry=0.05,
    unreachable=8.0,
    notice=0.1,
    blocked=0.4,
    deletion=3.0,
    log_end=5.0,
)
