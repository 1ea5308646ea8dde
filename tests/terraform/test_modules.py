"""Every module of terraform/: formatted, valid, tested, and nothing that tflint or checkov would refuse."""

import json
import shutil
from pathlib import Path

import pytest

from tests.kube.tools import ROOT, run
from tests.terraform.modules import NOT_OURS, TERRAFORM, copy, names
from tests.terraform.providers import PINNED, pinned
from tests.terraform.tools import checkov, terraform, tflint

MODULES = names()
PATIENCE = 900.0  # seconds; checkov takes thirty on a machine of its own


def test_it_is_formatted() -> None:
    done = run([terraform(), "fmt", "-check", "-recursive", "-diff", TERRAFORM])
    assert done.returncode == 0, f"terraform fmt -recursive terraform\n{done.stdout}{done.stderr}"


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", MODULES)
def test_it_is_valid_and_its_tests_pass(name: str, tmp_path: Path) -> None:
    module = copy(name, tmp_path)
    module.run("validate", "-no-color")
    told = module.run("test", "-no-color").stdout
    assert "0 passed" not in told, told
    assert "Success!" in told, told


@pytest.mark.parametrize("name", MODULES)
def test_tflint_has_nothing_against_it(name: str) -> None:
    done = run(
        [tflint(), f"--config={TERRAFORM / '.tflint.hcl'}", f"--chdir={TERRAFORM / name}"], timeout=PATIENCE
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.timeout(1800)
def test_checkov_has_nothing_against_them(tmp_path: Path) -> None:
    shutil.copytree(TERRAFORM, tmp_path / "terraform", ignore=NOT_OURS)
    (tmp_path / "planted.tf").write_text('resource "aws_s3_bucket" "planted" {\n  bucket = "planted"\n}\n')
    how = ["--framework", "terraform", "--skip-download", "--output", "json", "--quiet", "--compact"]
    told = json.loads(run([checkov(), "--directory", tmp_path, *how], timeout=PATIENCE).stdout)
    failed = [
        f"{check['check_id']} {check['file_path']}:{check['file_line_range'][0]} {check['check_name']}"
        for check in told["results"]["failed_checks"]
    ]
    ours = [line for line in failed if "/planted.tf:" not in line]
    assert not ours, "\n".join(ours)
    assert failed, "it did not notice a bucket without encryption, versions and a public access block"


@pytest.mark.parametrize("path", sorted(TERRAFORM.rglob("versions.tf")), ids=lambda path: path.parent.name)
def test_every_provider_is_pinned_to_one_version(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("source") == len(PINNED.findall(text)), f"{path.relative_to(ROOT)}: source, then version"
    for found in PINNED.finditer(text):
        assert found["version"].count(".") == 2, f"{found['source']} is not pinned: {found['version']}"
        assert found["version"].replace(".", "").isdigit(), f"{found['source']} is not pinned: {found['version']}"


def test_every_module_pins_the_same() -> None:
    sources = [provider.source for provider in pinned()]
    assert len(sources) == len(set(sources)), pinned()
