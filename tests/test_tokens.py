"""Tokens as they are declared: what is read, what is refused without repeating it, and what is made."""

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, datetime, timedelta

import pytest

from app.cli.terminal import run
from app.tokens import Token, TokensError, entry, hash_of, new_secret, read_tokens
from tests.credentials import credential, lines

CANARY = new_secret()
SOME = {"name": "web", "hash": hash_of(CANARY), "scopes": ["write"], "sources": ["web*"]}


def declared(**fields: object) -> str:
    return json.dumps(SOME | fields)


def test_a_line_each_or_a_list_are_the_same() -> None:
    tokens = (credential("a").token, credential("b", "c*", rate=1.0, burst=5.0).token)
    one_a_line = "\n\n".join(f"  {entry(token)} " for token in tokens) + "\r\n"
    a_list = f" [{entry(tokens[0])},\n{entry(tokens[1])}]\n"
    assert read_tokens(one_a_line) == read_tokens(a_list) == tokens
    assert read_tokens("[]") == ()


def test_what_it_says_is_what_it_means() -> None:
    (token,) = read_tokens(declared(expires="2030-01-01T02:00:00+02:00", rate=2, scopes=["read", "write"]))
    assert token == Token(
        name="web",
        hash=hash_of(CANARY),
        scopes=("read", "write"),
        sources=("web*",),
        expires=datetime(2030, 1, 1, tzinfo=UTC),
        rate=2.0,
    )


WRONG = {
    "nothing": "",
    "white space": " \n ",
    "no JSON": CANARY,
    "no object": f'"{CANARY}"',
    "a list that does not end": f"[{declared()}",
    "no list of objects": f'["{CANARY}"]',
    "no name": json.dumps({name: value for name, value in SOME.items() if name != "name"}),
    "an empty name": declared(name=""),
    "a name with a control character": declared(name="a\0"),
    "the token in the place of its hash": declared(hash=CANARY),
    "the hash of something else": declared(hash="md5:00"),
    "a field that there is not": declared(**{CANARY: 1}),
    "the token itself": declared(token=CANARY),
    "no scope": declared(scopes=[]),
    "a scope twice": declared(scopes=["read", "read"]),
    "a scope that there is not": declared(scopes=[CANARY]),
    "no source": declared(sources=[]),
    "an empty source": declared(sources=[""]),
    "a source with white space around it": declared(sources=[" web"]),
    "one source": declared(sources="web"),
    "too many sources": declared(sources=[f"s{n}" for n in range(101)]),
    "an expiry without an offset": declared(expires="2030-01-01T00:00:00"),
    "an expiry that is none": declared(expires="tomorrow"),
    "no rate": declared(rate=0),
    "a rate in words": declared(rate=CANARY),
    "a burst without a rate": declared(burst=5),
    "a burst of none": declared(rate=5, burst=0.5),
    "one of them twice": f"{declared()}\n{declared(name='other')}",
    "no UTF-8": "\udcff",
    "no UTF-8 in a list": "[\udcff]",
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_one_line_that_repeats_no_token(name: str) -> None:
    with pytest.raises(TokensError) as caught:
        read_tokens(WRONG[name])
    said = str(caught.value)
    assert said
    assert "\n" not in said
    assert CANARY not in said


def test_the_place_of_the_entry_is_told() -> None:
    with pytest.raises(TokensError, match=r"^entry 2: hash is sha256: and 64 hexadecimal digits"):
        read_tokens(f"{lines(credential())}\n{declared(hash=CANARY)}")
    with pytest.raises(TokensError, match=r"^entry 3 has the hash of entry 1$"):
        read_tokens(f"[{declared()}, {entry(credential().token)}, {declared(sources=['b'])}]")


def minted(*words: str) -> tuple[int, list[str], str]:
    """`collector token new`: its code, what it says, and what it says about it."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = run(["token", "new", *words])
    return code, out.getvalue().splitlines(), err.getvalue()


NEEDED = ("--name=web", "--scope=write", "--source=web*")


def test_a_new_token_and_its_entry_belong_together() -> None:
    code, (secret, line), notes = minted(*NEEDED, "--scope=read", "--source=b", "--expires=90d", "--rate=5")
    (token,) = read_tokens(line)
    assert code == 0
    assert token.hash == hash_of(secret)
    assert (token.name, token.scopes, token.sources) == ("web", ("write", "read"), ("web*", "b"))
    assert token.expires is not None
    assert timedelta(days=89) < token.expires - datetime.now(UTC) <= timedelta(days=90)
    assert secret not in line
    assert secret not in notes


def test_no_two_are_alike_and_none_can_be_guessed() -> None:
    secrets = {minted(*NEEDED)[1][0] for _ in range(100)}
    assert len(secrets) == 100
    # 64 characters to choose from, 6 bits each.
    assert all(len(secret.removeprefix("collector_")) * 6 >= 256 for secret in secrets)


@pytest.mark.parametrize(
    "words",
    [
        (),
        NEEDED[:2],
        (*NEEDED, "--scope=all"),
        (*NEEDED, "--expires=soon"),
        (*NEEDED, "--expires=2030-01-01"),
        (*NEEDED, "--expires=99999999d"),
        (*NEEDED, "--rate=0"),
        (*NEEDED, "--rate=nan"),
        (*NEEDED, "--rate=fast"),
        (*NEEDED, "--burst=3"),
        (*NEEDED, "--source= "),
        (*NEEDED, "--nam=x"),
        (*NEEDED, "more"),
    ],
    ids=str,
)
def test_what_is_wrongly_asked_makes_none(words: tuple[str, ...]) -> None:
    code, said, noted = minted(*words)
    assert (code, said) == (2, [])
    assert "token new" in noted
