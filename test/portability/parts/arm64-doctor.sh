#!/usr/bin/env bash
# The doctor on arm64's cpu, and on lavapipe there.
source "$(dirname "$0")/../common.sh"
open_arm64
arm64 doctor --device cpu
arm64 doctor --device gpu:0
