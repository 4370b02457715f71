"""The floors of the house: imports run downward only, and never in a circle.

A module lies in a room (``featurize.store``, whether a folder or a file), a room on a floor. A module may import from
its own room, from rooms of lower floors, and from packages below. An import inside a function counts, and so does a
module that a string names; one under ``if TYPE_CHECKING`` does not.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import classify
import evaluate
import featurize

# Each package knows itself and those before it.
PACKAGES = {"featurize": featurize, "classify": classify, "evaluate": evaluate}
ORDER = list(PACKAGES)
# Rooms of each package, floor by floor from below, floors parted by a bar. Some are still to come.
FLOORS = {
    "featurize": "errors draws | remote_errors | remote | outputs | files terminal | commands id_columns | "
    "tableformat | imported | table | photos | store pages spec | extractors | networks | registry | extraction | "
    "upkeep cluster adopt | options | extract_command import_commands store_commands network_commands | cli | "
    "__main__",
    "classify": "rows folds shares similar taxonomy labels | heads | model | training prediction | "
    "serving export suggest watch | cli | __main__",
    "evaluate": "splits scores | statistics | provenance | results | report | checks | studies | "
    "whole_job options | split_command | cli | __main__",
}
# The floor of each room, such as ``featurize.store``.
FLOOR = {
    f"{package}.{room}": number
    for package, floors in FLOORS.items()
    for number, floor in enumerate(floors.split(" | "))
    for room in floor.split()
}

Modules = dict[str, Path]
Arrows = dict[str, set[str]]


def room_of(name: str) -> str:
    return ".".join(name.split(".")[:2])


def modules_of(roots: Mapping[str, Path]) -> Modules:
    """Every module by its dotted name; `roots` says in which folder each package lies."""
    found = {}
    for package, root in roots.items():
        for path in sorted(root.rglob("*.py")):
            parts = [package, *path.relative_to(root).with_suffix("").parts]
            found[".".join(parts).removesuffix(".__init__")] = path
    return found


def is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def nodes_that_run(node: ast.AST) -> Iterator[ast.AST]:
    """`node` and everything in it but the bodies of ``if TYPE_CHECKING``."""
    yield node
    skipped = node.body if is_for_types(node) else []
    for child in ast.iter_child_nodes(node):
        if child not in skipped:
            yield from nodes_that_run(child)


def names_in(source: str, name: str, is_package: bool) -> Iterator[tuple[str, str]]:
    """Dotted names in a module, and where they stand: in an "import", in a "string", or in a "relative" string."""
    # Relative imports and import_module(".x", package) start at the folder of the module.
    folder = name.split(".") if is_package else name.split(".")[:-1]

    def absolute(dots: int, rest: str) -> str:
        return ".".join([*(folder[: len(folder) - dots + 1] if dots else []), *([rest] if rest else [])])

    for node in nodes_that_run(ast.parse(source)):
        match node:
            case ast.Import():
                yield from ((alias.name, "import") for alias in node.names)
            case ast.ImportFrom():
                start = absolute(node.level, node.module or "")
                yield from ((f"{start}.{alias.name}", "import") for alias in node.names)
            case ast.Call(args=[ast.Constant(str(word)), *_]) if "import_module" in ast.unparse(node.func):
                rest = word.lstrip(".")
                yield absolute(len(word) - len(rest), rest), "import"
            case ast.Constant(str(word)):
                # "package.module", "package.module:Name", "package.module.Name", ".module"
                if found := re.fullmatch(r"(\.*)([A-Za-z_][\w.]*(?::[\w.]+)?)", word):
                    dots, rest = len(found.group(1)), found.group(2).replace(":", ".")
                    yield absolute(dots, rest), "relative" if dots else "string"


def module_named(name: str, where: str, modules: Modules) -> str | None:
    """The longest beginning of a dotted name that is a module: the rest is a class or a function in it.

    Only an import means the package alone, as in ``from featurize import extract``: the string "evaluate" is only a
    word, and "classify.calibrate.Calibrated" may be an address that stands in files. A relative string must name a
    module itself: ".pb" is an ending.
    """
    parts = name.split(".")
    while where != "relative" and len(parts) > 1 and ".".join(parts) not in modules:
        parts.pop()
    found = ".".join(parts)
    return found if found in modules and (where == "import" or len(parts) > 1) else None


def names_of(name: str, path: Path) -> set[tuple[str, str]]:
    return set(names_in(path.read_text("utf-8"), name, path.stem == "__init__"))


def arrows_between(modules: Modules) -> Arrows:
    arrows = {}
    for name, path in modules.items():
        names = [] if name in PACKAGES else names_of(name, path)
        targets = {module_named(*found, modules) for found in names}
        arrows[name] = {target for target in targets if target} - {name}
    return arrows


def circles(arrows: Arrows) -> list[tuple[str, ...]]:
    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        waiting = [start]
        while waiting:
            for target in arrows[waiting.pop()] - seen:
                seen.add(target)
                waiting.append(target)
        return seen

    reach = {name: reached(name) for name in arrows}
    within = [name for name in arrows if name in reach[name]]
    return sorted({tuple(sorted(other for other in reach[name] if name in reach[other])) for name in within})


def offenders(modules: Modules) -> set[str]:
    arrows = arrows_between(modules)
    unknown = {name for name in modules if name not in PACKAGES and room_of(name) not in FLOOR}
    lines = {f"room unknown: {name}" for name in unknown}
    for circle in circles(arrows):
        lines |= {f"in a circle: {name}" for name in circle}
    for name, targets in arrows.items():
        package, room = name.split(".")[0], room_of(name)
        for target in targets:
            other_package, other_room = target.split(".")[0], room_of(target)
            # A face stands above all rooms of its package.
            if ORDER.index(other_package) > ORDER.index(package) or target == package:
                lines.add(f"upward: {name} -> {target}")
            elif other_package == package and {room, other_room} <= FLOOR.keys() and room != other_room:
                if FLOOR[other_room] > FLOOR[room]:
                    lines.add(f"upward: {name} -> {target}")
                elif FLOOR[other_room] == FLOOR[room]:
                    lines.add(f"sideways: {name} -> {target}")
    return lines


def product() -> Modules:
    return modules_of({name: Path(package.__file__).parent for name, package in PACKAGES.items()})


def test_no_module_offends_or_knows_the_tests():
    assert not sorted(offenders(product())), "mend these"
    for name, path in product().items():
        tops = {found.split(".")[0] for found, _ in names_of(name, path)}
        assert not tops & {"tests", "builders", "conftest"}, name
    n_rooms = sum(len(floors.replace("|", "").split()) for floors in FLOORS.values())
    assert len(FLOOR) == n_rooms, "a room twice"


SHARD = "featurize/store/shard"
EMPTY = "featurize/pages featurize/cli classify/__init__ classify/heads/registry classify/prediction/predict"
CLEAN = dict.fromkeys([*EMPTY.split(), "evaluate/__init__"], "") | {
    "featurize/__init__": '_HOMES = {"extract": "featurize.extraction.run"}',
    "featurize/errors": "import os",
    "featurize/store/__init__": '"""Where vectors are kept."""',
    "featurize/store/store": "from featurize.errors import E\nfrom featurize.store import shard",
    SHARD: "from . import nothing",
    "featurize/extraction/run": "from ..store.store import Store",
    "classify/rows": "from featurize.cli import main",
    "classify/training/train": "import classify.heads.registry",
    "evaluate/scores/metrics": "import classify.prediction.predict, featurize",
}


def offenders_of(tree: Path, file: str, text: str) -> set[str]:
    for name, content in (CLEAN | {file: text}).items():
        path = tree / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, "utf-8")
    return offenders(modules_of({package: tree / package for package in PACKAGES}))


@pytest.mark.parametrize("text", [
    "import os",
    "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from featurize.extraction.run import extract",
    # A sentence that names a module, words, endings of files, and an address that stands in files.
    '"""See featurize.extraction.run for more."""\nWORDS = "extraction", "classify", "featurize", ".pb", "..pb"',
    'KEPT = "classify.calibrate.Calibrated"',
])  # fmt: skip
def test_a_clean_tree_has_no_offenders(text, tmp_path):
    assert offenders_of(tmp_path, SHARD, text) == set()


@pytest.mark.parametrize("text", [
    "from featurize.extraction.run import extract", "from featurize.extraction import run",
    "import featurize.extraction.run as run", "from ..extraction import run",
    "def f():\n    from featurize.extraction.run import extract",
    "class A:\n    def f(self):\n        import featurize.extraction.run",
    "try:\n    import featurize.extraction.run\nexcept ImportError:\n    pass",
    "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    pass\nelse:\n    import featurize.extraction.run",
    'import importlib\nrun = importlib.import_module("featurize.extraction.run")',
    'import importlib\nrun = importlib.import_module("..extraction.run", __package__)',
    '_HOMES = {"extract": ("featurize.extraction.run", "extract")}',
    'HOME = "featurize.extraction.run:extract"', '_HOMES = {"extract": "..extraction.run"}',
    'HOME = "featurize.extraction.run.extract"',
])  # fmt: skip
def test_an_arrow_upward_is_seen(text, tmp_path):
    assert offenders_of(tmp_path, SHARD, text) == {
        "upward: featurize.store.shard -> featurize.extraction.run",
        # The clean tree has extraction.run -> store.store -> store.shard.
        *(f"in a circle: featurize.{name}" for name in ("extraction.run", "store.shard", "store.store")),
    }


FACE = {"upward: featurize.store.shard -> featurize"}
OTHER_OFFENCES = [
    # Asking the face of the own package.
    (SHARD, "import featurize", FACE),
    (SHARD, "def f():\n    from featurize import extract", FACE),
    (SHARD, "from .. import extract", FACE),
    (SHARD, 'import importlib\nimportlib.import_module("featurize")', FACE),
    ("featurize/cli", "def f():\n    from classify.rows import rows",
     {"upward: featurize.cli -> classify.rows", "in a circle: featurize.cli", "in a circle: classify.rows"}),
    ("featurize/errors", "import evaluate", {"upward: featurize.errors -> evaluate"}),
    (SHARD, "import featurize.pages",
     {"sideways: featurize.store.shard -> featurize.pages"}),
    ("classify/prediction/predict", "from classify.training.train import train",
     {"sideways: classify.prediction.predict -> classify.training.train"}),
    # Within one room.
    (SHARD, "from .store import Store",
     {"in a circle: featurize.store.shard", "in a circle: featurize.store.store"}),
    ("classify/attic/box", "", {"room unknown: classify.attic.box"}),
]  # fmt: skip


@pytest.mark.parametrize(("file", "text", "lines"), OTHER_OFFENCES)
def test_other_offences_are_seen(file, text, lines, tmp_path):
    assert offenders_of(tmp_path, file, text) == lines
