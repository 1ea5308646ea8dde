"""Backups of Compose's PostgreSQL and the way up from SQLite, audited by the probe."""

from pathlib import Path

import pytest

from tests.compose.stack import Stack
from tests.engine import HARDENED, Container, docker
from tests.probe.conftest import judged

pytestmark = pytest.mark.timeout(900)


async def test_a_backup_brings_everything_back_on_a_machine_that_has_nothing(stack: Stack, tmp_path: Path) -> None:
    file, before, after = tmp_path / "backup", tmp_path / "before", tmp_path / "after"
    await judged(stack.url, "--rate=50", "--for=2s", f"--ledger={before}")
    stack.run("./backup", str(file))
    await judged(stack.url, "--rate=50", "--for=1s", f"--ledger={after}")

    stack.down()
    stack.run("./restore", str(file))
    verdict = await judged("verify", str(before), stack.url)
    assert (verdict["verdict"], verdict["events"]["acknowledged"]) == ("clean", 100)
    # The audit sees what is missing, and the restored one keeps what comes.
    assert (await judged("verify", str(after), stack.url, code=1))["events"]["lost"] == 50
    await judged(stack.url, "--rate=50", "--for=1s")


async def test_a_file_that_is_no_backup_changes_nothing(stack: Stack, tmp_path: Path) -> None:
    ledger, file = tmp_path / "ledger", tmp_path / "file"
    await judged(stack.url, "--rate=50", "--for=1s", f"--ledger={ledger}")
    file.write_bytes(b"PGDMP and nothing more")
    with pytest.raises(RuntimeError, match="pg_restore"):
        stack.run("./restore", str(file))
    assert (await judged("verify", str(ledger), stack.url))["verdict"] == "clean"


async def test_the_way_up_from_one_container_with_sqlite(stack: Stack, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    below = Container(stack.image, options=HARDENED, env={"ALLOW_ANONYMOUS": "true"}, publish=8080)
    with below:
        below.wait_until("healthy")
        url = f"http://127.0.0.1:{below.port}"
        await judged(url, "--rate=100", "--for=2s", "--batch=20", f"--ledger={ledger}")
        # From within, as its page says: an image is all that has to be there.
        copy = ("run", "--rm", "--network=host", stack.image, "copy", url, stack.url)
        assert "4000 copied, 0 were there, 0 rejected" in docker(*copy)
        assert "0 copied, 4000 were there, 0 rejected" in docker(*copy)
    assert (await judged("verify", str(ledger), stack.url))["verdict"] == "clean"
