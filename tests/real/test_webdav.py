"""litmus, the conformance tests of WebDAV's makers, against WsgiDAV."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from wsgidav.wsgidav_app import WsgiDAVApp

if TYPE_CHECKING:
    from pathlib import Path

    from harness.site import ServeFixture

# What passes under WsgiDAV's own server: all of it.
TESTS = {"basic": 16, "copymove": 13}


@pytest.mark.skipif(shutil.which("litmus") is None, reason="litmus is not installed")
@pytest.mark.timeout(60)
def test_litmus_passes(serve: ServeFixture, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    app = WsgiDAVApp(
        {
            "provider_mapping": {"/": str(shared)},
            "simple_dc": {"user_mapping": {"*": True}},
            "logging": {"enable": False},
        }
    )
    site = serve(app)
    run = subprocess.run(
        ["litmus", "--keep-going", f"{site.url}/"],
        cwd=tmp_path,  # it leaves logs
        env={**os.environ, "TESTS": " ".join(TESTS)},
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    summaries = re.findall(r"summary for `(\w+)': of (\d+) tests run: (\d+) passed", run.stdout)
    assert {name: int(passed) for name, _, passed in summaries} == TESTS, run.stdout
    assert run.returncode == 0
    assert "WARNING" not in run.stdout
