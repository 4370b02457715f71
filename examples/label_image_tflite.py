"""Label photos with an exported model: python label_image_tflite.py FILE.tflite PHOTO …"""

import json
import sys

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from PIL import Image, ImageOps

with open(f"{sys.argv[1]}.json", encoding="utf-8") as stream:
    about = json.load(stream)
if "TensorFlow 1" in about["resize"]:
    sys.exit(
        "this model reads photos as retrain.py did: resize them as tf.compat.v1.image.resize_bilinear does"
    )
run = Interpreter(model_path=sys.argv[1]).get_signature_runner()
for photo in sys.argv[2:]:
    image = ImageOps.exif_transpose(Image.open(photo)).convert("RGB")
    pixels = image.resize((about["size"], about["size"]), Image.Resampling.BILINEAR)
    row = run(input=np.asarray(pixels, dtype=np.float32)[None])["probabilities"][0]
    for column in np.argsort(-row)[:5]:
        print(f"{photo} {about['labels'][column]} {row[column]:.4f}")
