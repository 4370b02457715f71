"""The contract tests stand outside: they know commands, public names and files, and no inner module."""

import ast
import importlib
import re
from pathlib import Path

PACKAGES = ("classify", "evaluate", "featurize")
# Also in programs that a test hands to another process as text.
INNER = re.compile(rf"\b(?:from|import)\s+(?:{'|'.join(PACKAGES)})\.(?!cli\b)\w+")
# These two hold imports of inner modules as samples of what they find.
FINDERS = ("test_contract_is_outside.py", "test_floors.py")
FILES = sorted(path for path in Path(__file__).parent.rglob("*.py") if path.name not in FINDERS)


def names_from_packages(source: str) -> list[tuple[str, str]]:
    """Every public import, also in texts that are programs."""
    found, pending = [], [source]
    while pending:
        try:
            tree = ast.parse(pending.pop())
        except (SyntaxError, ValueError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module in PACKAGES:
                found += [(node.module, alias.name) for alias in node.names]
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and " import " in node.value:
                pending.append(node.value)
    return found


def test_the_contract_tests_import_public_names_alone():
    for file in FILES:
        source = file.read_text(encoding="utf-8")
        assert INNER.findall(source) == [], file.name
        for package, name in names_from_packages(source):
            assert name in importlib.import_module(package).__all__, (file.name, package, name)


def test_an_inner_module_and_a_name_that_is_not_public_are_seen_wherever_they_are_imported():
    program = 'program = "import sys; from evaluate.splits.checked_folds import x"'
    for line in ("from featurize.table import FeatureTable", "import classify.heads.spec", program):
        assert INNER.search(line), line
    address = 'address = "classify.scaling.BlockScaler"'
    for line in ("from featurize.cli import main", "from featurize import FeatureTable", address):
        assert not INNER.search(line), line
    source = "code = 'import sys\\nfrom featurize import table'"
    assert names_from_packages(source) == [("featurize", "table")]
