"""Write a network of timm as ONNX, with its own preprocessing beside it, for `--features NAME.onnx`.

    pip install timm onnx
    python examples/timm_to_onnx.py vit_small_patch14_dinov2.lvd142m
    featurize extract photos/ -o photos.parquet --features vit_small_patch14_dinov2.lvd142m.onnx:tokens,pool=class

The file holds ``tokens`` (of a transformer: the class token first, then those of the patches; of another network: the
area before it is pooled). timm and PyTorch are needed here alone, never to use the file. Tests run everything but timm.
"""

import json
import sys
from pathlib import Path
from typing import Any


def preprocessing(config: dict[str, Any]) -> dict[str, Any]:
    """What stands beside the file, from timm's configuration of the network.

    timm cuts out the middle of a photo; here the whole photo is brought to the input's size.
    """
    _, height, width = config["input_size"]
    if height != width:
        raise ValueError(f"photos enter as squares, and this network takes {width} x {height} pixels")
    return {"size": height, "mean": list(config["mean"]), "std": list(config["std"]), "output": "tokens"}


def main(name: str) -> None:
    import timm
    import torch

    network = timm.create_model(name, pretrained=True, num_classes=0).eval()
    about = preprocessing(timm.data.resolve_model_data_config(network))

    class Tokens(torch.nn.Module):
        def forward(self, pixels):
            return network.forward_features(pixels)

    place = Path(f"{name.replace('/', '_')}.onnx")
    pixels = torch.zeros(1, 3, about["size"], about["size"])
    names = {"input_names": ["pixels"], "output_names": ["tokens"], "dynamic_axes": {"pixels": {0: "n"}}}
    torch.onnx.export(Tokens(), pixels, str(place), opset_version=17, dynamo=False, **names)
    place.with_name(f"{place.name}.json").write_text(json.dumps(about, indent=1) + "\n")
    print(f"wrote {place} and {place}.json")


if __name__ == "__main__":
    main(sys.argv[1])
