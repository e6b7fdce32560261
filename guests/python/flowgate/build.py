"""Makes a component of a flow: `python -m flowgate.build [flow.py] [-o build/flow.wasm] [--wit wit]`.

componentize-py adds CPython. The component imports of the host only what the modules need that the flow imports, wherever
they stand in it: the world is written anew for each build.
"""

import argparse
import sys
from modulefinder import ModuleFinder
from pathlib import Path

from flowgate._contract import componentize, names, write_world

NATIVE = ["flowgate._native", "flowgate._memory", "flowgate.testing"]
"""What a component has no use for."""

COMPONENT = """\
import {module} as module

from flowgate.flow import find

FLOW = find(module)


class Handler:
    def handle(self, t):
        return FLOW.handle(t)


class Describe:
    def describe(self):
        return FLOW.describe()
"""


def build(source: Path, out: Path, wit: Path) -> int:
    """Builds; returns the number of bytes."""
    work = out.parent
    work.mkdir(parents=True, exist_ok=True)
    app = work / "app"
    app.mkdir(exist_ok=True)
    entry = app / "flow_component.py"
    entry.write_text(COMPONENT.format(module=source.stem))
    sdk = Path(__file__).resolve().parent.parent
    paths = list(dict.fromkeys([app, source.resolve().parent, sdk]))
    wanted = interfaces(entry, paths)
    world = work / "wit"
    write_world(world, wit, wanted)
    command = ["-q", "-d", str(world), "-w", "component", *names(wanted), "componentize", entry.stem, "-o", str(out)]
    componentize(command + [word for path in paths for word in ("-p", str(path))])
    return out.stat().st_size


def interfaces(entry: Path, paths: list[Path]) -> list[str]:
    """The interfaces of the host that are reached by imports, as names of modules."""
    finder = ModuleFinder([*map(str, paths), *(path for path in sys.path if path)], excludes=NATIVE)
    finder.run_script(str(entry))
    missing = [name for name in finder.badmodules if name.startswith("wit_world.imports.")]
    if missing:
        raise SystemExit(f"the contract in the wit folder has no {', '.join(missing)}")
    prefix = "wit_world.imports."
    found = {name.removeprefix(prefix) for name in finder.modules if name.startswith(prefix)}
    return sorted(found - {"flow_types"})


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m flowgate.build", description="Makes a component of a flow.")
    parser.add_argument("source", nargs="?", default="flow.py", type=Path)
    parser.add_argument("-o", "--out", default="build/flow.wasm", type=Path)
    parser.add_argument("--wit", default="wit", type=Path)
    args = parser.parse_args()
    if not args.source.is_file():
        raise SystemExit(f"there is no {args.source}")
    print(f"{args.out}: {build(args.source, args.out, args.wit)} bytes")


if __name__ == "__main__":
    main()
