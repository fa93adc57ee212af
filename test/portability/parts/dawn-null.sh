#!/usr/bin/env bash
# Every shader by Dawn without a driver.
source "$(dirname "$0")/../common.sh"
bun "$here/dawn_null.ts"
