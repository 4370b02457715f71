"""Label photos with a model that `classify export MODEL -o FILE.tflite` wrote; needs ai-edge-litert, NumPy and Pillow.

python examples/label_image_tflite.py FILE.tflite PHOTO ...
"""

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
interpreter = Interpreter(model_path=sys.argv[1])
interpreter.allocate_tensors()
entry, result = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
for photo in sys.argv[2:]:
    image = ImageOps.exif_transpose(Image.open(photo)).convert("RGB")
    pixels = image.resize((about["size"], about["size"]), Image.Resampling.BILINEAR)
    interpreter.set_tensor(entry, np.asarray(pixels, dtype=np.float32)[None])
    interpreter.invoke()
    for column in np.argsort(-interpreter.get_tensor(result)[0])[:5]:
        print(f"{photo} {about['labels'][column]} {interpreter.get_tensor(result)[0][column]:.4f}")
