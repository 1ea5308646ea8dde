"""Asks a collector, and again while it is away: backoff with jitter, `Retry-After`, an end. httpx."""

import copy
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Self

import httpx
import msgspec

from app.cli.exits import Exit, Stop

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 30.0  # of silence
AWAY = (408, 425, 429, 502, 503, 504)
FIRST_PAUSE = 0.25  # seconds; doubled after every attempt
LONGEST_PAUSE = 10.0
SHOWN = 500  # characters of an answer that is no problem document

Say = Callable[[str], None]


class Away(Exception):
    """It did not answer, or asked for patience, for as long as was waited; the message says why."""


class Refused(Exception):
    """The answer was no, and the same again would fare no better."""

    def __init__(self, answer: httpx.Response) -> None:
        self.problem = _problem(answer)
        self.status = answer.status_code
        super().__init__(f"{answer.request.method} {answer.url} was answered {self.status}: {self.problem.told}")


class Fault(msgspec.Struct, frozen=True):
    """What is wrong with one event of a request."""

    detail: str
    index: int | None = None


class Problem(msgspec.Struct, frozen=True):
    """What an answer says of a failure."""

    detail: str
    errors: tuple[Fault, ...] = ()

    @property
    def told(self) -> str:
        """In one line."""
        return "; ".join([self.detail, *(fault.detail for fault in self.errors[:3])])


_decode_problem = msgspec.json.Decoder(Problem).decode


class Caller:
    """The collector at a URL. `patience`: seconds for it to come back; `note` hears that it is away."""

    def __init__(self, url: str, token: str | None, *, patience: float, note: Say = lambda _: None) -> None:
        self.url = url
        self._client = httpx.Client(
            base_url=url,
            headers={} if token is None else {"Authorization": f"Bearer {token}"},
            timeout=httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
        )
        self.patience = patience
        self._note = note

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def patient(self, seconds: float) -> "Caller":
        """The same, with other patience, over the same connections."""
        other = copy.copy(self)
        other.patience = seconds
        return other

    def get(self, path: str, parameters: list[tuple[str, str]]) -> httpx.Response:
        """An answer of 2xx. Raises Away, Refused."""
        return self.insist(lambda: _checked(self._client.get(path, params=httpx.QueryParams(tuple(parameters)))))

    def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> httpx.Response:
        """An answer of 2xx; what is sent again is the same. Raises Away, Refused."""
        return self.insist(lambda: _checked(self._client.post(path, content=body, headers=headers)))

    @contextmanager
    def stream(
        self, path: str, parameters: list[tuple[str, str]], headers: Mapping[str, str]
    ) -> Iterator[httpx.Response]:
        """One attempt at an answer that is read as it comes.

        Raises Refused; httpx.TransportError and httpx.HTTPStatusError for what is worth another attempt.
        """
        with self._client.stream(
            "GET", path, params=httpx.QueryParams(tuple(parameters)), headers=headers
        ) as answer:
            if not answer.is_success:
                answer.read()
            yield _checked(answer)

    def insist(self, attempt: Callable[[], httpx.Response]) -> httpx.Response:
        """Attempt it until there is an answer. Raises Away, Refused."""
        waits = Waits(self.patience, self._note)
        while True:
            try:
                return attempt()
            except (httpx.TransportError, httpx.HTTPStatusError) as error:
                waits.after(error, self.url)


class Waits:
    """The pauses between attempts at one thing."""

    def __init__(self, patience: float, note: Say) -> None:
        self._until = time.monotonic() + patience
        self._patience = patience
        self._pause = FIRST_PAUSE
        self._note = note

    def after(self, error: httpx.TransportError | httpx.HTTPStatusError, url: str) -> None:
        """Wait before the next attempt. Raises Away where there is no time for one."""
        reason, asked = _told(error, url)
        # Spread over half of the pause, so that many who were sent away do not come back at once.
        pause = asked + random.uniform(self._pause / 2, self._pause)  # noqa: S311 - it spreads, it guards nothing
        if time.monotonic() + pause > self._until:
            raise Away(reason) from error
        self._note(f"{reason}; trying again")
        time.sleep(pause)
        self._pause = min(self._pause * 2, LONGEST_PAUSE)

    def well(self) -> None:
        """It goes on: begin anew when it fails the next time."""
        self._until, self._pause = time.monotonic() + self._patience, FIRST_PAUSE


@contextmanager
def stopping() -> Iterator[None]:
    """What a command cannot mend becomes Stop."""
    try:
        yield
    except Away as away:
        raise Stop(str(away), Exit.AWAY) from away
    except Refused as refused:
        raise Stop(str(refused)) from refused
    except (httpx.InvalidURL, httpx.HTTPError) as error:
        raise Stop(f"{type(error).__name__}: {error}") from error


def _checked(answer: httpx.Response) -> httpx.Response:
    if answer.is_success:
        return answer
    if answer.status_code in AWAY:
        raise httpx.HTTPStatusError(_problem(answer).told, request=answer.request, response=answer)
    raise Refused(answer)


def _told(error: httpx.TransportError | httpx.HTTPStatusError, url: str) -> tuple[str, float]:
    """The reason in a line, and the seconds that it asks for."""
    if isinstance(error, httpx.HTTPStatusError):
        text = error.response.headers.get("retry-after", "")
        seconds = float(text) if text.isascii() and text.isdigit() else 0.0
        return f"{url} answered {error.response.status_code}: {error}", seconds
    return f"{url} does not answer: {error or type(error).__name__}", 0.0


def _problem(answer: httpx.Response) -> Problem:
    try:
        return _decode_problem(answer.content)
    except msgspec.DecodeError:
        return Problem(" ".join(answer.text.split())[:SHOWN] or answer.reason_phrase)
