// What bun:ffi can't express: structs passed by value, and callbacks that must not enter JavaScript. Compiled at
// startup by bun:ffi's `cc`. Every callback just copies its arguments into an Outcome, which JavaScript reads after the
// call or after a poll.
//
// It must compile on machines without C headers or a C library to link with, so it includes and links nothing: the
// types of webgpu.h, as wgpu-native 29 and Dawn have them, are declared here, and functions are passed as addresses.
// Keep local variables below 4 KiB per function: for larger ones the compiler calls a helper on Windows, which is
// missing too.

typedef unsigned int u32;
typedef unsigned long long u64;

// Called by the compiler to clear and copy structs: memmove on arm64, the others elsewhere. Static, so that they don't
// collide with those of Bun.
static void *memset(void *to, int value, u64 bytes) {
  for (u64 i = 0; i < bytes; i++) ((char *)to)[i] = value;
  return to;
}

static void *memmove(void *to, const void *from, u64 bytes) {
  char *target = to;
  const char *source = from;
  if (target < source) {
    for (u64 i = 0; i < bytes; i++) target[i] = source[i];
  } else {
    for (u64 i = bytes; i > 0; i--) target[i - 1] = source[i - 1];
  }
  return to;
}

static void *memcpy(void *to, const void *from, u64 bytes) {
  return memmove(to, from, bytes);
}

#define TEXT 4000

// Shared with shim.ts, which reads it at these offsets.
typedef struct {
  u32 called;  //  0: whether the callback has come; written last, since Dawn may call from another thread
  u32 status;  //  4: its first status, error type or reason
  void *handle;  //  8: the adapter or device that was requested
  u32 length;  // 16: bytes of text
  char text[TEXT];  // 20
} Outcome;

typedef struct { const char *data; u64 length; } StringView;
typedef struct { u64 id; } Future;

typedef struct { void *next; u32 mode; void *callback; void *userdata1; void *userdata2; } CallbackInfo;
typedef struct { void *next; void *callback; void *userdata1; void *userdata2; } ErrorCallbackInfo;

typedef struct {
  void *next;
  StringView label;
  u64 featureCount;
  const u32 *features;
  const void *limits;
  struct { void *next; StringView label; } queue;
  CallbackInfo lost;
  ErrorCallbackInfo error;
} DeviceDescriptor;

typedef struct {
  void *next;
  StringView vendor, architecture, device, description;
  u32 backend, type, vendorId, deviceId, subgroupMin, subgroupMax;
} AdapterInfo;

typedef struct { u64 count; const u32 *features; } Features;

// Called while polling, on the thread that polls.
#define ALLOW_SPONTANEOUS 3

static void keep(Outcome *outcome, u32 status, StringView message) {
  // The first report is the cause, later ones are consequences.
  if (outcome->called) return;
  outcome->status = status;
  u32 length = 0;
  if (message.data) {
    while (length < message.length && length < TEXT && (message.length != ~0ull || message.data[length])) {
      outcome->text[length] = message.data[length];
      length++;
    }
  }
  outcome->length = length;
  ((volatile Outcome *)outcome)->called = 1;
}

static void on_handle(u32 status, void *handle, StringView message, void *outcome, void *unused) {
  ((Outcome *)outcome)->handle = handle;
  keep(outcome, status, message);
}

static void on_status(u32 status, StringView message, void *outcome, void *unused) {
  keep(outcome, status, message);
}

static void on_scope(u32 status, u32 type, StringView message, void *outcome, void *unused) {
  keep(outcome, type, message);
}

static void on_report(void *const *device, u32 kind, StringView message, void *outcome, void *unused) {
  keep(outcome, kind, message);
}

static CallbackInfo info(void *callback, Outcome *outcome) {
  CallbackInfo info = { 0, ALLOW_SPONTANEOUS, callback, outcome, 0 };
  return info;
}

// Dawn can't list its adapters, only give the best one.
void request_adapter(
  Future (*wgpuInstanceRequestAdapter)(void *, const void *, CallbackInfo), void *instance, Outcome *requested
) {
  wgpuInstanceRequestAdapter(instance, 0, info(on_handle, requested));
}

void request_device(
  Future (*wgpuAdapterRequestDevice)(void *, const DeviceDescriptor *, CallbackInfo),
  void *adapter, u64 featureCount, const u32 *features, const void *limits,
  Outcome *requested, Outcome *lost, Outcome *error
) {
  DeviceDescriptor descriptor = { 0 };
  descriptor.featureCount = featureCount;
  descriptor.features = features;
  descriptor.limits = limits;
  descriptor.lost = info(on_report, lost);
  descriptor.error.callback = on_report;
  descriptor.error.userdata1 = error;
  wgpuAdapterRequestDevice(adapter, &descriptor, info(on_handle, requested));
}

void map_to_read(
  Future (*wgpuBufferMapAsync)(void *, u64, u64, u64, CallbackInfo), void *buffer, u64 bytes, Outcome *outcome
) {
  wgpuBufferMapAsync(buffer, 1, 0, bytes, info(on_status, outcome));
}

void when_done(Future (*wgpuQueueOnSubmittedWorkDone)(void *, CallbackInfo), void *queue, Outcome *outcome) {
  wgpuQueueOnSubmittedWorkDone(queue, info(on_status, outcome));
}

void pop_error_scope(Future (*wgpuDevicePopErrorScope)(void *, CallbackInfo), void *device, Outcome *outcome) {
  wgpuDevicePopErrorScope(device, info(on_scope, outcome));
}

void free_adapter_info(void (*wgpuAdapterInfoFreeMembers)(AdapterInfo), const AdapterInfo *adapterInfo) {
  wgpuAdapterInfoFreeMembers(*adapterInfo);
}

void free_features(void (*wgpuSupportedFeaturesFreeMembers)(Features), const Features *features) {
  wgpuSupportedFeaturesFreeMembers(*features);
}
