#!/usr/bin/env bash
# The project's page in Chromium.
source "$(dirname "$0")/../common.sh"
needs chromium chromium
cd "$project"
bun test/portability/site.ts
