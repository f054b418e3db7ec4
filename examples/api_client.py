"""Draw by a server of `textdiff ui`, the standard library alone:

    python examples/api_client.py http://127.0.0.1:7860 "a red apple" --num-images 2

A server that asks for a token is given it in TEXTDIFF_TOKEN.
"""

import argparse
import json
import os
import urllib.request
from pathlib import Path

parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
parser.add_argument("server")
parser.add_argument("prompt", nargs="+")
parser.add_argument("--num-images", type=int, default=1)
parser.add_argument("--num-steps", type=int, default=25)
options = parser.parse_args()
headers = {"Content-Type": "application/json"}
if "TEXTDIFF_TOKEN" in os.environ:
    headers["Authorization"] = f"Bearer {os.environ['TEXTDIFF_TOKEN']}"


def ask(path, values=None):
    body = None if values is None else json.dumps(values).encode()
    return urllib.request.urlopen(urllib.request.Request(options.server + path, body, headers))


wanted = {"prompt": options.prompt, "num_images": options.num_images}
wanted |= {"model": json.load(ask("/api/models"))[0]["name"], "num_steps": options.num_steps}
for line in map(json.loads, ask("/api/generate?stream=true", wanted)):
    if "error" in line:
        raise SystemExit(line["error"])
    print(*(f"{key} {line[key]}" for key in ("waiting", "done", "total") if key in line))
for k, picture in enumerate(line["pictures"]):
    Path(f"api-{k}.png").write_bytes(ask(picture["url"]).read())
