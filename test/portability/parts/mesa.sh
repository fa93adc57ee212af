#!/usr/bin/env bash
# The doctor on lavapipe of the Mesa of Debian's next release.
source "$(dirname "$0")/../common.sh"
forky
inside "$work/forky" bun run doctor --device gpu:0
