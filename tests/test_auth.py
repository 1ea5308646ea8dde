"""Access: what a header grants, until when, and how fast; and whom a pattern covers."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.auth import ANYONE, NOBODY, Grant, OpenAccess, TokenAccess, needed
from app.bucket import Bucket
from app.errors import Forbidden, TooFast, Unauthorized
from app.query import covered
from app.tokens import Scope
from tests.credentials import LONG_AGO, Credential, credential
from tests.store.model import PATTERNS, SOURCES, like

ONE, OTHER = credential("a*"), credential("b", scopes=("read",))


class Clock:
    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def granted(access: TokenAccess, who: Credential, scope: Scope = "read") -> Grant:
    return access.grant(who.bearer.encode(), scope)


def test_a_token_grants_its_scopes_and_its_sources() -> None:
    access = TokenAccess([ONE.token, OTHER.token])
    assert granted(access, ONE, "write").may_write("a1")
    assert not granted(access, ONE, "write").may_write("b")
    assert not granted(access, OTHER).may_write("b1")
    with pytest.raises(Forbidden):
        granted(access, OTHER, "write")
    with pytest.raises(Unauthorized):
        granted(access, credential())
    assert credential("*").token.sources == ("*",)
    everything = credential("x", "*")
    assert granted(TokenAccess([everything.token]), everything).sources is None


def test_a_token_ends_on_time() -> None:
    expiring = ONE.but(expires=LONG_AGO)
    clock = Clock(LONG_AGO.timestamp() - 0.001)
    access = TokenAccess([expiring.token], now=clock)
    grant = granted(access, expiring)
    assert access.holds(grant)
    clock.now = LONG_AGO.timestamp()
    assert not access.holds(grant)
    with pytest.raises(Unauthorized):
        granted(access, expiring)


def test_what_is_declared_anew_is_all_that_there_is() -> None:
    access = TokenAccess([ONE.token, OTHER.token])
    one, other = granted(access, ONE), granted(access, OTHER)
    access.declare([OTHER.token, ONE.but(sources=("c",)).token])
    assert not access.holds(one)
    assert access.holds(other)
    assert granted(access, ONE).sources == ("c",)
    access.declare([])
    assert not access.holds(other)
    with pytest.raises(Unauthorized):
        granted(access, OTHER)


def test_a_token_that_stays_keeps_what_it_has_used_up() -> None:
    slow = ONE.but(rate=0.001, burst=1.0)
    access = TokenAccess([slow.token])
    granted(access, slow).take()
    access.declare([slow.token, OTHER.token])
    with pytest.raises(TooFast):
        granted(access, slow).take()


def test_who_sees_the_same_shares_pages_and_nobody_else_does() -> None:
    def view(*sources: str) -> bytes:
        return Grant(scopes=frozenset(), sources=sources).view

    assert view("a", "b*") == view("b*", "a")
    views = [view("a", "b"), view("a"), view("ab"), view("a*"), view(), ANYONE.view]
    assert len(set(views)) == len(views)


def test_without_tokens_anybody_may_do_anything_and_nobody_nothing() -> None:
    access = OpenAccess()
    assert access.grant(None, "write") is access.grant(b"Bearer x", "read") is ANYONE
    with pytest.raises(Forbidden, match="TOKENS_FILE"):
        access.grant(None, "admin")
    assert access.holds(ANYONE)
    assert ANYONE.may_write("anything")
    assert not NOBODY.may_write("anything")
    assert not NOBODY.scopes


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/events", "read"),
        ("HEAD", "/events", "read"),
        ("POST", "/events", "write"),
        ("PUT", "/sources", "write"),
        ("GET", "/what/is/to/come", "read"),
        ("GET", "/purge", "admin"),
        ("POST", "/purge", "admin"),
        ("DELETE", "/purge", "admin"),
        ("GET", "/docs", None),
        ("GET", "/docs/index.html", None),
        ("GET", "/page/main.js", None),
        ("GET", "/page", "read"),
        ("GET", "/docsx", "read"),
        ("GET", "/metrics/", "read"),
        ("GET", "//metrics", "read"),
        ("GET", "", "read"),
    ],
)
def test_what_is_not_named_needs_a_token(method: str, path: str, scope: Scope | None) -> None:
    assert needed(method, path) == scope


def test_a_pattern_covers_what_the_databases_find() -> None:
    for source, pattern in product(SOURCES, PATTERNS):
        assert covered(source, (pattern,)) == like(pattern, source), (source, pattern)
        assert covered(source, ("nothing", pattern)) == like(pattern, source)
    assert not covered("a", ())


@given(st.text("ab*", max_size=8), st.text("ab*", max_size=8))
def test_a_star_covers_any_text(pattern: str, source: str) -> None:
    assert covered(source, (pattern,)) == like(pattern, source)


def test_a_bucket_fills_at_its_rate_up_to_its_burst() -> None:
    clock = Clock()
    bucket = Bucket(rate=2, burst=3, clock=clock)
    assert [bucket.take() for _ in range(4)] == [0, 0, 0, 0.5]
    clock.now += 0.25
    assert bucket.take() == 0.25  # to have asked costs nothing
    clock.now += 0.25
    assert [bucket.take() for _ in range(2)] == [0, 0.5]
    clock.now += 1000
    assert [bucket.take() for _ in range(4)] == [0, 0, 0, 0.5]


def test_what_a_bucket_has_not_is_paid_off_later() -> None:
    clock = Clock()
    bucket = Bucket(rate=10, burst=10, clock=clock)
    assert bucket.take() == 0
    bucket.pay(99)
    assert bucket.take() == pytest.approx(9.1)
    clock.now += 9.2
    assert bucket.take() == 0
