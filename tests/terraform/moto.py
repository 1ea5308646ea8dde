"""Moto: a server that answers as AWS does, in a process of its own."""

import json
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from tests.child import Child, clean_environment
from tests.guardian import guardian
from tests.kube.tools import ROOT, run
from tests.ports import LOOPBACK, free_port
from tests.terraform.tools import python_of

ANSWER = 2.0  # seconds
PATIENCE = 120.0  # seconds; it imports for five on a machine of its own
SCRIPTS = Path(__file__).parent / "aws"


class Moto:
    """The server, empty; as a context manager it runs inside. Raises NotHere where Moto is not installed."""

    def __init__(self) -> None:
        self._python = python_of("moto")
        self._port = free_port()
        self._log = guardian().new_folder("moto") / "log"
        self.url = f"http://{LOOPBACK}:{self._port}"

    @property
    def env(self) -> Mapping[str, str]:
        """What the AWS provider needs to ask this server and no other."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def remains(self) -> dict[str, list[str]]:
        """Give what there is, by kind."""
        done = run([self._python, SCRIPTS / "remains.py", self.url], timeout=PATIENCE)
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout))

    def __enter__(self) -> Self:
        command: list[str | Path] = [self._python, SCRIPTS / "server.py", str(self._port)]
        env = {**clean_environment(), "MOTO_IAM_LOAD_MANAGED_POLICIES": "true"}  # those of AWS itself
        self._child = Child(command, log=self._log, cwd=ROOT, env=env)
        self._child.wait_until(self._answers, PATIENCE)
        return self

    def __exit__(self, *_: object) -> None:
        self._child.kill()

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/moto-api/", timeout=ANSWER) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False
