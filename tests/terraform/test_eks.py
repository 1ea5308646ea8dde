"""terraform/eks by the real AWS provider, against Moto's server: what was planned is applied, and goes again."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.terraform import providers
from tests.terraform.modules import Module, copy
from tests.terraform.moto import Moto

# Of an account that there is not: the server does not know whom it talks to, nor hosts named after buckets.
AT_MOTO = """
provider "aws" {
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
  s3_use_path_style           = true
}
"""
GIVEN = """
admin_cidrs = ["203.0.113.0/24"]
admins      = { ops = "arn:aws:iam::123456789012:role/ops" }
viewers     = { team = "arn:aws:iam::123456789012:role/team" }
"""


@pytest.fixture
def moto() -> Iterator[Moto]:
    """A running server."""
    with Moto() as server:
        yield server


@pytest.fixture
def eks(moto: Moto, tmp_path: Path) -> Module:
    """The module in a copy, told to ask that server."""
    providers.real("aws")
    module = copy("eks", tmp_path, moto.env)
    (module.folder / "moto_override.tf").write_text(AT_MOTO, encoding="utf-8")
    (module.folder / "given.auto.tfvars").write_text(GIVEN, encoding="utf-8")
    return module


@pytest.mark.timeout(1800)
def test_it_applies_whole_and_goes_without_a_trace(eks: Module, moto: Moto) -> None:
    before = moto.remains()

    eks.apply()
    assert eks.plan() == {}
    outputs = eks.outputs()
    assert outputs["cluster"]["name"] == "collector"
    assert outputs["backups"] == {"production": "s3://collector-backups-123456789012-eu-central-1/production"}
    assert len(outputs["addresses"]) == 1
    made = moto.remains()
    assert len(made["eks accessEntries"]) == 2
    assert len(made["eks addons"]) == 5

    # An upgrade replaces neither the cluster nor the group of its nodes, and touches nothing else.
    upgrade = ("-var=kubernetes_version=1.36", "-var=node_release=1.36.0-20260801")
    assert eks.plan(*upgrade) == {"aws_eks_cluster.this": ["update"], "aws_eks_node_group.this": ["update"]}

    eks.destroy()
    assert moto.remains() == before
