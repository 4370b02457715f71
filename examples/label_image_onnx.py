"""Label photos with an exported model: python label_image_onnx.py FILE.onnx PHOTO …"""

import json
import os
import sys

import numpy as np
from PIL import Image, ImageOps

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # else its makers are told of each session
import onnxruntime

session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
about = json.loads(session.get_modelmeta().custom_metadata_map["export"])
if "TensorFlow 1" in about["resize"]:
    sys.exit(
        "this model reads photos as retrain.py did: resize them as tf.compat.v1.image.resize_bilinear does"
    )
for photo in sys.argv[2:]:
    image = ImageOps.exif_transpose(Image.open(photo)).convert("RGB")
    pixels = image.resize((about["size"], about["size"]), Image.Resampling.BILINEAR)
    (rows,) = session.run(["probabilities"], {"input": np.asarray(pixels, dtype=np.float32)[None]})
    for column in np.argsort(-rows[0])[:5]:
        print(f"{photo} {about['labels'][column]} {rows[0][column]:.4f}")
