#!/bin/sh
# npm. Usage: URL FILE, in a folder of its own; prints what came as JSON.
set -eu
export npm_config_registry="$1" npm_config_cache="$PWD/cache" npm_config_audit=false npm_config_fund=false npm_config_update_notifier=false
mkdir project heavy
(cd project && npm install --loglevel=error matrix-parcel)
content=$(node -p 'require("./project/node_modules/matrix-parcel")')
# npm does not publish without a token; any word will do.
printf '//%s:_authToken=sidekey\n' "${1#https://}" > heavy/.npmrc
printf '{"name": "matrix-heavy", "version": "1.0.0"}\n' > heavy/package.json
cp "$2" heavy/data
(cd heavy && npm publish --loglevel=error)
rm heavy/data
printf '{"get": "%s", "upload": "taken"}\n' "$content"
