#!/bin/sh
# git over https. Usage: URL FILE, in a folder of its own; prints what came as JSON.
set -eu
git clone --quiet "$1" clone
content=$(cat clone/content)
cp "$2" clone/heavy
git -C clone add heavy
git -C clone -c user.name=Matrix -c user.email=matrix@example.test commit --quiet -m 'Add what is heavy'
git -C clone push --quiet origin HEAD:heavy
test "$(git -C clone ls-remote origin heavy | cut -f 1)" = "$(git -C clone rev-parse HEAD)"
rm -rf clone
printf '{"get": "%s", "post": true, "upload": true}\n' "$content"
