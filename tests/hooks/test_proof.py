"""Proofs: what is signed comes in, and nothing else does."""

import json
from collections.abc import Callable

import pytest

from app.errors import BadSignature
from app.hooks import Delivery, proof
from app.hooks.declared import SENDERS
from app.hooks.reading import read
from tests.hooks.deliveries import NOW, SECRETS, Headers, fixtures, signed, standard
from tests.hooks.test_senders import hook

ONE = {one.sender: one for one in fixtures()}
OF_THE_BODY = ("github", "standard")  # the others prove only that they know the secret
SIGNING_TOKEN = "whsec_dGVzdHRlc3R0ZXN0dGVzdHRlc3R0ZXN0dGVzdHRlc3Q="
OTHER = "whsec_b3RoZXJvdGhlcm90aGVyb3RoZXJvdGhlcg=="


def comes_in(sender: str, headers: Headers, body: bytes, *secrets: str, now: float = NOW) -> bool:
    try:
        return bool(read(hook(sender, *secrets), headers, now, body).events)
    except BadSignature:
        return False


@pytest.mark.parametrize("sender", SENDERS)
def test_the_right_secret_comes_in(sender: str) -> None:
    one = ONE[sender]
    assert comes_in(sender, signed(sender, one.headers, one.body), one.body)


@pytest.mark.parametrize("sender", SENDERS)
def test_no_proof_and_another_secret_do_not(sender: str) -> None:
    one = ONE[sender]
    assert not comes_in(sender, one.headers, one.body)
    assert not comes_in(sender, signed(sender, one.headers, one.body, OTHER), one.body)


@pytest.mark.parametrize("sender", SENDERS)
def test_two_secrets_are_good_at_once_and_the_old_one_no_longer_than_it_is_named(sender: str) -> None:
    one, old = ONE[sender], SECRETS[sender]
    by_old, by_new = (signed(sender, one.headers, one.body, secret) for secret in (old, OTHER))
    assert comes_in(sender, by_old, one.body, old, OTHER)
    assert comes_in(sender, by_new, one.body, old, OTHER)
    assert not comes_in(sender, by_old, one.body, OTHER)


def flipped(body: bytes) -> bytes:
    return bytes([body[0] ^ 1]) + body[1:]


def reserialised(body: bytes) -> bytes:
    return json.dumps(json.loads(body)).encode()


def nothing(_: bytes) -> bytes:
    return b""


@pytest.mark.parametrize("change", [flipped, reserialised, lambda body: body + b"\n", nothing])
@pytest.mark.parametrize("sender", OF_THE_BODY)
def test_another_body_does_not(sender: str, change: Callable[[bytes], bytes]) -> None:
    one = ONE[sender]
    assert change(one.body) != one.body
    assert not comes_in(sender, signed(sender, one.headers, one.body), change(one.body))


@pytest.mark.parametrize("sender", SENDERS)
def test_every_bit_of_a_proof_counts(sender: str) -> None:
    one = ONE[sender]
    headers = signed(sender, one.headers, one.body)
    (name,) = {"x-hub-signature-256", "x-gitlab-token", "authorization", "webhook-signature"} & headers.keys()
    for wrong in (headers[name][:-1], headers[name] + "x", headers[name].swapcase(), "", "sha256=", "v1,", "é"):
        assert not comes_in(sender, {**headers, name: wrong}, one.body), wrong


@pytest.mark.parametrize("late", [-301, 301, 360, -360, 10**6])
def test_a_delivery_that_is_signed_with_its_time_must_be_fresh(late: int) -> None:
    one = ONE["standard"]
    headers = signed("standard", one.headers, one.body)
    assert comes_in("standard", headers, one.body, now=NOW + 299)
    assert comes_in("standard", headers, one.body, now=NOW - 299)
    assert not comes_in("standard", headers, one.body, now=NOW + late)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("webhook-timestamp", str(int(NOW) + 1)),
        ("webhook-timestamp", "now"),
        ("webhook-timestamp", "-1"),
        ("webhook-timestamp", "9" * 500),
        ("webhook-timestamp", ""),
        ("webhook-id", "another"),
        ("webhook-id", ""),
    ],
)
def test_what_is_signed_with_the_body_counts_too(name: str, wrong: str) -> None:
    one = ONE["standard"]
    assert not comes_in("standard", {**signed("standard", one.headers, one.body), name: wrong}, one.body)


def test_an_id_that_is_empty_is_not_taken_even_when_signed() -> None:
    headers = standard(SECRETS["standard"], {"webhook-id": ""}, b"{}", NOW)
    assert not comes_in("standard", headers, b"{}")


def test_one_right_signature_among_several_is_enough() -> None:
    one = ONE["standard"]
    headers = signed("standard", one.headers, one.body)
    right = headers["webhook-signature"]
    for several in (f"v1,AAAA {right}", f"{right} v1a,AAAA", f"v2,x v1,{'A' * 44} {right}"):
        assert comes_in("standard", {**headers, "webhook-signature": several}, one.body)


def test_the_vector_of_standard_webhooks() -> None:
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    key = proof.standard_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    delivery = Delivery(headers=headers, body=b'{"test": 2432232314}')
    assert proof.standard(delivery, (key,), 1614265330.0)


def test_the_vector_of_github() -> None:
    signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    delivery = Delivery(headers={"x-hub-signature-256": signature}, body=b"Hello, World!")
    assert SENDERS["github"].signed(delivery, (b"It's a Secret to Everybody",), NOW)


def test_gitlab_signs_where_it_has_a_signing_token() -> None:
    one = ONE["gitlab"]
    headers = signed("gitlab", one.headers, one.body, SIGNING_TOKEN)
    assert comes_in("gitlab", headers, one.body, SIGNING_TOKEN)
    assert comes_in("gitlab", headers, one.body, "an old secret token", SIGNING_TOKEN)
    assert not comes_in("gitlab", headers, one.body + b" ", SIGNING_TOKEN)
    assert not comes_in("gitlab", headers, one.body, SIGNING_TOKEN, now=NOW + 301)
    # Who has read the signing token's name for a secret token gets no further.
    assert not comes_in("gitlab", one.headers | {"x-gitlab-token": SIGNING_TOKEN}, one.body, SIGNING_TOKEN)
