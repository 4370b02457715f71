"""Fingerprints as they are: they are the keys of every store, and say in tables and models what may be mixed.

One that changes makes every vector be computed anew, and every model refuse the new ones: not one character of a
description may change without a reason in the numbers; then the line here changes with it.
"""

import hashlib
import json

import numpy as np
import pytest

from featurize import GLCM, LBP, BottleheadError, Distortion, FunctionExtractor, make_extractor

INCEPTION = "inception_v3_2015_through_mixed8.weights.h5"

BY_NAME = [
    ("glcm", {}, "209b8d5e2c4d2e3320a65911d542fd55e5c6dd223b04e816d784c443823fc422"),
    ("glcm:haralick", {}, "b4b38bf4e339411fb0986b9cf07c442dd9a540e13db66ceb8615d591ba7ef3d5"),
    ("lbp", {}, "bd4554452e6faefab5d36d233c7dd4086828026a46d8f66f82610ad00788d096"),
    ("color", {}, "1f63c5bd155358a3a2161864d0c50d39c569acb3d300f618de3ee3bf6e06d896"),
    ("shape", {}, "d76544ea71f0fe64cbeb1a6d9a79a51c4cbe610c7863e0b4a225726a36c02fbf"),
    ("nuisance", {}, "d1aea887b407565bbc2593196b70419beb0ad82b01467fd0132bc305f35fcf91"),
    ("inception_v3", {}, "36b1ddb052459607e1c01b1659f30dc7dc489d03dbf9ebe3246ee1368f653e05"),
    ("inception_v3:mixed3", {}, "eddb928f519ebd3c5ead835240da218ffd4746b2c3b42764af6129207b9e9ad3"),
    ("vgg16", {}, "8cef3440e4fe7e7b072ca895e5d99d4e8306eed0d2a48046d34e72e740f82b61"),
    ("xception", {}, "c6e2d145e2aa3f66880db3b4000005d6c2fd0b10d935a3219ea0ea8293ac4221"),
    ("resnet50", {}, "42ed804e63d43dfa6d68b1edf7e125497f6bd48e50a33ff2e23c06d978b255fd"),
    ("mobilenet_v2", {}, "33d54f438fe095fcdc224dc9f841345e8eeb21e4c444f38dac4f642d0e3236d7"),
    ("mobilenet_v3_small", {}, "64114557b5b3a25157adf66c5f93af706d47615b8a66d6ad3f16f41c8374efc1"),
    ("mobilenet_0.25_128", {}, "743ad6d47c0887c4559596eaab937c7d30935a368d272d1c57f330eab9150f0c"),
    ("densenet121", {}, "a7b136e128347893b4db8a0c821a95538c2d7a386642d0f04be4fde922461ed0"),
    ("nasnet_mobile", {}, "eca2257e452ca57704f26496bf3865c6a548f9f4b885f652c931130855b01548"),
    ("efficientnet_b0", {}, "810c3bce35125238ebee65baf20ee9f443e93035c7a835dd9557745cb9b04759"),
    ("efficientnet_v2_b0", {}, "46d1023c1a7b488564448eae117fdd039d20a678e4bfb67e94676a6a4eedefdf"),
    ("inception_v3", {"weights": "random:7"}, "e4dc78af6a4d298decda742fe96d7d9c99da33f991c5b87b46e1358c3c0723db"),
    ("inception_v3", {"engine": "openvino"}, "f2486ba4902a9e8977ccdd57d191e900821ca4aaa0e8441e94ed6b280a5e21d3"),
    ("inception_v3", {"parity": "retrain"}, "bebbc678643728678242f3e8852d8fb69ca433ed7aea1712a9baecc5b50f5f41"),
    ("inception_v3", {"preprocess": ["grayscale"]},
     "27b848e20fe242d93e87f9e21ae1970bfffa575ce5a2c0fa8dcb823ac7376912"),
    ("inception_v3", {"precision": "bfloat16"}, "e5666a4334c4dccc7961fbf7aed74ebddbfa32b4b02f18fab00ed67cbf41b153"),
    ("inception_v3", {"precision": "bfloat16", "engine": "openvino"},
     "75a50c0db41ae3a80d1b57e0f9b6155c90a8bbebc3bbca42a647cb06b8a078df"),
    ("glcm", {"preprocess": ["grayscale"]}, "b3bc7cf9bdb84382f74169c03d25aa6e7caa73dd6102413544c5521985ae631b"),
    ("glcm", {"preprocess": ["crop:100"]}, "e8f08be16aa0249a198f7c1839921c124857f9c862d7f8689d7410e592068109"),
    ("glcm", {"preprocess": ["resize:64x48"]}, "f7710b43ae8e004028780748185fad419607fa8ee0f262d182cfb59febaceec5"),
    ("glcm", {"preprocess": ["median:3"]}, "f47fa15c0a04cdd80d191742a367210f837ec4b8a581a4cbcd5b7bec40a99dd7"),
    ("glcm", {"preprocess": ["remove-hair"]}, "a29530252f9d765348a4a9ed551191a8f7f25995f28f84aab35ea78666a5aea0"),
    ("glcm", {"preprocess": ["remove-hair:7"]}, "291113f678a44d237e8f7ea309e7ed9b0365700af4ed48c084de118bab7b3ba3"),
    ("glcm", {"preprocess": ["segment-lesion"]}, "5e6f8cd3082d11a5408bd5125444518a9da29f2755d1ce7200fb82932853128e"),
    ("glcm", {"preprocess": ["equalize"]}, "c9334e0caf57bb2153e45b1446d86d39ee8cd73565ad81a2c96759cc3abff0ab"),
    ("glcm", {"preprocess": ["crop:100x80", "median:5", "equalize"]},
     "afb61055c1ac875fba3d74cfd70b370a381284701a6de33344d8caaee48e3984"),
]  # fmt: skip
WITH_SETTINGS = [
    (GLCM(levels=16), "e58e8fc0ea4a9059d3da51d5145b2e5c75d9145d67593a8403f41a6c4716cf4e"),
    (GLCM(distances=(1, 3)), "7af75fa9689421ca1d06e0d3f9bc601a9e6f45da14ab9b0edce9263e092f8e68"),
    (GLCM(angles=(0, 90)), "40b2e66dc598f70540c81585fafcd66c21a031eab75bd0c9ed6e000e76b4ecb2"),
    (GLCM(average=False), "a3b3ee817f574ea210df10586004e2446d7b6dddd47abf9045265d206608d078"),
    (GLCM(channels="rgb"), "4ead07da9fb780b9ab93adc7da3546f5929859e8186bcacec4c2c716518cfe63"),
    (GLCM("haralick", levels=64, distances=[2], average=False, channels="rgb"),
     "7e40202a920a89b2666c9f7e49fba6df52349116c706644492734b191bad505f"),
    (LBP(radii=(1, 4)), "2a339df8220cebaf85d093093182cc53663d2a527d4869308cc55ce229cfadf0"),
    (FunctionExtractor(np.mean, "brightness", version=3),
     "56ba6c6e1db35a18def0e246e6209b7f7eaa435f63b15d8e17cf2d0b9e600386"),
]  # fmt: skip
MIXED8, V1 = "inception_v3:mixed8", "mobilenet_v1_0.25_224.pb"
FROM_FILES = [
    (MIXED8, {}, "13b5a7e96a7cf88cea37f62b47c1384eaa4934d61094347973005685bfd68108"),
    ("inception_v3:avg_pool", {}, "c2ebe72c5ab28d63bd162933c21f679bd7d1aeded297d2aa1cfdd6f376152fef"),
    (MIXED8, {"engine": "openvino"}, "29073b13eff58ca467c14e4e41cca5622d7296dfed3059963665f5bbb1659951"),
    (MIXED8, {"parity": "retrain"}, "04fe2427e495d895adcf08a8d0904341a793687f3adc7179e9b04eacfc8d4c95"),
    ("mobilenet_v1_0.25_128.pb", {}, "6ba0da539b9919865d825bb9ce250c29a461642f66b11abbdbfe59287abf48c7"),
    (V1, {}, "55641ed1b7ff598251964e2e32a55b42619bcde03c499bd240b6924d3f67aca4"),
    ("mobilenet_v1_0.25_224.pb:MobilenetV1/Predictions/Reshape:0", {},
     "152b3f2db951d15d6a98e1a1e302559d469849a1d3739d16f7130273c9ddd9b3"),
    (V1, {"engine": "openvino"}, "ac168432f148bf21028c13fa2aee05f33420b5151b9583068b43ecb85777300e"),
    (V1, {"parity": "retrain"}, "e08cdbb175168a53be65383611c97ed1964d5f9f30dac461870173c571fd8e14"),
    (V1, {"size": 160, "mean": 127.0, "std": 128.0},
     "e51d056b49c10e8eb66a347bae09b9145502e9fe2e266600943badc33aeef729"),
    ("poets_retrained_graph.pb", {}, "d615958e73ede64fa1aa937a83cabc3649dcb2c4f84f5ac78aae60ab449a227f"),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "options", "fingerprint"), BY_NAME)
