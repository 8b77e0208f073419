#!/usr/bin/env python3
"""Builds the plugin for meson.build: meson-cargo.py CARGO SOURCE_DIR OUTPUT DEPFILE [cargo build arguments]

Cargo works in $CARGO_TARGET_DIR where that is set, else beside OUTPUT. What it built is copied to OUTPUT, and
the list of files it was built from is written to DEPFILE for ninja.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path


def main(cargo, source_dir, output, depfile, *arguments):
    output = Path(output).absolute()
    environment = dict(os.environ)
    environment.setdefault("CARGO_TARGET_DIR", str(output.parent / "cargo"))
    build = subprocess.run(
        [cargo, "build", "--message-format=json-render-diagnostics", *arguments],
        cwd=source_dir,
        env=environment,
        stdout=subprocess.PIPE,
        check=False,
    )
    if build.returncode != 0:
        return build.returncode
    library = None
    for line in build.stdout.splitlines():
        message = json.loads(line)
        if message["reason"] == "compiler-artifact" and "cdylib" in message["target"]["crate_types"]:
            library = next(Path(name) for name in message["filenames"] if name.endswith((".so", ".dylib", ".dll")))
    if library is None:
        print("meson-cargo.py: cargo built no shared library", file=sys.stderr)
        return 1
    shutil.copy2(library, output)
    # Cargo's own dependency list names its copy of the library as the target; ninja knows only OUTPUT.
    sources = library.with_suffix(".d").read_text().partition(": ")[2]
    Path(depfile).write_text(f"{output.name}: {sources}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
