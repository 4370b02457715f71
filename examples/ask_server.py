"""Ask `classify serve` about photos, with nothing but Python: python examples/ask_server.py photo.jpg …"""

import json
import os
import sys
import urllib.request

SERVER = os.environ.get("SERVER", "http://127.0.0.1:8000")
for path in sys.argv[1:]:
    with open(path, "rb") as photo:
        answer = urllib.request.urlopen(SERVER + "/predict?top=0", data=photo.read())
    print(path, json.load(answer))
