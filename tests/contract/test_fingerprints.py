"""Fingerprints as they are: they are the keys of every store, and say in tables and models what may be mixed.

One that changes makes every vector be computed anew, and every model refuse the new ones: not one character of a
description may change without a reason in the numbers; then the line here changes with it.
"""

import hashlib
import json

import numpy as np
import pytest
from sklearn.base import clone

from featurize import GLCM, LBP, BottleheadError, Distortion, FunctionExtractor, make_extractor

INCEPTION = "inception_v3_2015_through_mixed8.weights.h5"

BY_NAME = [
    ("glcm", {}, "209b8d5e2c4d2e3320a65911d542fd55e5c6dd223b04e816d784c443823fc422"),
    ("glcm:haralick", {}, "b4b38bf4e339411fb0986b9cf07c442dd9a540e13db66ceb8615d591ba7ef3d5"),
    ("lbp", {}, "bd4554452e6faefab5d36d233c7dd4086828026a46d8f66f82610ad00788d096"),
    ("color", {}, "1f63c5bd155358a3a2161864d0c50d39c569acb3d300f618de3ee3bf6e06d896"),
    ("shape", {}, "d76544ea71f0fe64cbeb1a6d9a79a51c4cbe610c7863e0b4a225726a36c02fbf"),
    ("nuisance", {}, "d1aea887b407565bbc2593196b70419beb0ad82b01467fd0132bc305f35fcf91"),
    ("texture", {}, "4b696ebeea4300fb72219fe65827e43367a161debfda39362d5fd518c2abb286"),
    ("texture:grey", {}, "4bfe496faa0c62fe3dff197f7ea1f9d5b17a5201b09f4e9a4be5a25e997dec4c"),
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
    (GLCM(distances=(1, 3)), "8aad7dd8345740d761c6728259d56a3d7f073d03cad4b4b3590e95d426e7692c"),
    (GLCM(angles=(0, 90)), "40b2e66dc598f70540c81585fafcd66c21a031eab75bd0c9ed6e000e76b4ecb2"),
    (GLCM(average=False), "dc68c7533de1378ca3d2ede58ebecc350d0aec9ec5007becf4b68d97c92d0355"),
    (GLCM(channels="rgb"), "4ead07da9fb780b9ab93adc7da3546f5929859e8186bcacec4c2c716518cfe63"),
    (GLCM("haralick", levels=64, distances=[2], average=False, channels="rgb"),
     "b6b6c7a20099d1ad469f78706b712835a2d06477c57bb673ec1315d047f0a279"),
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

# What each becomes by decode version 2, by its first digits. Those above are of version 1, which older tables, stores
# and models have and keep.
BY_VERSION_2 = {
    "209b8d5e": "72549a7fb70d91fbf679b22d06e1099f2aaf5f62406ddf581a1a53657b878345",
    "b4b38bf4": "3d1c92d4d7a64a5d755e45bce2a28966340902c561fb47fc55c6dfa011f0864e",
    "bd455445": "bf30d7a02209095e431d0b24872c0adafbb91ee169541f1ba54335c4362c63a5",
    "1f63c5bd": "b59c2d80297b429a6a2d1b393d1725d3016818f25d90bdb35b92033efbee92b8",
    "d76544ea": "4e8f5637404e8fcd966ea2e367393da7e656fe501486e83af343bda3de0faa89",
    "d1aea887": "7b0cbfb12aeff84788eb28249c8dc86e552ae6e02513054ab8245e17c81a8f6e",
    "36b1ddb0": "3ea8d59d5ec53917e8c022f89cd549b86496cd905045dfb8a9e1b8329d73b056",
    "eddb928f": "d3675e6dc5c763a17ecd5a647ef4e93a9862511abc4b1ed17ccb2e2271aa9591",
    "8cef3440": "62ad01272183529b159977f512e3c11f561d81829494755d57fb7162a11574c7",
    "c6e2d145": "814a9c38a1d3e3f81d6f2b7e40fe62fa614415d5542a59b5f54131f805a07572",
    "42ed804e": "8d0569d6905a1b2e0426ec11a6ce93af293e581bdb4b539a494336a0f791b003",
    "33d54f43": "9018163413377e5340891bbe05b8aa03e32acfb99e3d2f9e8c1c4ca25a47f300",
    "64114557": "3221ce8bc264b3390bf3152ef957682023973c2352d8a4005789bd5097bf5cc4",
    "743ad6d4": "1f74116caa21b63043d9c8518702a9ff03d9726cb093f1ec43b7867261875bd5",
    "a7b136e1": "0fbb1d72f59302ef0a0a477126496adf8e510c2d595895b6d3a6c7ee08ab81db",
    "eca2257e": "8dd43c6b24d7c8e55bdfa0e4ff58050adf1cf3bb76bd3a4d5fac822f9a7b8277",
    "810c3bce": "dd2344794bfc53cdf452ba1287754c90f48642e35b2e3eaa0fdc3e545ebdaa78",
    "46d1023c": "44500dcf75994eedebcb0790d31bef1004bc8482a55da0160723b270d811c70b",
    "e4dc78af": "67b85f4773926a5d9bac63092f058fe6524a1b3b7c4a0f9a936d437b79f1ac46",
    "f2486ba4": "83caa09326eb129a0e78f12ceef8e9ecaf8d3dd90b9d6230bd55dbb47b0c5fe2",
    "bebbc678": "b1e2ac8fbf66ca84274dab42eae288bb3070281821671764f44bdc6953a27209",
    "27b848e2": "8b3fc4e6f8915c4c461c608eeba9452cc39a3fb1b615b5b7de0bd8108eeb40c8",
    "e5666a43": "9e200e518a3cf5e4a8564b0e0e24b86fcfd35b87aa52e3a3a3cdd5cbf438e166",
    "75a50c0d": "4659935a7526f9a97a1d1fbedba8ada4d5b7e15644a855af66edfa9dd1bfb549",
    "b3bc7cf9": "765015e3f5fce72605958b9f4bc88f8490785b0bd8e48a404fe2e308e40031ff",
    "e8f08be1": "468435ec980e3603ff3f5d7de0d91b797a67c8632df87ae29d00a5f6bfcc2776",
    "f7710b43": "611f992d26b849cac6ec1e87636b3baeba1eb2e1805ca3e5dec8a4373c7d807d",
    "f47fa15c": "97ca032ac4c295943c02627056380ddbcf8450f0a0ba160ce01d087af2b1ed40",
    "a2953025": "78363ef70cc4125a33a3c797d58a3b3b6a3ad17fe6831bc5ab5bccc9e5c66bb7",
    "291113f6": "1990d142879e6ccd0403013a7a76de487044b1c06203d97c45d5b9374f78716a",
    "5e6f8cd3": "43c7226bbf8beadb31981a30c2f012bbc8c7c6179d7a1322fcaeb8d9a2afca50",
    "c9334e0c": "ce2ba0f009ead8a38b10eda13e52bed0ce894feb690c3322f350269819f09f3e",
    "afb61055": "c4944506f13fe214d49bd869f448b9e796b284fcc86297f3efa8ece72ad166a1",
    "e58e8fc0": "dafab54a3c4941113709d0622e7d6476ca14097ff48f07cb31eb6e37188ef44c",
    "8aad7dd8": "494cdebbebd2773fae2b1f15c5d6d38a6a36f7f331402152d380c47b700c581e",
    "40b2e66d": "0425bc304039011bda1f624ceaaefefc92f1f6578aa5ff0177a9c5f29fa7b2bf",
    "dc68c753": "3cb786d8b7936231743d2808858f8fc49cc59366844f37e6a5c7bc03841ed891",
    "4ead07da": "7812933df89daa47ae2adc4d798885edf4534b57397f7f2fbf5603108fb50241",
    "b6b6c7a2": "7b6fb120b5048f731e2c2a1341cdd3e7483b45f746dc899aafe76f6b4a7098a2",
    "2a339df8": "b5da428ba941d79f31d71f2043b7e4cee60a971a8a53e4b4be29518e5d86e44f",
    "56ba6c6e": "830e75fe8b24d55f88ece795d0810101561f0c1e5e19589740d5d7d638f70fa2",
    "13b5a7e9": "db252f888a7187d79dd91ca4db782115bb068ef7d4711b03fee97d7b51994ab5",
    "c2ebe72c": "2f3f2020a0e1200ef4863ebe56a23705465b9b41e9749fbc8606f47e0568369c",
    "29073b13": "c934313b9332e1f961363156dfadfa69d4c09e1a45ff32cb45f6756aa50bd1a1",
    "04fe2427": "d1bfbf3c4d458c30e13c86c690b18bead90f7bf97df3786e05c72d362b999c51",
    "6ba0da53": "14706724b382d1227a36b9722cb5f468c79954ec0a79100296686e37e915d134",
    "55641ed1": "7e396f2ffe328a8163974dfe4f2d891c9f329f571fcb33ac6369ae380213452a",
    "152b3f2d": "eb8d126fc435aa8703a2bfb6f36b393de0cd49af99ca5e6428263e4cf7628487",
    "ac168432": "c9e9966006bfd4fb3a143c0f57f0adc29b568b47286518d213bb22689350be17",
    "e08cdbb1": "714084e8fff2238d10a26e5e5e207cbce25030790508f2978292bc50e8d1e78f",
    "e51d056b": "cb2a26f71a3b93850c597ed513721a32a70dce220eb3aa9d962c1351a7b7b570",
    "d615958e": "7edf6704d445b6f6dee32cbb00e4d8a56808a6df15013364ee65a4dfc214019b",
}


def check_both_versions(make, fingerprint: str) -> None:
    """What `make` makes has this fingerprint by decode version 1, and by version 2 the one that belongs to it."""
    assert make(decode_version=1).fingerprint() == fingerprint
    assert make(decode_version=2).fingerprint() == make().fingerprint() == BY_VERSION_2[fingerprint[:8]]


@pytest.mark.parametrize(("spec", "options", "fingerprint"), BY_NAME)
def test_families_steps_and_untrained_networks_keep_their_fingerprint(spec, options, fingerprint):
    try:
        check_both_versions(
            lambda **version: make_extractor(spec, **{"weights": "random"} | options, **version), fingerprint
        )
    except BottleheadError as error:
        assert "precision" in options and "this processor does not compute in bfloat16" in str(error)
        pytest.skip("this processor does not compute in bfloat16")


@pytest.mark.parametrize(("extractor", "fingerprint"), WITH_SETTINGS, ids=lambda value: type(value).__name__)
def test_other_settings_and_a_function_keep_their_fingerprint(extractor, fingerprint):
    def make(decode_version=None):
        copy = clone(extractor)
        copy.decode_version = decode_version or copy.decode_version
        return copy

    check_both_versions(make, fingerprint)


@pytest.mark.parametrize(("spec", "options", "fingerprint"), FROM_FILES)
def test_published_weights_and_graphs_keep_their_fingerprint(spec, options, fingerprint, assets):
    if spec.startswith("inception"):
        options = options | {"weights": assets / "weights" / INCEPTION}
    else:
        spec = f"{assets}/weights/{spec}"
    check_both_versions(lambda **version: make_extractor(spec, **options, **version), fingerprint)


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
