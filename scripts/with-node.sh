#!/bin/sh
# Runs a script of the project with the Node that package.json asks for, installing the packages first where they are
# missing, so that `npm run demo` and `npm test` work right after `git clone`.
set -eu
top=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
modules=$top/node_modules
if [ ! -x "$modules/.bin/node" ] || [ "$top/package-lock.json" -nt "$modules/.package-lock.json" ]; then
  echo "installing packages (npm ci) …" >&2
  (cd "$top" && npm ci --no-fund --no-audit --loglevel=error >&2)
fi
[ -f "$modules/.complete" ] || sh "$top/scripts/newer-packages.sh"
script=$1
shift
exec "$modules/.bin/node" --disable-warning=ExperimentalWarning "$top/$script" "$@"
