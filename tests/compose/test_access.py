"""Who may come in: tokens and webhooks as .env gives them to the collectors, through nginx."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.compose.stack import START_SECONDS, Stack, eventually
from tests.credentials import Credential, credential, lines
from tests.hooks.deliveries import SECRETS, fixture, signed

REPLICAS = ("collector", "collector-2", "collector-3")
EVENT = {"source": "guarded", "action": "a"}
ONE, NEXT = credential("guarded"), credential("guarded", "github")
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def folder(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What the collectors see as /run/access, while they ask for tokens; afterwards the stack is as it was."""
    folder = tmp_path_factory.mktemp("access")
    folder.chmod(0o755)  # they are not who runs this
    (folder / "tokens").write_text(lines(ONE))
    (folder / "hooks.json").write_text(json.dumps({"github": {"kind": "github", "secrets": [SECRETS["github"]]}}))
    before = stack.envfile.read_text()
    given = {
        "COLLECTOR_ACCESS": folder,
        "TOKENS_FILE": "/run/access/tokens",
        "HOOKS_FILE": "/run/access/hooks.json",
    }
    stack.envfile.write_text(before + "".join(f"{name}={value}\n" for name, value in given.items()))
    try:
        replace(stack)
        yield folder
    finally:
        stack.envfile.write_text(before)
        replace(stack)


@pytest.fixture
def client(stack: Stack, folder: Path) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=stack.url, trust_env=False) as client:
        yield client


def replace(stack: Stack) -> None:
    """Bring in what .env says now, without the time that leaving takes."""
    stack.compose("up", "--no-build", "--no-deps", "--detach", "--timeout=1", *REPLICAS)
    # `--wait` would give up at the first check that fails, as on a machine that has other things to do.
    assert eventually(lambda: {stack.states()[name]["Health"] for name in REPLICAS} == {"healthy"}, START_SECONDS)


def codes(client: httpx.Client, token: Credential | None) -> set[int]:
    """The answers to a few events, so that every replica gives one."""
    headers = {} if token is None else token.headers
    return {client.post("/events", json=EVENT, headers=headers).status_code for _ in range(9)}


def test_who_has_no_token_stays_out_and_a_new_file_is_taken_up(client: httpx.Client, folder: Path) -> None:
    assert (codes(client, None), codes(client, ONE), codes(client, NEXT)) == ({401}, {201}, {401})
    new = folder / "tokens.new"
    new.write_text(lines(NEXT))
    new.rename(folder / "tokens")
    eventually(lambda: (codes(client, ONE), codes(client, NEXT)) == ({401}, {201}))
    assert (codes(client, ONE), codes(client, NEXT)) == ({401}, {201})


def test_a_webhook_needs_its_signature_and_no_token(client: httpx.Client, folder: Path) -> None:
    (folder / "tokens").write_text(lines(NEXT))
    one = fixture("github", "push")
    headers = signed(one.sender, one.headers, one.body)
    assert client.post("/hooks/github", content=one.body + b" ", headers=headers).status_code == 401
    sent = [client.post("/hooks/github", content=one.body, headers=headers).status_code for _ in range(2)]
    assert sent == [201, 200]
    (wanted,) = one.gives
    eventually(lambda: codes(client, NEXT) == {201})
    (kept,) = client.get("/events?source=github", headers=NEXT.headers).json()
    assert (kept["id"], kept["action"], kept["subject"]) == (wanted["id"], wanted["action"], wanted["subject"])
