"""A source in parts, which may run anywhere, twice or never: the table is the one that one machine makes."""

import pickle

import numpy as np
import pytest
from builders import noise, write_photos, write_textures
from joblib import Parallel, delayed

from featurize import (
    BottleheadError,
    Distortion,
    Extractor,
    FeatureTable,
    assemble_parts,
    extract,
    extract_part,
    source_parts,
)

FEATURES = ["glcm", "color"]


@pytest.fixture
def photos(tmp_path):
    folder = write_textures(tmp_path / "photos", n=8)
    (folder / "rough" / "0 broken.png").write_bytes(b"no photo")
    (folder / "smooth" / "copy.png").write_bytes((folder / "rough" / "1.png").read_bytes())
    return folder


def same(one: FeatureTable, other: FeatureTable) -> bool:
    return one.digest() == other.digest() and one.metadata == other.metadata and one.kept == other.kept


def test_parts_in_any_order_and_twice_make_the_table_of_one_machine(photos, tmp_path):
    one = extract(photos, FEATURES, store=tmp_path / "one")
    parts = pickle.loads(pickle.dumps(source_parts(str(photos), 5)))  # noqa: S301
    assert [len(part) for part in parts] == [3, 4, 3, 4, 4]
    results = [extract_part(part, FEATURES, store=tmp_path / "store", jobs=1) for part in [*parts, parts[2]]]
    results = pickle.loads(pickle.dumps(results[::-1]))  # noqa: S301
    assert same(assemble_parts(photos, results, FEATURES, store=tmp_path / "store"), one)
    rows = next(result.rows for result in results if result.number == 1).to_pylist()
    assert [row["image"] for row in rows] == ["rough/0.png", "rough/1.png"]
    assert rows[1] == {name: one.ids.to_pylist()[1][name] for name in rows[1]}
    assert [image for result in results for image, _ in result.rejects] == ["rough/0 broken.png"]


def test_a_part_and_its_rows_are_small(tmp_path):
    write_photos(tmp_path / "photos", [f"{i}.png" for i in range(60)], width=64, height=64)
    (part,) = source_parts(tmp_path / "photos")
    rows = extract_part(part, "color", store=tmp_path / "store")
    # A photo's vector is 348 bytes, the photo 12,000. A part also holds where each lies.
    path = len(str(tmp_path))
    assert len(pickle.dumps(part)) < 60 * (80 + path) and len(pickle.dumps(rows)) < 60 * 300


def test_the_same_lines_run_under_joblib(photos, tmp_path):
    parts = source_parts(photos, size=6)
    jobs = (delayed(extract_part)(part, ["color"], store=tmp_path / "store") for part in parts)
    results = Parallel(n_jobs=2, backend="threading")(jobs)
    table = assemble_parts(photos, results, ["color"], store=tmp_path / "store")
    assert same(table, extract(photos, ["color"], store=tmp_path / "one"))


def test_labels_groups_splits_kept_columns_and_copies_come_back_with_the_parts(tmp_path):
    write_photos(tmp_path, [f"{n}.png" for n in range(6)])
    lines = [
        f"{n}.png,{'ab'[n % 2]},p{n // 2},{'training' if n < 4 else 'testing'},{20 + n}" for n in range(6)
    ]
    (tmp_path / "m.csv").write_text("\n".join(["image,label,patient,split,age", *lines]))
    options = {"columns": {"group": "patient"}, "keep": ["age"]}
    distort = Distortion(copies=2, flip_left_right=True, random_brightness=10)
    made = {"store": tmp_path / "store", "distort": distort}
    results = [extract_part(p, "color", **made) for p in source_parts(tmp_path / "m.csv", 4, **options)]
    table = assemble_parts(tmp_path / "m.csv", results, "color", **made, **options)
    one = extract(tmp_path / "m.csv", "color", store=tmp_path / "one", distort=distort, **options)
    assert same(table, one) and len(table) == 4 * 3 + 2 and list(table["age"][-2:]) == ["24", "25"]


def test_parts_of_photos_that_cannot_be_read_and_parts_without_photos_do_no_harm(tmp_path):
    for number in range(4):
        (tmp_path / f"{number}.png").write_bytes(b"no photo")
    noise().save(tmp_path / "9.png")
    parts = source_parts(tmp_path, 8)
    results = [extract_part(part, "color", store=tmp_path / "store") for part in parts if len(part)]
    table = assemble_parts(tmp_path, results, "color", store=tmp_path / "store")
    assert list(table.image) == ["9.png"] and sum(len(result.rejects) for result in results) == 4
    (tmp_path / "9.png").unlink()
    results = [extract_part(part, "color", store=tmp_path / "store") for part in source_parts(tmp_path, 2)]
    with pytest.raises(BottleheadError, match=r"no image in .* can be read"):
        assemble_parts(tmp_path, results, "color", store=tmp_path / "store")


def test_what_does_not_fit_together_is_refused_by_number(photos, tmp_path):
    store = tmp_path / "store"
    results = [extract_part(part, "color", store=store) for part in source_parts(photos, 6)]
    with pytest.raises(BottleheadError, match="of 6 parts these are missing: 2-3,6"):
        assemble_parts(photos, [results[0], *results[3:5]], "color", store=store)
    other = extract_part(source_parts(photos, 3)[0], "color", store=store)
    with pytest.raises(BottleheadError, match="2 divisions"):
        assemble_parts(photos, [*results, other], "color", store=store)
    with pytest.raises(BottleheadError, match=r"lacks the vectors of .* of the parts 1-6"):
        assemble_parts(photos, results, "color", store=tmp_path / "elsewhere")
    (photos / "smooth" / "7.png").rename(photos / "smooth" / "8.png")
    with pytest.raises(BottleheadError, match="part 6 of 6 is of another source"):
        assemble_parts(photos, results, "color", store=store)
    for wrong in ({"n_parts": 0}, {"n_parts": -1}, {"size": 0}):
        with pytest.raises(BottleheadError):
            source_parts(photos, **wrong)


def test_a_process_keeps_its_extractors_from_one_part_to_the_next(photos, tmp_path):
    made = []

    class Loading(Extractor):
        family, version, value_names = "loading", 1, ("mean",)
        _network = None

        def settings(self):
            return {}

        def prepare(self, photo):
            if self._network is None:
                self._network = made.append(1) or "loaded"
            return np.array([photo.rgb().mean()], np.float32)

    for part in source_parts(photos, 4):
        extract_part(part, Loading(), store=tmp_path / "store", jobs=1)
    assert len(made) == 1