def test_families_steps_and_untrained_networks_keep_their_fingerprint(spec, options, fingerprint):
    try:
        found = make_extractor(spec, **{"weights": "random"} | options).fingerprint()
    except BottleheadError as error:
        assert "precision" in options and "this processor does not compute in bfloat16" in str(error)
        pytest.skip("this processor does not compute in bfloat16")
    assert found == fingerprint


@pytest.mark.parametrize(("extractor", "fingerprint"), WITH_SETTINGS, ids=lambda value: type(value).__name__)
def test_other_settings_and_a_function_keep_their_fingerprint(extractor, fingerprint):
    assert extractor.fingerprint() == fingerprint


@pytest.mark.parametrize(("spec", "options", "fingerprint"), FROM_FILES)
def test_published_weights_and_graphs_keep_their_fingerprint(spec, options, fingerprint, assets):
    if spec.startswith("inception"):
        options = options | {"weights": assets / "weights" / INCEPTION}
    else:
        spec = f"{assets}/weights/{spec}"
    assert make_extractor(spec, **options).fingerprint() == fingerprint


DISTORTIONS = [
    (Distortion(2, flip_left_right=True), [6392734154686268375, 2423763873595175438]),
    (Distortion(1, random_crop=10, random_scale=5, random_brightness=20), [5854300765146613097]),
    (Distortion(2, flip_left_right=True, random_brightness=12.5, seed=3), [6668196054138368243, 3394790719411592785]),
]  # fmt: skip


@pytest.mark.parametrize(("distortion", "variants"), DISTORTIONS, ids=repr)
def test_distorted_copies_keep_their_numbers(distortion, variants):
    assert list(distortion.variants) == variants


def test_a_fingerprint_is_the_digest_of_the_description_as_canonical_json():
    described = make_extractor("glcm").description()
    text = json.dumps(described, sort_keys=True, separators=(",", ":"))
    assert make_extractor("glcm").fingerprint() == hashlib.sha256(text.encode()).hexdigest()
