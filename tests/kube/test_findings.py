"""An exception that nothing needs any more is noticed."""

from tests.kube.cases import names, steps
from tests.kube.findings import exemptions
from tests.kube.test_agreement import ENVIRONMENTS, different
from tests.kube.test_manifests import linted, ruled, shut_in


def test_every_exception_is_needed() -> None:
    found = [(name, finding) for name in names() for finding in (*ruled(name), *linted(name))]
    found += [(name, finding) for name in steps() for finding in shut_in(name)]
    for environment in ENVIRONMENTS:
        found += [(f"agreement/{environment}", finding) for finding in different(environment)]
    assert not [made for made in exemptions() if not any(made.covers(finding, name) for name, finding in found)]
