#!/usr/bin/env bash
# The kernels and a training in Chromium.
source "$(dirname "$0")/../common.sh"
needs chromium chromium
cd "$project"
bun test/portability/browser.ts
<<<<<<< HEAD
=======
bun test --timeout=600000 test/web 2>&1 | tee /dev/stderr | grep -E '^ *[0-9]+ (pass|skip|fail)$|^\(fail\)'
>>>>>>> a644d8a (WebGPU in pages: variants are timed when a page asks for it; Chromium in CI and in the portability tests; documents)
