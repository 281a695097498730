#!/bin/sh
# npm leaves out optional packages (the SDKs of storages) that the Node it runs on is too old for. The Node that npm has
# just brought is not: with that one, npm adds what is missing. Runs after `npm ci` and `npm install` in a checkout.
set -eu
top=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
bin=$top/node_modules/.bin
[ -x "$bin/node" ] || exit 0
PATH=$(printf %s ":$PATH:" | sed "s|:$bin:|:|g; s|^:||; s|:\$||") # npm puts ours first, the machine's is asked for here
case $(node --version) in v2[2-9].* | v[3-9]?.*) exit 0 ;; esac
cd "$top"
PATH=$bin:$PATH exec npm install --no-save --ignore-scripts --no-fund --no-audit --loglevel=error
