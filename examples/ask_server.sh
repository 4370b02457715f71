#!/bin/sh
# Ask `classify serve` about photos, all in one request: sh examples/ask_server.sh photo.jpg ...
for photo; do set -- "$@" -F "photo=@$photo"; shift; done
curl --fail-with-body "$@" "${SERVER:-http://127.0.0.1:8000}/predict"
