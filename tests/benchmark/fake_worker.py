"""A worker without TensorFlow: answers as kerascnn.benchmark.worker does, with figures that follow from the subject.

python fake_worker.py [CRASH|REFUSE|...] reads the description of a subject: a runtime named in the first word ends the
process with words on stderr, one in the second is refused.
"""

import json
import sys

crash, refuse = (sys.argv + ["", ""])[1:3]
subject = json.loads(sys.stdin.readline())
name = subject.get("runtime", subject["kind"])


def say(record):
    print(json.dumps(record), flush=True)


if subject["kind"] == "write":
    refused = {} if "file" in subject else {"onnx-float32": "it has no such op"}
    say({"facts": {"versions": "a library 1.0", "refused": refused}})
    sys.exit()
if name == refuse:
    say({"refused": f"no {name} today"})
    sys.exit()
milliseconds = {"keras": 8, "stock": 4, "native": 2}.get(name, 1) * subject["batch"]
note = "layer by layer" if name == "native" else ""
say({"facts": {"versions": f"a library 1.0, {name} 2.0", "imported": 100_000_000, "parameters": 7, "note": note}})
for line in sys.stdin:
    if name == crash:
        sys.exit("out of luck")
    runs = json.loads(line)["runs"]
    say({"seconds": [1e-3 * milliseconds] * runs, "peak": 250_000_000})
