#!/usr/bin/env bash
# The kernels in Chromium.
source "$(dirname "$0")/../common.sh"
[ -e "$here/browser.ts" ] || skip "no browser.ts here"
needs chromium chromium
bun "$here/browser.ts"
