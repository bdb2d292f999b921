"""A trial's log is taken in from its first line on."""

from collections.abc import Callable
from typing import Any

import pytest

from ropewalk.tuning import katib_pods
from ropewalk.tuning.spec import Experiment


@pytest.mark.parametrize("metrics", [{}, {"metrics": {"kind": "File", "path": "/m.log"}}])
def test_a_line_that_comes_while_following_begins_is_taken(
    metrics: dict[str, Any], experiment: Callable[..., Experiment], monkeypatch: pytest.MonkeyPatch
) -> None:
    def at_once(_cluster: object, _pod: str, _container: str, on_line: Callable[[str], None]) -> None:
        on_line("loss=1")

    monkeypatch.setattr(katib_pods, "FollowedLog", at_once)
    log: Any = katib_pods._TrialLog(experiment(**metrics), None, "pod", "main", 5)
    assert list(log.tail) == ["loss=1"]
    assert log.observations()
