"""Pixels have versions: what an older table or model was made with goes on beside what is new, and they never mix."""

import json
from copy import deepcopy

import pytest
from builders import run, write_photos, write_textures
from sklearn.base import clone

from classify import train_model
from classify.model.modelfile import save_model
from featurize import GLCM, BottleheadError, FeatureTable, extract, extractors_like, make_extractor
from featurize.photos.decode import DECODE_VERSION
from featurize.registry import extractor_from_metadata


def version_of(table: FeatureTable, features: str) -> int:
    return table.metadata["features"][features]["description"]["decode"]["version"]


@pytest.fixture
def old(tmp_path) -> FeatureTable:
    """A table, in ``old.parquet``, of decode version 1; its photos are in ``photos``, its vectors in ``store``."""
    photos = write_textures(tmp_path / "photos")
    extractors = [make_extractor(spec, decode_version=1) for spec in ("glcm", "color")]
    table = extract(photos, extractors, store=tmp_path / "store")
    table.write(tmp_path / "old.parquet")
    return table


def test_an_extractor_decodes_by_the_newest_version_and_keeps_an_older_one_in_every_copy():
    assert GLCM().description()["decode"]["version"] == DECODE_VERSION == 2
    older = make_extractor("glcm:haralick", decode_version=1)
    record = json.loads(json.dumps(older.record([0.0])))
    for copy in (clone(older), deepcopy(older), extractor_from_metadata(record)):
        assert copy.fingerprint() == older.fingerprint() != make_extractor("glcm:haralick").fingerprint()
    assert make_extractor("glcm:haralick").earlier_fingerprints() == [older.fingerprint()]


def test_what_an_earlier_program_pickled_or_recorded_decodes_as_then():
    state = GLCM().__getstate__()
    del state["decode_version"]
    earlier = GLCM.__new__(GLCM)
    earlier.__setstate__(state)
    assert earlier.decode_version == 1
    record = make_extractor("glcm", decode_version=1).record([0.0])
    del record["description"]["decode"]  # an extractor of another package, which says nothing of decoding
    assert extractor_from_metadata(record).decode_version == 1


def test_a_version_that_a_later_program_made_is_refused():
    record = GLCM().record([0.0])
    record["description"]["decode"]["version"] = DECODE_VERSION + 1
    with pytest.raises(BottleheadError, match="versions 1 to 2 are known here"):
        extractor_from_metadata(record)


def test_a_store_serves_no_version_for_another_and_extract_counts_what_is_of_the_older_one_alone(
    old, tmp_path
):
    words = f"featurize extract {tmp_path}/photos --store {tmp_path}/store -o {tmp_path}/new.parquet"
    said = run(f"{words} --features glcm").err
    assert "all were computed" in said
    assert f"glcm: the store holds {len(old)} of the vectors by an earlier decode version only" in said
    assert version_of(FeatureTable.read(tmp_path / "new.parquet"), "glcm") == 2
    again = run(f"{words} --features glcm").err
    assert "nothing was computed" in again and "earlier decode version" not in again


@pytest.mark.parametrize("like", ["old.parquet", "old.npz", "old.model"])
def test_like_a_table_or_a_model_takes_features_settings_and_version_from_it(like, old, tmp_path):
    old.write(tmp_path / "old.npz")
    save_model(train_model(old, features="glcm+color"), tmp_path / "old.model")
    done = run(
        f"featurize extract {tmp_path}/photos --like {tmp_path}/{like} --store {tmp_path}/s -o {tmp_path}/t.npz"
    )
    assert done.status == 0, done.err
    table = FeatureTable.read(tmp_path / "t.npz")
    assert {name: version_of(table, name) for name in table.features} == {"glcm": 1, "color": 1}
    assert table.digest() == old.digest()


def test_a_model_predicts_new_photos_by_the_version_of_its_training(old, tmp_path):
    save_model(train_model(old, features="color"), tmp_path / "old.model")
    write_photos(tmp_path / "more", ["a.png"])
    done = run(f"classify predict {tmp_path}/old.model {tmp_path}/more --store {tmp_path}/s")
    assert done.status == 0, done.err
    (section,) = (tmp_path / "s").glob("color-*")
    assert section.name.endswith(old.metadata["features"]["color"]["fingerprint"][:32])


def test_like_takes_some_of_the_features_and_refuses_settings_of_its_own(old, tmp_path):
    assert [one.name for one in extractors_like(tmp_path / "old.parquet", ["color"])] == ["color"]
    words = f"featurize extract {tmp_path}/photos -o {tmp_path}/t.npz --like"
    (tmp_path / "some.model").write_bytes(b"no zip")
    for more, problem in [
        (f"{tmp_path}/old.parquet --features lbp", "has glcm, color; not lbp"),
        (f"{tmp_path}/old.parquet --preprocess grayscale", "--preprocess and --like"),
        (f"{tmp_path}/some.model", "is no table and no model"),
        (f"{tmp_path}/none.model", "there is no table or model"),
        (f"{tmp_path}/old.parquet --weights lbp=x", "--weights lbp=x names no features of"),
    ]:
        done = run(f"{words} {more}")
        assert done.status in (1, 2) and problem in done.err, done.err


def test_scan_and_the_methods_paragraph_name_the_version(old, tmp_path):
    assert "; decode version 2" in run(f"featurize scan {tmp_path}/photos --json {tmp_path}/scan.json").out
    assert json.loads((tmp_path / "scan.json").read_text())["decode_version"] == 2
    words = f"--features color --heads softmax --cv 2 --json {tmp_path}/c.json"
    done = run(f"evaluate compare {tmp_path}/old.parquet {words}")
    assert done.status == 0, done.err
    assert (
        "photos decoded by version 1;"
        in json.loads((tmp_path / "c.json").read_text())["methods_paragraph"]["text"]
    )
