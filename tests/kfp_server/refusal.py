"""How the API server refuses: a status, a code of gRPC, and a message."""

_STATUS = {3: 400, 5: 404, 6: 409, 7: 403, 9: 400, 13: 500, 16: 401}
"""grpc-gateway's table."""

INVALID, ABSENT, EXISTS, FORBIDDEN, PRECONDITION, UNKNOWN_USER = 3, 5, 6, 7, 9, 16


class Refusal(Exception):
    """A request that the server refuses."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.status = _STATUS[code]

    @property
    def body(self) -> dict[str, object]:
        """What is answered."""
        return {"code": self.code, "message": str(self), "details": []}
