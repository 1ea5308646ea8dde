"""promote: it writes which image an environment runs, nothing else, and commits that alone."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.kube.tools import ROOT
from tests.readme import commands_for

ONE, OTHER = (f"sha256:{digit * 64}" for digit in "12")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A repository with argocd/promote and two environments."""
    envs = tmp_path / "argocd/envs"
    envs.mkdir(parents=True)
    shutil.copy(ROOT / "argocd/promote", tmp_path / "argocd/promote")
    for path in ROOT.glob("argocd/envs/*.yaml"):
        shutil.copy(path, envs)
    for name, tag, digest in (("staging", "1.2.3", ONE), ("production", "1.2.2", OTHER)):
        text = (ROOT / f"argocd/envs/{name}.yaml").read_text()
        block = (
            f'image:  # by promote\n  # the one that decides:\n  digest: {digest}  # a digest\n  tag: "{tag}"\n'
        )
        head, _, rest = text.partition("image:")
        (envs / f"{name}.yaml").write_text(head + block + rest.partition("digest:")[2].partition("\n")[2])
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "config", "user.name", "somebody")
    git(tmp_path, "config", "user.email", "somebody@example.com")
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "--quiet", "--message", "All of it")
    return tmp_path


def git(tree: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=tree, capture_output=True, text=True, check=True)
    return done.stdout


def promote(tree: Path, *words: str) -> tuple[int, str, str]:
    command = [sys.executable, str(tree / "argocd/promote"), *words]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def image(tree: Path, environment: str) -> dict[str, str]:
    values = yaml.safe_load((tree / f"argocd/envs/{environment}.yaml").read_text())
    return dict(values["image"])


def test_a_promotion_is_two_lines_and_one_commit(tree: Path) -> None:
    (command,) = commands_for(__file__)
    program, *words = command.split()
    status, told, _ = promote(tree, *words)
    assert (program, status) == ("argocd/promote", 0)
    changed = [line for line in told.splitlines() if line[0] in "+-"]
    assert changed == [
        "--- a/argocd/envs/production.yaml",
        "+++ b/argocd/envs/production.yaml",
        f"-  digest: {OTHER}  # a digest",
        '-  tag: "1.2.2"',
        f'+  digest: "{ONE}"  # a digest',
        '+  tag: "1.2.3"',
    ]
    assert git(tree, "log", "--format=%s").splitlines() == ["Promote 1.2.3 to production", "All of it"]
    assert git(tree, "show", "--format=", "--name-only").split() == ["argocd/envs/production.yaml"]
    assert git(tree, "show", "--format=%b", "--no-patch").strip() == ONE
    assert not git(tree, "status", "--porcelain")


def test_the_values_are_those_that_the_chart_takes(tree: Path) -> None:
    before = yaml.safe_load((tree / "argocd/envs/staging.yaml").read_text())
    assert promote(tree, "staging", "--digest", OTHER, "--version", "2.0.0-rc.1")[0] == 0
    after = yaml.safe_load((tree / "argocd/envs/staging.yaml").read_text())
    assert after == before | {"image": {"tag": "2.0.0-rc.1", "digest": OTHER}}
    assert git(tree, "log", "--format=%s").splitlines() == ["All of it"]  # nobody asked for a commit


def test_a_version_that_looks_like_a_number_stays_text(tree: Path) -> None:
    assert promote(tree, "staging", "--digest", ONE, "--version", "1.10")[0] == 0
    assert image(tree, "staging")["tag"] == "1.10"


def test_there_may_be_nothing_to_change(tree: Path) -> None:
    promote(tree, "production", "--from", "staging", "--commit")
    status, told, _ = promote(tree, "production", "--from", "staging", "--commit")
    assert (status, told) == (0, "production runs 1.2.3 already: nothing to change\n")
    assert len(git(tree, "log", "--format=%s").splitlines()) == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["moon", "--from", "staging"], "there is no environment moon: argocd/envs has production, staging"),
        (["production", "--from", "../envs/staging"], "there is no environment ../envs/staging"),
        (["staging", "--digest", ONE[:-1], "--version", "1"], "is no digest"),
        (["staging", "--digest", f"{ONE}\n", "--version", "1"], "is no digest"),
        (["staging", "--digest", ONE, "--version", "1 2"], "is no version"),
        (["staging", "--digest", ONE], "--digest and --version go together"),
        (["production", "--from", "staging", "--version", "1"], "--digest and --version go together"),
        (["staging"], "one of the arguments --from --digest is required"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_what_cannot_be_right_changes_nothing(tree: Path, words: list[str], said: str) -> None:
    status, told, error = promote(tree, *words)
    assert (status, told) == (2, "")
    assert said in error
    assert not git(tree, "status", "--porcelain")


def test_an_environment_that_runs_nothing_yet_is_no_source(tree: Path) -> None:
    shutil.copy(ROOT / "argocd/envs/staging.yaml", tree / "argocd/envs/new.yaml")
    path = tree / "argocd/envs/new.yaml"
    path.write_text('image:\n  tag: ""\n  digest: ""\n')
    assert "new has no digest yet" in promote(tree, "production", "--from", "new")[2]


def test_changes_of_others_are_not_committed_along(tree: Path) -> None:
    path = tree / "argocd/envs/production.yaml"
    (tree / "mine").write_text("mine")
    git(tree, "add", "mine")
    text = path.read_text()
    path.write_text(text + "replicas: 3\n")
    status, _, error = promote(tree, "production", "--from", "staging", "--commit")
    assert status == 2
    assert "production.yaml has changes that are not committed" in error
    path.write_text(text)
    assert promote(tree, "production", "--from", "staging", "--commit")[0] == 0
    assert git(tree, "show", "--format=", "--name-only").split() == ["argocd/envs/production.yaml"]
    assert git(tree, "status", "--porcelain") == "A  mine\n"


@pytest.mark.parametrize("text", ["replicas: 1\n", "image:\n  tag: a\n", "image: {tag: a, digest: b}\n"])
def test_a_file_of_another_shape_is_left_alone(tree: Path, text: str) -> None:
    path = tree / "argocd/envs/production.yaml"
    path.write_text(text)
    status, _, error = promote(tree, "production", "--from", "staging")
    assert status == 2
    assert "production.yaml" in error
    assert path.read_text() == text


def test_the_files_that_are_here_are_of_that_shape(tree: Path) -> None:
    for path in ROOT.glob("argocd/envs/*.yaml"):
        shutil.copy(path, tree / "argocd/envs")
        assert promote(tree, path.stem, "--digest", ONE, "--version", "9.9.9")[0] == 0
        assert image(tree, path.stem) == {"tag": "9.9.9", "digest": ONE}
