#!/bin/sh
# curl. Usage: curl.sh --http1.1|--http2 BASE NAME FILE; prints the answers as JSON.
set -eu
version=$1 base=$2 name=$3 file=$4
ask() { curl -sS --fail-with-body "$version" "$@"; }
printf '{"get": %s,' "$(ask "$base/v1/item?q=one")"
printf '"post": %s,' "$(ask -H 'Content-Type: text/plain' --data 'hello there' "$base/v1/echo")"
printf '"upload": %s,' "$(ask -T "$file" "$base/v1/upload")"
printf '"http": "%s",' "$(ask -o /dev/null -w '%{http_version}' "$base/v1/item")"
printf '"stream": ['
comma=
ask -N "$base/v1/stream" | while read -r word number; do
  if [ "$word" != data: ]; then continue; fi
  if [ "$number" = 0 ]; then ask -o /dev/null "$base/v1/item?q=seen-$name"; fi
  printf '%s"%s"' "$comma" "$number"
  comma=,
done
printf ']}\n'
