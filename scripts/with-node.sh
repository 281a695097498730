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
# npm leaves out, without a word, optional packages that want a newer Node than it runs on itself, such as the SDKs of
# clouds: a second look, run by the Node that has just come, adds them.
if [ ! -f "$modules/.complete" ]; then
  if (cd "$top" && PATH="$modules/.bin:$PATH" npm install --no-save --no-fund --no-audit --loglevel=error >&2); then
    touch "$modules/.complete"
  else
    echo "optional packages could not be added; what needs one of them will say so" >&2
  fi
fi
script=$1
shift
exec "$modules/.bin/node" --disable-warning=ExperimentalWarning "$top/$script" "$@"
