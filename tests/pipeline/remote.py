"""Remote: a repository with a real remote, as a job has it checked out."""

import subprocess
from pathlib import Path
from typing import NamedTuple

from tests.child import clean_environment

IDENTITY = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example"}
COMMITTER = {"GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example"}
FILE, VERSION = "staging.yaml", "1.2.3"


class Site(NamedTuple):
    """Where it is played: the remote, the branch `main` of which has one commit; a checkout; room for programs."""

    remote: Path
    checkout: Path
    programs: Path

    def git(self, *words: str, at: Path | None = None) -> str:
        """Run git in the checkout, or there; what it printed."""
        env = {**clean_environment(), **IDENTITY, **COMMITTER}
        done = subprocess.run(
            ["git", *words], cwd=at or self.checkout, env=env, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def branches(self) -> list[str]:
        return self.git("for-each-ref", "--format=%(refname:short)", at=self.remote).splitlines()


def made(folder: Path) -> Site:
    """Make one in a folder."""
    site = Site(folder / "remote", folder / "checkout", folder / "programs")
    for place in site:
        place.mkdir()
    site.git("init", "--quiet", "--bare", "--initial-branch=main", at=site.remote)
    site.git("clone", "--quiet", str(site.remote), ".")
    site.git("checkout", "--quiet", "-B", "main")
    (site.checkout / FILE).write_text(f"{VERSION}\n")
    site.git("add", FILE)
    site.git("commit", "--quiet", f"--message=staging: {VERSION}")
    site.git("push", "--quiet", "origin", "main")
    return site
