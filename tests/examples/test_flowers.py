"""The tutorial's script: its lines can be counted, added up and found among the photos."""

import re

import numpy as np
import pytest
from PIL import Image

from featurize import BottleheadError

ROW = re.compile(
    r"^(\S+) +(\d+) +([\d.]+) +([\d.]+) +([\d.]+) % +([\d.]+) +([\d.]+) % \(N=(\d+)\) +([\d.]+) to ([\d.]+) %$"
)


@pytest.mark.tensorflow
def test_the_networks_are_compared_as_retrain_printed_them(example, flowers, store, real_weights, capsys):
    mobilenet = str(real_weights / "mobilenet_v1_0.25_224.pb")
    networks = ["--networks", "inception_v3:mixed8", mobilenet, "--steps", "400", "--split", "stratified"]
    example("flowers").main([str(flowers), *networks, "--store", str(store)])
    printed = capsys.readouterr().out
    first, *lines = printed.splitlines()
    kinds = "daisy, dandelion, roses, sunflowers, tulips"
    assert first == f"60 photos of {kinds}: 50 for training, 5 for validation, 5 for testing"

    rows = {found[1]: found for found in map(ROW.match, lines) if found}
    assert {name: int(found[2]) for name, found in rows.items()} == {
        "inception_v3:mixed8": 1280,
        "mobilenet_v1_0.25_224": 256,
    }
    lists = re.split(r"^=== MISCLASSIFIED TEST IMAGES === (.*)$", printed, flags=re.MULTILINE)
    for name, listed in zip(lists[1::2], lists[2::2], strict=True):
        accuracy, low, high = (float(rows[name][i]) for i in (7, 9, 10))
        wrong = re.findall(r"^ *(\S+)/(\S+) +(\S+) +\(score = ([\d.]+)\)$", listed, flags=re.MULTILINE)
        assert rows[name][8] == "5" and len(wrong) == round(5 * (1 - accuracy / 100))
        assert low < accuracy < high or accuracy in (low, high)
        for label, photo, given, score in wrong:
            assert (flowers / label / photo).is_file() and given != label and given in kinds
            assert 0.2 <= float(score) <= 1
    assert float(rows["inception_v3:mixed8"][5]) >= 60, "guessing gives 20 %"

    *_, question, answer = lines
    assert question == "Head to head, cross-validated on the 55 photos that are not for testing:"
    assert re.match(r"inception_v3:mixed8 \(softmax\) (beats|and) mobilenet_v1_0.25_224 \(softmax\)", answer)


def test_missing_weights_are_one_error_that_says_where_to_put_them(example, tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    for label in ("fern", "moss"):
        (tmp_path / "photos" / label).mkdir(parents=True)
        photo = Image.fromarray(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8))
        photo.save(tmp_path / "photos" / label / "1.png")
    monkeypatch.setenv("FEATURIZE_WEIGHTS_DIR", str(tmp_path / "nothing here"))
    arguments = [str(tmp_path / "photos"), "--networks", str(tmp_path / "mine.pb")]
    with pytest.raises(BottleheadError, match=r"there is no graph .*mine\.pb \(give the path of a frozen"):
        example("flowers").main([*arguments, "--store", str(tmp_path / "store")])
