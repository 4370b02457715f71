"""Several layers and poolings in one column, and parts of a photo, against Keras run directly."""

import keras
import numpy as np
import pytest
from builders import write_photos
from tolerances import ELSEWHERE, assert_near

from featurize import Backbone, BottleheadError, InceptionV3, extract, make_extractor
from featurize.networks.catalogue import NETWORKS
from featurize.networks.keras_network import build_model
from featurize.photos.photo import Photo

pytestmark = pytest.mark.tensorflow
SMALL = "mobilenet_0.25_128"
LAYERS = "conv_pw_3_relu/conv_dw_6/avg_pool"


@pytest.fixture(scope="module")
def rgb() -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, 256, (3, 128, 128, 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def maps(rgb) -> dict[str, np.ndarray]:
    """What Keras' own network makes of the photos at each layer, before any pooling."""
    model = build_model(NETWORKS[SMALL], Backbone(SMALL, "random").found_weights())
    named = {"avg_pool": model.layers[-1].input}
    named |= {name: model.get_layer(name).output for name in ("conv_pw_3_relu", "conv_dw_6")}
    outputs = keras.Model(model.input, list(named.values())).predict(np.stack(rgb) / 127.5 - 1, verbose=0)
    return dict(zip(named, outputs, strict=True))


def pooled(maps: dict[str, np.ndarray], layers: str, *pools: str) -> np.ndarray:
    ways = {"avg": np.mean, "max": np.max}
    blocks = [ways[pool](maps[layer], axis=(1, 2)) for layer in layers.split("/") for pool in pools]
    return np.hstack(blocks)


def run_together(extractors: list[Backbone], rgb: list[np.ndarray]) -> list[np.ndarray]:
    first = extractors[0]
    assert len({extractor.run_key() for extractor in extractors}) == 1
    return first.run_together(extractors, first.stack([first.prepare(Photo.from_array(one)) for one in rgb]))


def test_layers_and_poolings_side_by_side_are_what_keras_gives_in_one_pass(rgb, maps):
    asked = [("conv_dw_6", ["avg"]), (LAYERS, ["avg"]), (LAYERS, ["avg", "max"]), ("avg_pool", ["max"])]
    extractors = [Backbone(SMALL, "random", layers, pool="/".join(pools)) for layers, pools in asked]
    vectors = run_together(extractors, rgb)
    for extractor, matrix, (layers, pools) in zip(extractors, vectors, asked, strict=True):
        assert_near(matrix, pooled(maps, layers, *pools), ELSEWHERE, extractor.name)
    assert [extractor.blocks for extractor in extractors] == [
        [64], [32, 64, 256], [32, 32, 64, 64, 256, 256], [256],
    ]  # fmt: skip
    names = extractors[2].value_names
    assert len(names) == len(set(names)) == extractors[2].width == 704
    assert names[0] == f"{SMALL}:conv_pw_3_relu_0000" and names[32] == f"{SMALL}:conv_pw_3_relu_max_0000"
    assert names[-1] == f"{SMALL}:avg_pool_max_0255"


def test_the_openvino_engine_gives_the_same_blocks(rgb, maps, openvino):
    both = Backbone(SMALL, "random", LAYERS, engine="openvino", pool=("avg", "max"))
    (vectors,) = run_together([both], rgb)
    assert_near(vectors, pooled(maps, LAYERS, "avg", "max"), ELSEWHERE)


def test_blocks_stand_in_the_table_and_each_is_scaled_for_itself(tmp_path):
    photos = write_photos(tmp_path / "photos", ["a/1.png", "a/2.png", "b/3.png", "b/4.png"], 128, 128)
    table = extract(photos, [Backbone(SMALL, "random", "conv_pw_3_relu/avg_pool")], store=tmp_path / "store")
    (name,) = table.features
    assert name == f"{SMALL}:conv_pw_3_relu/avg_pool"
    assert table.metadata["features"][name]["blocks"] == table.blocks(name) == [32, 256]
    assert table.widths(name) == [288]
    # A second run knows all from the store, and the same column comes out of the recorded parameters.
    again = extract(photos, [Backbone(SMALL, "random", "conv_pw_3_relu/avg_pool")], store=tmp_path / "store")
    assert again.digest() == table.digest()


def test_widths_of_inception_are_known_before_it_is_built_and_one_layer_stays_as_it_was():
    several = InceptionV3("random", "mixed6/mixed7/mixed8/avg_pool", pool="avg/max")
    assert several.blocks == [768, 768, 768, 768, 1280, 1280, 2048, 2048] and several.width == 9728
    assert several.name == "inception_v3:mixed6/mixed7/mixed8/avg_pool,pool=avg/max"
    as_ever = InceptionV3("random", "mixed8")
    assert InceptionV3("random", ("mixed8",), pool=["avg"]).fingerprint() == as_ever.fingerprint()
    assert "pool" not in as_ever.kept_params() and "region" not in as_ever.kept_params()
    assert "blocks" not in as_ever.record(np.zeros(0))
    typed = make_extractor("inception_v3:mixed6/mixed7,pool=avg/max,region=border", weights="random")
    alike = InceptionV3("random", ("mixed6", "mixed7"), pool=("avg", "max"), region="border")
    assert typed.fingerprint() == alike.fingerprint() and typed.name == alike.name
    assert typed.value_names[0] == "inception_v3:mixed6_border_0000"
    different = [
        as_ever, typed, several, InceptionV3("random", "mixed8", pool="max"), InceptionV3("random", "mixed8/mixed7"),
        InceptionV3("random", "mixed7/mixed8"), InceptionV3("random", "mixed8", region="border"),
        InceptionV3("random", "mixed8", region="centre"),
    ]  # fmt: skip
    assert len({extractor.fingerprint() for extractor in different}) == len(different)


@pytest.mark.parametrize(("options", "message"), [
    ({"layer": "mixed8/mixed8"}, "names a layer twice"), ({"layer": "mixed8/mixed99"}, "no layer mixed99"),
    ({"pool": "sum"}, "pool sum is not known"), ({"pool": "max/avg"}, "pool max/avg is not known"),
    ({"region": "edge"}, "region 'edge' is not known"),
])  # fmt: skip
def test_what_is_no_layer_pooling_or_region_is_refused_before_anything_is_built(options, message):
    with pytest.raises(BottleheadError, match=message):
        InceptionV3("random", **options).fingerprint()


def test_a_layer_without_an_area_has_no_maximum():
    with pytest.raises(BottleheadError, match="no area to take the maximum of"):
        Backbone("convnext_tiny", "random", pool="max").transform([np.zeros((8, 8, 3), np.uint8)])


def test_border_and_centre_see_what_their_names_say_and_nothing_else(rgb):
    border, centre = (Backbone(SMALL, "random", region=region) for region in ("border", "centre"))
    photo, inside = rgb[0], slice(15, 113)  # 12 % of 128 pixels are 15
    other = photo.copy()
    other[inside, inside] = rgb[1][inside, inside]
    seen, seen_of_other = (border.prepare(Photo.from_array(one)) for one in (photo, other))
    np.testing.assert_array_equal(seen, seen_of_other)
    assert (seen[inside, inside] == 128).all()
    np.testing.assert_array_equal(seen[:15], photo[:15])
    np.testing.assert_array_equal(seen[:, 113:], photo[:, 113:])
    middle = centre.prepare(Photo.from_array(photo))
    np.testing.assert_array_equal(middle[inside, inside], photo[inside, inside])
    # The two halves are the whole: where one is grey, the other shows the photo.
    assert (np.where(middle == photo, 128, middle) == 128).all()
    np.testing.assert_array_equal(seen.astype(int) + middle - 128, photo)
