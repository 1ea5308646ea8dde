"""From a release to staging, and from staging to production: what the two jobs run, one after the other."""

import shutil

import yaml

from tests.pipeline.outside import ROOT, Outside, ran
from tests.pipeline.remote import Site

DIGEST = f"sha256:{'5b' * 32}"
VERSION = "1.2.3"
RELEASED = ("--digest", DIGEST, "--version", VERSION)


def promoted(site: Site, gh: Outside, environment: str, *words: str) -> str:
    """What the job does; the branch that it has pushed."""
    branch = f"promote/{environment}"
    command = [branch, "argocd/promote", environment, *words, "--commit"]
    code, said = ran("propose", command, outside=gh.folder, cwd=site.checkout)
    assert code == 0, said
    return branch


def image(site: Site, branch: str, environment: str) -> dict[str, str]:
    text = site.git("show", f"{branch}:argocd/envs/{environment}.yaml", at=site.remote)
    found: dict[str, str] = yaml.safe_load(text)["image"]
    return {key: found[key] for key in ("tag", "digest")}


def test_a_release_comes_to_staging_and_from_there_to_production(site: Site) -> None:
    shutil.copytree(ROOT / "argocd", site.checkout / "argocd")
    site.git("add", "argocd")
    site.git("commit", "--quiet", "--message=Argo CD")
    site.git("push", "--quiet", "origin", "main")
    gh = Outside(site.programs, "gh")
    runs = {"tag": VERSION, "digest": DIGEST}

    branch = promoted(site, gh, "staging", *RELEASED)
    assert image(site, branch, "staging") == runs
    assert image(site, branch, "production") != runs
    assert site.git("diff", "--name-only", f"main..{branch}", at=site.remote) == "argocd/envs/staging.yaml"

    site.git("checkout", "--quiet", "main")
    site.git("merge", "--quiet", branch)
    site.git("push", "--quiet", "origin", "main")
    branch = promoted(site, gh, "production", "--from", "staging")
    assert image(site, branch, "production") == runs
    assert site.git("diff", "--name-only", f"main..{branch}", at=site.remote) == "argocd/envs/production.yaml"
    assert [asked[:2] for asked in gh.asked].count(["pr", "create"]) == 2


def test_a_digest_that_is_none_is_not_proposed(site: Site) -> None:
    shutil.copytree(ROOT / "argocd", site.checkout / "argocd")
    site.git("add", "argocd")
    site.git("commit", "--quiet", "--message=Argo CD")
    gh = Outside(site.programs, "gh")
    command = ["promote/staging", "argocd/promote", "staging", "--digest", "", "--version", VERSION, "--commit"]
    code, _ = ran("propose", command, outside=gh.folder, cwd=site.checkout)
    assert (code, gh.asked, site.branches()) == (2, [], ["main"])
