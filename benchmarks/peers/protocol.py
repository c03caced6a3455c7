"""The other end of ../protocol.ts: lines of JSON on stdin and stdout, arrays as base64 of little-endian numbers."""

import base64
import json
import os
import sys
import time

import numpy as np


def say(**answer):
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def unpack(packed):
    values = np.frombuffer(base64.b64decode(packed["float32"]), dtype="<f4")
    return values.reshape(packed["shape"]).copy()


def blas():
    """The library that matrix products come from: a system's NumPy or PyTorch may run on a slow one."""
    try:
        with open("/proc/self/maps") as maps:
            loaded = maps.read()
    except OSError:
        return "BLAS unknown"
    known = {"mkl": "MKL", "openblas": "OpenBLAS", "libblis": "BLIS", "libblas": "reference BLAS"}
    name = next((name for part, name in known.items() if part in loaded), "own BLAS")
    core = os.environ.get("OPENBLAS_CORETYPE")
    return f"{name} for {core}" if core and name == "OpenBLAS" else name


def serve(versions, programs):
    """programs[name](inputs) gives (results, run): what is compared, and a function that does the work n times."""
    say(type="ready", versions=versions)
    run = None
    for line in sys.stdin:
        try:
            request = json.loads(line)
            if request["type"] == "prepare":
                inputs = {name: unpack(packed) for name, packed in request["inputs"].items()}
                results, run = programs[request["program"]](inputs)
                data = np.ascontiguousarray(results, dtype="<f8").tobytes()
                say(type="prepared", results=base64.b64encode(data).decode())
            else:
                start, cpu = time.perf_counter(), time.process_time()
                run(request["times"])
                wall, cpu = time.perf_counter() - start, time.process_time() - cpu
                say(type="ran", wall=wall * 1000, cpu=cpu * 1000)
        except Exception as error:
            say(type="failed", reason=str(error).split("\n")[0])
