#!/usr/bin/env bash
# An exported page in Chromium answers as `predict` does.
source "$(dirname "$0")/../common.sh"
needs chromium chromium
[ -n "${TEST_DATA:-}" ] || skip "no TEST_DATA, the folder with imagenet-sample/ and ants-bees/"
cd "$project"
bun test/portability/page.ts
