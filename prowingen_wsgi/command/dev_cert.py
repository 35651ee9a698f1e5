"""The command `prowingen dev-cert`: makes certificates for development, and says what to do with
them."""

from __future__ import annotations

import argparse
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from ..configuration.config import ConfigError
from ..missing_native import why_missing
from ..originals import os
from ..output import print_error, write_output

if TYPE_CHECKING:
    from collections.abc import Sequence

_TOLD = """\
authority    {authority}
certificate  {certificate}
             with its key, for localhost, 127.0.0.1 and ::1

Serve by it:  {serve}

Browsers and other clients warn until they trust the authority, which can vouch for nothing but this
machine:
  Debian, Ubuntu   sudo cp {quoted} /usr/local/share/ca-certificates/prowingen.crt
                   sudo update-ca-certificates
  Fedora           sudo trust anchor {quoted}
  macOS            security add-trusted-cert {quoted}
  Firefox          Settings, Certificates, View Certificates, Authorities, Import
  curl             --cacert {quoted}
"""


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="prowingen dev-cert",
        description="Makes a local authority, and a certificate of it for localhost.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--folder",
        type=Path,
        metavar="PATH",
        help="where they are kept (default: where --https looks for them)",
    )
    parser.add_argument("--renew", action="store_true", help="make the certificate anew")
    return parser


def main(arguments: Sequence[str]) -> int:
    """Runs the command and returns its exit code: 1 if the files cannot be had."""
    given = make_parser().parse_args(arguments)
    try:
        from ..development_certificates import DevelopmentCertificates, development_folder
    except ImportError as error:
        print_error(why_missing() or str(error))
        return 1
    try:
        folder: Path = given.folder or development_folder(os.environ)
        files = DevelopmentCertificates(folder.absolute())
        files.make(anew=given.renew)
    except ConfigError as error:
        print_error(str(error))
        return 1
    serve = "prowingen module:app --https"
    if given.folder:
        serve = f"prowingen module:app --certfile {quote(str(files.certificate))}"
    write_output(
        _TOLD.format(
            authority=files.authority,
            certificate=files.certificate,
            serve=serve,
            quoted=quote(str(files.authority)),
        )
    )
    return 0
