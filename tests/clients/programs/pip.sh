#!/bin/sh
# pip. Usage: PYTHON URL, in a folder of its own; prints what came as JSON.
set -eu
"$1" -m pip install --quiet --disable-pip-version-check --no-cache-dir --index-url "$2" --target packages matrix-parcel
PYTHONPATH=packages "$1" -c 'import json, matrix_parcel; print(json.dumps({"get": matrix_parcel.CONTENT}))'
