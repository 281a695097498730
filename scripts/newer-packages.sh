#!/bin/sh
# npm leaves out, without a word, optional packages that want a newer Node than it runs on itself, such as the SDKs of
# clouds: a second look, run by the Node that npm has just brought, adds them. `npm ci` runs this in a checkout; so does
# with-node.sh where packages were installed without it.
set -eu
top=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
bin=$top/node_modules/.bin
[ -x "$bin/node" ] || exit 0
cd "$top"
if PATH=$bin:$PATH npm install --no-save --ignore-scripts --no-fund --no-audit --loglevel=error >&2; then
  touch "$top/node_modules/.complete"
else
  echo "optional packages could not be added; what needs one of them will say so" >&2
fi
