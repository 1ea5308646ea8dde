"""Every cause of failure: its message, its HTTP status, whether to send the same again.

The docstring of a class is the problem's title, its attributes are the rest of RFC 9457; nothing else in the
project decides a status for a failure.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import msgspec

Outcome = Literal["not_kept", "unknown"]


class Fault(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing wrong with a request: `index` counts events from 0, `pointer` is RFC 6901 into the event."""

    detail: str
    index: int | None = None
    pointer: str | None = None


class Problem(Exception):
    """Something went wrong."""

    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False
    retry_after: ClassVar[int | None] = None  # seconds
    headers: ClassVar[Mapping[str, str]] = {}

    def __init__(self, detail: str = "", *, errors: Sequence[Fault] = (), **extra: object) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = tuple(errors)
        self.extra = extra

    @classmethod
    def kind(cls) -> str:
        """The problem's `type`, a URN made of the class's name: TooLarge is urn:problem:too-large."""
        return "urn:problem:" + "".join(f"-{c.lower()}" if c.isupper() else c for c in cls.__name__).strip("-")

    @classmethod
    def title(cls) -> str:
        """The first line of the docstring."""
        return (cls.__doc__ or "").splitlines()[0]

    def document(self) -> dict[str, object]:
        """The members of the `application/problem+json` document."""
        members: dict[str, object] = {
            "type": self.kind(),
            "title": self.title(),
            "status": self.status,
            "detail": self.detail or self.title(),
            "retryable": self.retryable,
        }
        if self.errors:
            members["errors"] = self.errors
        return members | self.extra

    def header_lines(self) -> dict[str, str]:
        """Headers that go with the document."""
        lines = {"Content-Type": "application/problem+json", **self.headers}
        if self.retry_after is not None:
            lines["Retry-After"] = str(self.retry_after)
        return lines


class Malformed(Problem):
    """The body cannot be read."""

    status = 400


class BadParameter(Problem):
    """A parameter or a header cannot be right."""

    status = 400


class BadSignature(Problem):
    """The request is not signed with a secret of this webhook."""

    status = 401
    headers: ClassVar[Mapping[str, str]] = {"WWW-Authenticate": "Signature"}


class Unauthorized(Problem):
    """This needs a token that is known and has not expired."""

    status = 401
    headers: ClassVar[Mapping[str, str]] = {"WWW-Authenticate": "Bearer"}


class Forbidden(Problem):
    """The token is not one for this."""

    status = 403


class NotFound(Problem):
    """There is nothing here."""

    status = 404


class MethodNotAllowed(Problem):
    """This path does not take that method."""

    status = 405


class NotAcceptable(Problem):
    """None of the types in Accept can be given."""

    status = 406


class TooSlow(Problem):
    """The request did not come in time."""

    status = 408
    retryable = True
    retry_after = 1


class Conflict(Problem):
    """Another event with this source and id, but other content, is already kept."""

    status = 409


class CursorGone(Problem):
    """The cursor is from before what retention kept."""

    status = 410


class TooLarge(Problem):
    """The body or an event in it is larger than the limit."""

    status = 413


class UnsupportedType(Problem):
    """The body's media type or encoding is not one that is taken."""

    status = 415
    headers: ClassVar[Mapping[str, str]] = {
        "Accept-Post": "application/json, application/x-ndjson, "
        "application/cloudevents+json, application/cloudevents-batch+json",
        "Accept-Encoding": "gzip, zstd, identity",
    }


class Invalid(Problem):
    """Nothing was kept: no event in the body can be."""

    status = 422


class TooFast(Problem):
    """The token's rate is used up: send the same again, later."""

    status = 429
    retryable = True
    retry_after = 1

    def __init__(self, detail: str = "", *, seconds: int = 1) -> None:
        """`seconds`: until the same may be sent again."""
        super().__init__(detail)
        self.seconds = seconds

    def header_lines(self) -> dict[str, str]:
        """Headers that go with the document."""
        return super().header_lines() | {"Retry-After": str(self.seconds)}


class HeadersTooLarge(Problem):
    """The request's line and headers are larger than the limit."""

    status = 431


class Internal(Problem):
    """A bug in the collector: please report it with the request's id."""

    status = 500


class Unavailable(Problem):
    """The collector cannot do this now: send the same again."""

    status = 503
    retryable = True
    retry_after = 1

    def __init__(self, detail: str = "", *, outcome: Outcome | None = None, errors: Sequence[Fault] = ()) -> None:
        """`outcome`: for writes, whether it is certain that nothing was kept."""
        extra = {} if outcome is None else {"outcome": outcome}
        super().__init__(detail, errors=errors, **extra)
        self.outcome = outcome


class Overloaded(Unavailable):
    """More is waiting than the bounds allow: send the same again, later."""

    retry_after = 2


class Draining(Unavailable):
    """This process is leaving: send the same again, to another."""
