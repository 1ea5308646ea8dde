"""A commit becomes one pull request: on a real repository with a real remote, with a gh that only listens."""

import json
import subprocess

import pytest

from tests.pipeline.outside import Answers, Outside, ran
from tests.pipeline.remote import FILE, VERSION, Site

BRANCH = "promote/staging"
COMMITS = (
    "printf '%s\\n' \"$1\" >"
    + FILE
    + ' && git commit --quiet --all --message="staging: $1" --message="It was $2."'
)
OPEN = {"pr list": ("12\n", 0)}


def proposed(site: Site) -> str:
    """The subjects of what is on the branch and not on main."""
    return site.git("log", "--format=%s", f"main..{BRANCH}", at=site.remote)


def propose(site: Site, gh: Outside, *words: str, version: str = "1.2.4") -> tuple[int, str]:
    """From a fresh checkout of main, as each job has one."""
    site.git("checkout", "--quiet", "--force", "main")
    if BRANCH in site.git("branch"):
        site.git("branch", "--force", "--delete", BRANCH)
    promote = ("bash", "-c", COMMITS, "promote", version, VERSION)
    return ran("propose", [*words, BRANCH, *promote], outside=gh.folder, cwd=site.checkout)


def gh(site: Site, answers: Answers | None = None) -> Outside:
    return Outside(site.programs, "gh", answers)


def test_a_commit_becomes_a_pull_request_that_is_tested(site: Site) -> None:
    outside = gh(site)
    code, said = propose(site, outside)
    assert code == 0, said
    assert proposed(site) == "staging: 1.2.4"
    assert site.git("show", f"{BRANCH}:{FILE}", at=site.remote) == "1.2.4"
    assert site.git("show", f"main:{FILE}", at=site.remote) == VERSION
    listed, created, tested = outside.asked
    assert listed[:2] == ["pr", "list"]
    text = ["--title", "staging: 1.2.4", "--body", f"It was {VERSION}."]
    assert created == ["pr", "create", "--head", BRANCH, "--base", "main", *text]
    assert tested == ["workflow", "run", "test.yml", "--ref", BRANCH]


def test_the_one_that_is_open_is_brought_up_to_date(site: Site) -> None:
    assert propose(site, gh(site))[0] == 0
    outside = gh(site, OPEN)
    code, said = propose(site, outside, version="1.2.5")
    assert code == 0, said
    assert proposed(site) == "staging: 1.2.5"
    assert ["pr", "edit", "12", "--title", "staging: 1.2.5", "--body", f"It was {VERSION}."] in outside.asked
    assert sum(asked[:2] == ["pr", "create"] for asked in outside.asked) == 1


def test_a_fork_with_a_branch_of_the_same_name_is_left_alone(site: Site) -> None:
    outside = gh(site)
    propose(site, outside)
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
    assert propose(site, outside, "--draft")[0] == 0
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
    code, _ = propose(site, gh(site, {"pr create": ("", 4)}))
    assert code == 4
