"""What a fresh interpreter imports, and what it must not."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOMS = ["featurize", "classify", "evaluate"]


def modules_after(code: str) -> set[str]:
    code += "\nimport sys; print('\\n'.join(sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


@pytest.mark.parametrize("package", ROOMS)
def test_importing_a_package_is_free_of_tensorflow_and_scikit_learn(package):
    assert not {"tensorflow", "keras", "sklearn"} & modules_after(f"import {package}")


@pytest.mark.parametrize("module", [*(f"{room}.cli" for room in ROOMS), "evaluate.whole_job.command"])
def test_help_is_free_of_everything_heavy(module):
    heavy = {"tensorflow", "keras", "sklearn", "pandas", "pyarrow", "scipy", "matplotlib", "numpy"}
    code = f"""
import contextlib, io
from {module} import build_parser, main
for args in [["--help"], *[[name, "--help"] for name in build_parser()._subparsers._group_actions[0].choices]]:
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):
        main(args)
    assert "example:" in out.getvalue(), args
"""
    assert not heavy & modules_after(code)


@pytest.mark.parametrize("package", ROOMS)
def test_every_public_name_is_there(package):
    module = __import__(package)
    assert module.__all__ == sorted(module.__all__)
    for name in module.__all__:
        assert getattr(module, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = module.no_such_name
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    ifs = [node for node in tree.body if isinstance(node, ast.If)]
    block = next(node for node in ifs if ast.unparse(node.test) == "TYPE_CHECKING")
    shown = {alias.asname: node.module for node in block.body for alias in node.names}
    assert shown == module._HOMES
