"""The published weights: file, address and digest of each network, as `keras.applications` fetches them."""

from dataclasses import dataclass

STORAGE = "https://storage.googleapis.com/"


@dataclass(frozen=True)
class Download:
    """Published weights.

    Attributes
    ----------
    file : str
        Keras' own name for it, in its cache.
    url : str
    digest : str or None
        MD5 (32 digits) or SHA-256 (64), as Keras declares it; None where it declares none.
    megabytes : int
        Its size.
    """

    file: str
    url: str
    digest: str | None
    megabytes: int


def published(name: str, parameters: int) -> Download:
    """The published weights of a network, without its ImageNet head.

    Parameters
    ----------
    name : str
        As in `featurize.networks.catalogue`.
    parameters : int
        How many numbers the file holds, four bytes each.

    Examples
    --------
    >>> published("mobilenet_0.50_160", 829_536).file
    'mobilenet_5_0_160_tf_no_top.h5'
    """
    megabytes = max(1, round(parameters * 4 / 1e6))
    if name in _ROWS:
        path, digest, *saved_as = _ROWS[name]
        path = path.replace("~", "tensorflow/keras-applications").replace("*", _KERNELS)
        file = saved_as[0] if saved_as else path.rsplit("/", 1)[-1]
        return Download(file, STORAGE + path, None if digest == "-" else digest, megabytes)
    _, width, side = name.split("_")
    file = f"mobilenet_{_MOBILENET_WIDTHS[width]}_{side}_tf_no_top.h5"
    return Download(file, f"{STORAGE}tensorflow/keras-applications/mobilenet/{file}", None, megabytes)


_MOBILENET_WIDTHS = {"1.0": "1_0", "0.75": "7_5", "0.50": "5_0", "0.25": "2_5"}
_KERNELS = "weights_tf_dim_ordering_tf_kernels"

# name, path, digest, and the name in Keras' cache where it differs
_TABLE = """
vgg16 ~/vgg16/vgg16_*_notop.h5 6d6bbae143d832006294945121d1f1fc
vgg19 ~/vgg19/vgg19_*_notop.h5 253f8cb515780f3b799900260a226db6
xception ~/xception/xception_*_notop.h5 b0042744bf5b25fce3cb969f33bebb97
resnet50 ~/resnet/resnet50_*_notop.h5 4d473c1dd8becc155b73f8504c6f6626
resnet101 ~/resnet/resnet101_*_notop.h5 88cf7a10940856eca736dc7b7e228a21
resnet152 ~/resnet/resnet152_*_notop.h5 ee4c566cf9a93f14d82f913c2dc6dd0c
resnet50_v2 ~/resnet/resnet50v2_*_notop.h5 fac2f116257151a9d068a22e544a4917
resnet101_v2 ~/resnet/resnet101v2_*_notop.h5 c0ed64b8031c3730f411d2eb4eea35b5
resnet152_v2 ~/resnet/resnet152v2_*_notop.h5 ed17cf2e0169df9d443503ef94b23b33
inception_v3 ~/inception_v3/inception_v3_*_notop.h5 bcbd6486424b2319ff4ef7d526e38f63
inception_resnet_v2 ~/inception_resnet_v2/inception_resnet_v2_*_notop.h5 d19885ff4a710c122648d3b5c3b684e4
mobilenet_v2 ~/mobilenet_v2/mobilenet_v2_*_1.0_224_no_top.h5 -
mobilenet_v3_small ~/mobilenet_v3/weights_mobilenet_v3_small_224_1.0_float_no_top_v2.h5 d3e8ec802a04aa4fc771ee12a9a9b836
mobilenet_v3_large ~/mobilenet_v3/weights_mobilenet_v3_large_224_1.0_float_no_top_v2.h5 07fb09a5933dd0c8eaafa16978110389
densenet121 ~/densenet/densenet121_*_notop.h5 30ee3e1110167f948a6b9946edeeb738
densenet169 ~/densenet/densenet169_*_notop.h5 b8c4d4c20dd625c148057b9ff1c1176b
densenet201 ~/densenet/densenet201_*_notop.h5 c13680b51ded0fb44dff2d8f86ac8bb1
nasnet_mobile ~/nasnet/NASNet-mobile-no-top.h5 1ed92395b5b598bdda52abe5c0dbfd63 nasnet_mobile_no_top.h5
nasnet_large ~/nasnet/NASNet-large-no-top.h5 d81d89dc07e6e56530c4e77faddd61b5 nasnet_large_no_top.h5
efficientnet_b0 keras-applications/efficientnetb0_notop.h5 50bc09e76180e00e4465e1a485ddc09d
efficientnet_b1 keras-applications/efficientnetb1_notop.h5 74c4e6b3e1f6a1eea24c589628592432
efficientnet_b2 keras-applications/efficientnetb2_notop.h5 111f8e2ac8aa800a7a99e3239f7bfb39
efficientnet_b3 keras-applications/efficientnetb3_notop.h5 af6d107764bb5b1abb91932881670226
efficientnet_b4 keras-applications/efficientnetb4_notop.h5 ebc24e6d6c33eaebbd558eafbeedf1ba
efficientnet_b5 keras-applications/efficientnetb5_notop.h5 38879255a25d3c92d5e44e04ae6cec6f
efficientnet_b6 keras-applications/efficientnetb6_notop.h5 9ecce42647a20130c1f39a5d4cb75743
efficientnet_b7 keras-applications/efficientnetb7_notop.h5 cbcfe4450ddf6f3ad90b1b398090fe4a
efficientnet_v2_b0 ~/efficientnet_v2/efficientnetv2-b0_notop.h5 893217f2bb855e2983157299931e43ff
efficientnet_v2_b1 ~/efficientnet_v2/efficientnetv2-b1_notop.h5 0e80663031ca32d657f9caa404b6ec37
efficientnet_v2_b2 ~/efficientnet_v2/efficientnetv2-b2_notop.h5 1dfe2e7a5d45b6632553a8961ea609eb
efficientnet_v2_b3 ~/efficientnet_v2/efficientnetv2-b3_notop.h5 f6abf7b5849ac99a89b50dd3fd532856
efficientnet_v2_s ~/efficientnet_v2/efficientnetv2-s_notop.h5 af0682fb74e8c54910f2d4393339c070
efficientnet_v2_m ~/efficientnet_v2/efficientnetv2-m_notop.h5 1b8dc055df72dde80d614482840fe342
efficientnet_v2_l ~/efficientnet_v2/efficientnetv2-l_notop.h5 b0b66b5c863aef5b46e8608fe1711615
convnext_tiny ~/convnext/convnext_tiny_notop.h5 d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1
convnext_small ~/convnext/convnext_small_notop.h5 6fc8009faa2f00c1c1dfce59feea9b0745eb260a7dd11bee65c8e20843da6eab
convnext_base ~/convnext/convnext_base_notop.h5 40a20c5548a5e9202f69735ecc06c990e6b7c9d2de39f0361e27baeb24cb7c45
convnext_large ~/convnext/convnext_large_notop.h5 96f02b6f0753d4f543261bc9d09bed650f24dd6bc02ddde3066135b63d23a1cd
convnext_xlarge ~/convnext/convnext_xlarge_notop.h5 de3f8a54174130e0cecdc71583354753d557fcf1f4487331558e2a16ba0cfe05
"""
_ROWS = {line.split()[0]: line.split()[1:] for line in _TABLE.strip().splitlines()}
