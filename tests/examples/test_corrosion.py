"""Six models from one table: sizes that add up, and known answers on four textures."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from featurize import BottleheadError


def table(printed: str, title: str) -> dict[str, list[str]]:
    """The rows below a title, by their names; columns are two spaces or more apart."""
    lines = printed[printed.index(title) :].splitlines()[2:]
    rows = [re.split(r" {2,}", line) for line in lines[: lines.index("") if "" in lines else None]]
    return {name: cells for name, *cells in rows}


def photos_of(folder: Path, numbers: range) -> Path:
    """Two metals, fine and coarse, each with strong and weak contrast."""
    rng = np.random.default_rng(numbers.start)
    for name, grain, contrast in (("AC", 1, 120), ("AU", 1, 30), ("SC", 8, 120), ("SU", 8, 30)):
        (folder / name).mkdir(parents=True)
        for number in numbers:
            noise = rng.integers(128 - contrast, 128 + contrast, (96 // grain, 96 // grain)).astype(np.uint8)
            photo = Image.fromarray(noise).resize((96, 96), Image.Resampling.NEAREST)
            photo.save(folder / name / f"{number}.png")
    return folder


def test_a_test_folder_of_its_own_with_other_names(example, tmp_path, capsys):
    training, testing = (photos_of(tmp_path / "a", range(12)), photos_of(tmp_path / "b", range(100, 105)))
    names = ["--classes", "AC", "AU", "SC", "SU", "--features", "glcm", "--store", str(tmp_path / "store")]
    example("corrosion").main([str(training), "--test", str(testing), *names])
    printed = capsys.readouterr().out
    assert "stand in" not in printed
    summary = table(printed, "Models summary (softmax on glcm)")
    assert summary["Training set"] == ["40", "48", "48", "48", "24", "24"]
    assert summary["Test set"] == ["8", "20", "20", "20", "10", "10"]
    assert summary["Accuracy (%)"] == ["100.00"] * 6
    assert [summary[name] for name in ("Precision", "Recall", "F-measure")] == [["1.00"] * 4] * 3
    assert all(float(seconds) > 0 for seconds in summary["Computing time (s)"])
    assert "0 mislabelled, 0 of them as the other metal" in printed
    assert "All six from 68 vectors" in printed
    assert re.search(r"^3 pitted +12 \+ 5 +24 \+ 10 +12 \+ 5 *$", printed, re.MULTILINE)


@pytest.mark.tensorflow
def test_flowers_stand_in_and_every_mistake_is_counted(example, flowers, store, real_weights, capsys):
    arguments = ["--features", "inception_v3:mixed8", "--store", str(store)]
    example("corrosion").main([str(flowers), *arguments])
    printed = capsys.readouterr().out
    assert "flowers stand in, tulips for aluminium_corroded" in printed

    summary = table(printed, "Models summary (softmax on inception_v3:mixed8)")
    for row in ("Training set", "Test set"):
        sizes = [int(cell) for cell in summary[row]]
        assert sizes[1] == sizes[2] == sizes[3] == sizes[4] + sizes[5]
    assert int(summary["Training set"][0]) + int(summary["Test set"][0]) == int(summary["Training set"][1])
    scores = [[float(cell) for cell in summary[name]] for name in ("Precision", "Recall", "F-measure")]
    for precision, recall, f_measure in zip(*scores, strict=True):
        assert f_measure == pytest.approx(2 * precision * recall / (precision + recall), abs=0.01)

    crossover = [row.split() for row in printed[printed.index("Mislabelling") :].splitlines()[2:6]]
    moved = [[int(cell) for cell in row] for _, *row in crossover]
    assert all(len(row) == 3 for row in moved), "nothing stands on the diagonal"
    wrong, other_metal = map(
        int, re.search(r"(\d+) mislabelled, (\d+) of them as the other", printed).groups()
    )
    assert wrong == sum(map(sum, moved))
    # In each row the own metal's other class is one of three cells, the rest is the other metal.
    assert other_metal == wrong - sum(row[own] for row, own in zip(moved, (0, 0, 2, 2), strict=True))
    n_tested, accuracy = int(summary["Test set"][3]), float(summary["Accuracy (%)"][3])
    assert accuracy == pytest.approx(100 * (1 - wrong / n_tested), abs=0.01)

    crossed = table(printed, "One metal's model on the other's photos")
    own = [crossed["trained on steel"][0], crossed["trained on aluminium"][1]]
    assert list(map(float, own)) == list(map(float, summary["Accuracy (%)"][4:6]))


def test_folders_of_other_names_are_asked_for(example, tmp_path):
    photos = photos_of(tmp_path / "a", range(2))
    with pytest.raises(
        BottleheadError, match=r"has no aluminium_corroded, .*class folders are AC, AU, SC, SU"
    ):
        example("corrosion").main([str(photos), "--features", "glcm", "--store", str(tmp_path / "store")])
