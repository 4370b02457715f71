"""Whether the photos that come in are still like those that a model was trained on."""
