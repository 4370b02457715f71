"""The garbage collector while libraries are imported: off, and afterwards as it was."""

import gc
import subprocess
import sys

import pytest

from featurize import collector


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("running", [True, False])
def test_afterwards_it_runs_if_it_ran_before(running):
    before = gc.isenabled()
    try:
        (gc.enable if running else gc.disable)()
        with pytest.raises(ImportError), collector.paused():
            assert not gc.isenabled()
            raise ImportError
        assert gc.isenabled() == running
    finally:
        (gc.enable if before else gc.disable)()


def test_objects_of_a_program_that_uses_the_library_stay_collectable():
    code = "import gc\nfrom featurize import collector\nwith collector.paused(): pass\nprint(gc.get_freeze_count())"
    assert run(code) == "0\n"


def test_a_command_sets_aside_what_it_imported(separable, tmp_path):
    separable.write(tmp_path / "t.parquet")
    out = run(
        "import gc\nfrom classify.cli import main\n"
        f"status = main(['train', {str(tmp_path / 't.parquet')!r}, '-o', {str(tmp_path / 't.model')!r}])\n"
        "print(status, gc.isenabled(), gc.get_freeze_count() > 10_000)"
    )
    assert out == "0 True True\n"
