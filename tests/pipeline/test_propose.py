"""A commit becomes one pull request: on a real repository with a real remote, with a gh that only listens."""

import json
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.child import clean_environment
from tests.pipeline.outside import Answers, Outside, ran

BRANCH = "promote/staging"
FILE = "staging.yaml"
COMMITS = (
    "printf '%s\\n' \"$1\" >"
    + FILE
    + ' && git commit --quiet --all --message="staging: $1" --message="It was $2."'
)
IDENTITY = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example"}
COMMITTER = {"GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example"}
OPEN = {"pr list": ("12\n", 0)}


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

    def proposed(self) -> str:
        """The subjects of what is on the branch and not on main."""
        return self.git("log", "--format=%s", f"main..{BRANCH}", at=self.remote)

    def branches(self) -> list[str]:
        return self.git("for-each-ref", "--format=%(refname:short)", at=self.remote).splitlines()

    def propose(self, gh: Outside, *words: str, command: tuple[str, ...] = ("1.2.4", "1.2.3")) -> tuple[int, str]:
        """From a fresh checkout of main, as each job has one."""
        self.git("checkout", "--quiet", "--force", "main")
        if BRANCH in self.git("branch"):
            self.git("branch", "--force", "--delete", BRANCH)
        promote = ("bash", "-c", COMMITS, "promote", *command)
        return ran("propose", [*words, BRANCH, *promote], outside=gh.folder, cwd=self.checkout)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = Site(tmp_path / "remote", tmp_path / "checkout", tmp_path / "programs")
    for folder in made:
        folder.mkdir()
    made.git("init", "--quiet", "--bare", "--initial-branch=main", at=made.remote)
    made.git("clone", "--quiet", str(made.remote), ".")
    made.git("checkout", "--quiet", "-B", "main")
    (made.checkout / FILE).write_text("1.2.3\n")
    made.git("add", FILE)
    made.git("commit", "--quiet", "--message=staging: 1.2.3")
    made.git("push", "--quiet", "origin", "main")
    return made


def gh(site: Site, answers: Answers | None = None) -> Outside:
    return Outside(site.programs, "gh", answers)


def test_a_commit_becomes_a_pull_request_that_is_tested(site: Site) -> None:
    outside = gh(site)
    code, said = site.propose(outside)
    assert code == 0, said
    assert site.proposed() == "staging: 1.2.4"
    assert site.git("show", f"{BRANCH}:{FILE}", at=site.remote) == "1.2.4"
    assert site.git("show", f"main:{FILE}", at=site.remote) == "1.2.3"
    listed, created, tested = outside.asked
    assert listed[:2] == ["pr", "list"]
    text = ["--title", "staging: 1.2.4", "--body", "It was 1.2.3."]
    assert created == ["pr", "create", "--head", BRANCH, "--base", "main", *text]
    assert tested == ["workflow", "run", "test.yml", "--ref", BRANCH]


def test_the_one_that_is_open_is_brought_up_to_date(site: Site) -> None:
    assert site.propose(gh(site))[0] == 0
    outside = gh(site, OPEN)
    code, said = site.propose(outside, command=("1.2.5", "1.2.3"))
    assert code == 0, said
    assert site.proposed() == "staging: 1.2.5"
    assert ["pr", "edit", "12", "--title", "staging: 1.2.5", "--body", "It was 1.2.3."] in outside.asked
    assert sum(asked[:2] == ["pr", "create"] for asked in outside.asked) == 1


def test_a_fork_with_a_branch_of_the_same_name_is_left_alone(site: Site) -> None:
    outside = gh(site)
    site.propose(outside)
    listed = outside.asked[0]
    theirs = json.dumps([{"number": 5, "isCrossRepository": True}, {"number": 6, "isCrossRepository": False}])
    chosen = listed[listed.index("--jq") + 1]
    try:
        found = subprocess.run(["jq", chosen], input=theirs, capture_output=True, text=True, check=True).stdout
    except FileNotFoundError:
        pytest.skip("no jq here, which reads what gh is told to choose")
    assert found == "6\n"


def test_a_draft_is_asked_for(site: Site) -> None:
    outside = gh(site)
    assert site.propose(outside, "--draft")[0] == 0
    assert outside.asked[1][:3] == ["pr", "create", "--draft"]


def test_nothing_new_is_nothing_to_propose(site: Site) -> None:
    outside = gh(site)
    code, said = ran("propose", [BRANCH, "true"], outside=outside.folder, cwd=site.checkout)
    assert (code, outside.asked, site.branches()) == (0, [], ["main"]), said
    assert "nothing to propose" in said


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["false"], ""),
        (["bash", "-c", f"echo 1.2.4 >{FILE}"], "has not committed"),
        (["bash", "-c", "touch left-behind"], "has not committed"),
        ([], "usage"),
    ],
)
def test_what_went_wrong_is_not_proposed(site: Site, command: list[str], says: str) -> None:
    outside = gh(site)
    code, said = ran("propose", [BRANCH, *command], outside=outside.folder, cwd=site.checkout)
    assert code == 1
    assert says in said
    assert (outside.asked, site.branches()) == ([], ["main"])


def test_a_refusal_of_the_other_side_fails_the_job(site: Site) -> None:
    code, _ = site.propose(gh(site, {"pr create": ("", 4)}))
    assert code == 4
