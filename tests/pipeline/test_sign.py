"""What was pushed is signed by its digest, and then verified; a tag is never signed."""

from pathlib import Path

import pytest

from tests.pipeline.outside import Answers, Outside, ran

DIGEST = f"ghcr.io/somebody/charts/collector@sha256:{'a' * 64}"
IDENTITY = "https://github.com/somebody/collector/.github/workflows/release.yml@refs/tags/v1.2.3"


def signed(folder: Path, what: str, answers: Answers | None = None) -> tuple[int, Outside, str]:
    """The exit code, the cosign that was asked, and the summary."""
    cosign, summary = Outside(folder, "cosign", answers), folder / "summary"
    summary.touch()
    server, _, workflow = IDENTITY.partition("/somebody")
    env = {"GITHUB_SERVER_URL": server, "GITHUB_WORKFLOW_REF": f"somebody{workflow}"}
    code, _ = ran("sign", [what], outside=folder, cwd=folder, GITHUB_STEP_SUMMARY=str(summary), **env)
    return code, cosign, summary.read_text()


def test_it_is_signed_and_verified_as_anybody_can(tmp_path: Path) -> None:
    code, cosign, summary = signed(tmp_path, DIGEST)
    sign, verify = cosign.asked
    assert code == 0
    assert sign == ["sign", "--yes", "--recursive", DIGEST]
    issuer = ["--certificate-oidc-issuer", "https://token.actions.githubusercontent.com"]
    assert verify == ["verify", "--certificate-identity", IDENTITY, *issuer, DIGEST]
    assert f"cosign {' '.join(verify)}" in summary


@pytest.mark.parametrize("what", ["ghcr.io/somebody/collector:1.2.3", "collector@sha256:", "", "@"])
def test_what_is_no_digest_is_not_signed(tmp_path: Path, what: str) -> None:
    code, cosign, summary = signed(tmp_path, what)
    assert (code, cosign.asked, summary) == (1, [], "")


def test_a_signature_that_does_not_verify_fails_the_job(tmp_path: Path) -> None:
    code, cosign, summary = signed(tmp_path, DIGEST, {"verify": ("", 3)})
    assert (code, len(cosign.asked), summary) == (3, 2, "")
