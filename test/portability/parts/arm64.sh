#!/usr/bin/env bash
# Linux on arm64: its devices; a training whose weights must be those of this machine; predicting.
source "$(dirname "$0")/../common.sh"
open_arm64
arm64 devices
same_weights arm64
