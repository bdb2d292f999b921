"""Errors of the artifact store behind MLflow, which may be a disk, a server, S3 or anything else, as ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ropewalk.errors import RopewalkError, ServiceError

_LONGEST = 1500


@contextmanager
def store_errors(uri: str, what: str) -> Iterator[None]:
    """Turn whatever the artifact store raises while it takes `what` into a ServiceError; a full disk here stays one.

    Every kind of store has exceptions of its own, so that all are caught except our own.
    """
    try:
        yield
    except RopewalkError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        reason = " ".join(str(error).split())
        raise ServiceError(
            f"The artifact store of MLflow at {uri} did not take {what}: {reason[:_LONGEST]} Check that it has room "
            "(the server's log says more), and that the server, or this step when it writes there itself, has the "
            "credentials to write; then run again. No version was registered."
        ) from error
