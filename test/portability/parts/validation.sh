#!/usr/bin/env bash
# The doctor under Khronos' validation of Vulkan and its check of synchronisation, which must find nothing. That they were
# there is seen in what the loader says.
source "$(dirname "$0")/../common.sh"
[ -e /usr/share/vulkan/explicit_layer.d/VkLayer_khronos_validation.json ] ||
  skip "no validation layer (apt-get install vulkan-validationlayers)"
cd "$project"
log=$work/validation.log
status=0
VK_INSTANCE_LAYERS=VK_LAYER_KHRONOS_validation \
  VK_LAYER_ENABLES=VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT VK_LOADER_DEBUG=layer \
  bun run doctor --device gpu:0 2>&1 > "$log.doctor" | cat > "$log" || status=$?
cat "$log.doctor"
cat "$log" >&2
grep -q 'Insert.*VK_LAYER_KHRONOS_validation' "$log" "$log.doctor" || { echo "the layer was not loaded" && exit 1; }
messages=$(cat "$log" "$log.doctor" | grep -cE 'VUID-|SYNC-' || true)
echo "$messages messages"
[ "$messages" -eq 0 ] && exit "$status"
