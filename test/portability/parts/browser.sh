#!/usr/bin/env bash
# The kernels and a training in Chromium.
source "$(dirname "$0")/../common.sh"
needs chromium chromium
cd "$project"
bun test/portability/browser.ts
