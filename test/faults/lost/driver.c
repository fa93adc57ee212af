// A Vulkan driver that loses its device. Every call goes to the driver named by REAL_DRIVER, but once the file LOSE_FILE
// exists, waits, polls and submissions return VK_ERROR_DEVICE_LOST, until a new device is created.

#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VK_ERROR_DEVICE_LOST -4

typedef void (*Function)(void);
typedef Function (*GetProcAddr)(void *, const char *);

static GetProcAddr real_instance_function, real_device_function;

static void *real(const char *name) {
  static void *driver;
  if (!driver) driver = dlopen(getenv("REAL_DRIVER"), RTLD_NOW | RTLD_LOCAL);
  return driver ? dlsym(driver, name) : 0;
}

static int is_lost(void) {
  return access(getenv("LOSE_FILE"), F_OK) == 0;
}

#define LOSING(name, parameters, arguments) \
  static int (*real_##name) parameters; \
  static int name parameters { return is_lost() ? VK_ERROR_DEVICE_LOST : real_##name arguments; }

LOSING(vkGetSemaphoreCounterValue, (void *device, uint64_t semaphore, void *value), (device, semaphore, value))
LOSING(vkWaitSemaphores, (void *device, void *info, uint64_t timeout), (device, info, timeout))
LOSING(vkGetFenceStatus, (void *device, uint64_t fence), (device, fence))
LOSING(vkWaitForFences, (void *device, uint32_t count, void *fences, uint32_t all, uint64_t timeout),
  (device, count, fences, all, timeout))
LOSING(vkQueueSubmit, (void *queue, uint32_t count, void *submits, uint64_t fence), (queue, count, submits, fence))

static int (*real_vkCreateDevice)(void *, void *, void *, void *);
static int vkCreateDevice(void *adapter, void *info, void *allocator, void *device) {
  unlink(getenv("LOSE_FILE"));
  return real_vkCreateDevice(adapter, info, allocator, device);
}

// The function that stands in for `function`, which is remembered, or `function` itself.
static Function replace(const char *name, Function function) {
  if (!function) return 0;
#define REPLACE(replaced) \
  if (!strcmp(name, #replaced) || !strcmp(name, #replaced "KHR")) { \
    real_##replaced = (void *)function; \
    return (Function)replaced; \
  }
  REPLACE(vkGetSemaphoreCounterValue)
  REPLACE(vkWaitSemaphores)
  REPLACE(vkGetFenceStatus)
  REPLACE(vkWaitForFences)
  REPLACE(vkQueueSubmit)
  REPLACE(vkCreateDevice)
  return function;
}

static Function device_function(void *device, const char *name) {
  return replace(name, real_device_function(device, name));
}

// What Vulkan's loader asks a driver for.

Function vk_icdGetInstanceProcAddr(void *instance, const char *name) {
  if (!real_instance_function) real_instance_function = (GetProcAddr)real("vk_icdGetInstanceProcAddr");
  Function function = real_instance_function ? real_instance_function(instance, name) : 0;
  if (!function || strcmp(name, "vkGetDeviceProcAddr")) return replace(name, function);
  real_device_function = (GetProcAddr)function;
  return (Function)device_function;
}

Function vk_icdGetPhysicalDeviceProcAddr(void *instance, const char *name) {
  GetProcAddr get = (GetProcAddr)real("vk_icdGetPhysicalDeviceProcAddr");
  return get ? get(instance, name) : 0;
}

int vk_icdNegotiateLoaderICDInterfaceVersion(uint32_t *version) {
  int (*negotiate)(uint32_t *) = (int (*)(uint32_t *))real("vk_icdNegotiateLoaderICDInterfaceVersion");
  return negotiate ? negotiate(version) : -1;
}
