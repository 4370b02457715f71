"""The notebooks run from first cell to last, offline, and are committed as they were run."""

import os
import re
import shutil
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.mark.tensorflow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_shows_what_it_showed(path, lite0, networks_store, tmp_path, monkeypatch):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    for file in (path, EXAMPLES / "quickstart.py"):
        shutil.copy(file, tmp_path)
    # One process: workers would take longer to start than the heads to fit.
    settings = {"LOKY_MAX_CPU_COUNT": "1", "OMP_NUM_THREADS": "1", "FEATURIZE_STORE": str(networks_store)}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("nbclient.client.NotebookClient.startup_timeout", 300, raising=False)
    kept = nbformat.read(path, 4)
    run = nbformat.read(tmp_path / path.name, 4)
    client = nbclient.NotebookClient(run, timeout=600, kernel_name="python3")
    client.execute(cwd=str(tmp_path))
    for before, now in zip(code_cells(kept), code_cells(run), strict=True):
        kinds = [
            [sorted(one.get("data", {})) for one in cell.outputs if one.get("name") != "stderr"]
            for cell in (before, now)
        ]
        assert kinds[0] == kinds[1], before.source
    tables = [
        one.data["text/html"]
        for cell in code_cells(run)
        for one in cell.outputs
        if "text/html" in one.get("data", {})
    ]
    assert tables and not any("nan" in table.lower() for table in tables)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_committed_small_run_and_without_paths_of_a_machine(path):
    nbformat = pytest.importorskip("nbformat")
    assert len(NOTEBOOKS) == 2 and path.stat().st_size <= 300_000
    notebook = nbformat.read(path, 4)
    nbformat.validate(notebook)
    cells = code_cells(notebook)
    assert 6 <= len(cells) <= 10
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [one for cell in cells for one in cell.outputs]
    assert any("image/png" in one.get("data", {}) for one in outputs)
    assert not any(one.output_type == "error" or one.get("name") == "stderr" for one in outputs)
    assert not re.search(r"/(home|root|tmp|work|Users)/", path.read_text(encoding="utf-8"))
    assert not any(os.path.isabs(word) for cell in cells for word in re.findall(r'"([^"]*)"', cell.source))
