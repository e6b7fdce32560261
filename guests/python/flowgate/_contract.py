"""The contract with the host, as componentize-py wants it."""

import shutil
import subprocess
import sys
from pathlib import Path

PACKAGE, VERSION = "flowgate:flow", "0.1.0"
OTHERS = {
    "logging": "wasi:logging/logging@0.1.0-draft",
    "config": "wasi:config/store@0.2.0-rc.1",
    "keyvalue": "wasi:keyvalue/store@0.2.0-draft2",
    "keyvalue_atomics": "wasi:keyvalue/atomics@0.2.0-draft2",
}
"""Interfaces of other packages, by the names of their modules."""


def write_world(world: Path, wit: Path, wanted: list[str]) -> None:
    """The world with these imports, beside the packages that they come from."""
    shutil.rmtree(world, ignore_errors=True)
    shutil.copytree(wit / f"flow-{VERSION}", world / "deps/flow")
    for package in (wit / "deps").iterdir():
        shutil.copytree(package, world / "deps" / package.name)
    lines = [f"  import {qualified(name)};" for name in wanted]
    lines += [f"  export {PACKAGE}/{name}@{VERSION};" for name in ("handler", "describe")]
    (world / "world.wit").write_text("\n".join(["package flowgate:project;", "", "world component {", *lines, "}", ""]))


def bindings(to: Path, wit: Path) -> None:
    """Python modules for all that the contract has, to look things up in and for tests."""
    world = to.parent / "whole"
    whole = [path.stem.replace("-", "_") for path in (wit / f"flow-{VERSION}").glob("*.wit")]
    whole = [name for name in whole if name not in ("flow_types", "world", "handler")]
    whole = [*whole, "secrets_reveal", *OTHERS] if "secrets" in whole else [*whole, *OTHERS]
    write_world(world, wit, sorted(whole))
    shutil.rmtree(to, ignore_errors=True)
    componentize(["-q", "-d", str(world), "-w", "component", *names(whole), "bindings", str(to)])


def qualified(module: str) -> str:
    return OTHERS.get(module) or f"{PACKAGE}/{module.replace('_', '-')}@{VERSION}"


def names(modules: list[str]) -> list[str]:
    """Options that give the interfaces of other packages the names of our modules."""
    renamed = [f"{OTHERS[name]}={name}" for name in modules if name in OTHERS]
    return [word for name in renamed for word in ("--import-interface-name", name)]


def componentize(words: list[str]) -> None:
    """Runs componentize-py of this Python."""
    script = "import sys, componentize_py; sys.exit(componentize_py.script())"
    done = subprocess.run([sys.executable, "-c", script, *words], check=False)
    if done.returncode != 0:
        raise SystemExit(done.returncode)
