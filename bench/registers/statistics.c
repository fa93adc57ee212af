// statistics FILE.spv…: compiles each shader by the first Vulkan driver, and prints what the driver says of the machine
// code as lines of JSON: first the driver's own, {"device", "driver"}, then one for each file,
// {"file", "subgroup", statistic: number, …}. Binding 0 is a uniform buffer, the others are storage buffers.
//
//   cc -O1 statistics.c -o statistics -lvulkan
#include <stdio.h>
#include <stdlib.h>
#include <vulkan/vulkan.h>

#define BINDINGS 16
#define STATISTICS 64

static void require(VkResult result, const char *what) {
  if (result == VK_SUCCESS) return;
  fprintf(stderr, "%s: VkResult %d\n", what, result);
  exit(1);
}

// The name of SPIR-V's first entry point.
static const char *entry_point(const uint32_t *words, size_t count) {
  for (size_t at = 5; at < count && words[at] >> 16; at += words[at] >> 16)
    if ((words[at] & 0xffff) == 15) return (const char *)(words + at + 3);
  return "main";
}

static uint32_t *read_words(const char *path, size_t *bytes) {
  FILE *file = fopen(path, "rb");
  if (!file) {
    perror(path);
    exit(1);
  }
  fseek(file, 0, SEEK_END);
  *bytes = ftell(file);
  rewind(file);
  uint32_t *words = malloc(*bytes);
  if (!words || fread(words, 1, *bytes, file) != *bytes) exit(1);
  fclose(file);
  return words;
}

static VkPhysicalDevice open_driver(void) {
  VkApplicationInfo application = { .sType = VK_STRUCTURE_TYPE_APPLICATION_INFO, .apiVersion = VK_API_VERSION_1_1 };
  VkInstanceCreateInfo create = { .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO, .pApplicationInfo = &application };
  VkInstance instance;
  require(vkCreateInstance(&create, 0, &instance), "vkCreateInstance");
  VkPhysicalDevice physical;
  uint32_t count = 1;
  VkResult result = vkEnumeratePhysicalDevices(instance, &count, &physical);
  if (result != VK_INCOMPLETE) require(result, "vkEnumeratePhysicalDevices");
  if (count == 0) {
    fprintf(stderr, "no device\n");
    exit(1);
  }
  VkPhysicalDeviceDriverProperties driver = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES };
  VkPhysicalDeviceProperties2 properties = { VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, &driver };
  vkGetPhysicalDeviceProperties2(physical, &properties);
  printf("{\"device\":\"%s\",\"driver\":\"%s %s\"}\n", properties.properties.deviceName, driver.driverName, driver.driverInfo);
  return physical;
}

static VkDevice open_device(VkPhysicalDevice physical) {
  float priority = 1;
  VkDeviceQueueCreateInfo queue = {
    .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO, .queueCount = 1, .pQueuePriorities = &priority,
  };
  VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR features = {
    .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR,
    .pipelineExecutableInfo = VK_TRUE,
  };
  const char *extension = VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME;
  VkDeviceCreateInfo create = {
    .sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO, .pNext = &features,
    .queueCreateInfoCount = 1, .pQueueCreateInfos = &queue,
    .enabledExtensionCount = 1, .ppEnabledExtensionNames = &extension,
  };
  VkDevice device;
  require(vkCreateDevice(physical, &create, 0, &device), "vkCreateDevice");
  return device;
}

static VkPipelineLayout create_layout(VkDevice device) {
  VkDescriptorSetLayoutBinding bindings[BINDINGS] = { 0 };
  for (int i = 0; i < BINDINGS; i++) {
    bindings[i].binding = i;
    bindings[i].descriptorType = i ? VK_DESCRIPTOR_TYPE_STORAGE_BUFFER : VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER;
    bindings[i].descriptorCount = 1;
    bindings[i].stageFlags = VK_SHADER_STAGE_COMPUTE_BIT;
  }
  VkDescriptorSetLayoutCreateInfo create_set = {
    .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO, .bindingCount = BINDINGS, .pBindings = bindings,
  };
  VkDescriptorSetLayout set;
  require(vkCreateDescriptorSetLayout(device, &create_set, 0, &set), "vkCreateDescriptorSetLayout");
  VkPipelineLayoutCreateInfo create = {
    .sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO, .setLayoutCount = 1, .pSetLayouts = &set,
  };
  VkPipelineLayout layout;
  require(vkCreatePipelineLayout(device, &create, 0, &layout), "vkCreatePipelineLayout");
  return layout;
}

static VkPipeline compile(VkDevice device, VkPipelineLayout layout, const char *path) {
  size_t bytes;
  uint32_t *words = read_words(path, &bytes);
  VkShaderModuleCreateInfo source = {
    .sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO, .codeSize = bytes, .pCode = words,
  };
  VkShaderModule module;
  require(vkCreateShaderModule(device, &source, 0, &module), path);
  VkComputePipelineCreateInfo create = {
    .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
    .flags = VK_PIPELINE_CREATE_CAPTURE_STATISTICS_BIT_KHR,
    .stage = {
      .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
      .stage = VK_SHADER_STAGE_COMPUTE_BIT, .module = module, .pName = entry_point(words, bytes / 4),
    },
    .layout = layout,
  };
  VkPipeline pipeline;
  require(vkCreateComputePipelines(device, 0, 1, &create, 0, &pipeline), path);
  vkDestroyShaderModule(device, module, 0);
  free(words);
  return pipeline;
}

static void print_statistics(VkDevice device, VkPipeline pipeline, const char *path) {
  PFN_vkGetPipelineExecutablePropertiesKHR get_properties =
    (PFN_vkGetPipelineExecutablePropertiesKHR)vkGetDeviceProcAddr(device, "vkGetPipelineExecutablePropertiesKHR");
  PFN_vkGetPipelineExecutableStatisticsKHR get_statistics =
    (PFN_vkGetPipelineExecutableStatisticsKHR)vkGetDeviceProcAddr(device, "vkGetPipelineExecutableStatisticsKHR");
  VkPipelineInfoKHR whole = { .sType = VK_STRUCTURE_TYPE_PIPELINE_INFO_KHR, .pipeline = pipeline };
  VkPipelineExecutablePropertiesKHR properties = { .sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_PROPERTIES_KHR };
  uint32_t count = 1;
  require(get_properties(device, &whole, &count, &properties), path);
  printf("{\"file\":\"%s\",\"subgroup\":%u", path, properties.subgroupSize);

  VkPipelineExecutableInfoKHR executable = {
    .sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR, .pipeline = pipeline,
  };
  VkPipelineExecutableStatisticKHR statistics[STATISTICS] = { 0 };
  for (int i = 0; i < STATISTICS; i++) statistics[i].sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_STATISTIC_KHR;
  count = STATISTICS;
  require(get_statistics(device, &executable, &count, statistics), path);
  for (uint32_t i = 0; i < count; i++) {
    if (statistics[i].format == VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_FLOAT64_KHR) continue;
    printf(",\"%s\":%llu", statistics[i].name, (unsigned long long)statistics[i].value.u64);
  }
  puts("}");
}

int main(int count, char **paths) {
  VkPhysicalDevice physical = open_driver();
  VkDevice device = open_device(physical);
  VkPipelineLayout layout = create_layout(device);
  for (int i = 1; i < count; i++) {
    VkPipeline pipeline = compile(device, layout, paths[i]);
    print_statistics(device, pipeline, paths[i]);
    vkDestroyPipeline(device, pipeline, 0);
  }
  fflush(stdout);
  // RADV without a GPU does not survive its own end.
  _Exit(0);
}
