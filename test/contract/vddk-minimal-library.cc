// The smallest library a host must cope with, modelled on what other projects test against: a 6.x with
// only the functions every caller needs. Handles stay NULL, completions run inside ReadAsync, the disk
// is 1024 sectors in memory. FreeConnectParams is there and must never be called: nothing allocates them.
#include "vixdisklib_abi.h"

#include <cstdarg>
#include <cstdlib>
#include <cstring>

#define EXPORT extern "C" __attribute__((visibility("default")))

static uint8_t disk[1024 * 512];
static VixLogFunc *warning;

static void warn(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  warning(format, arguments);
  va_end(arguments);
}

// What VDDK 7 does when it cannot reach VMware's customer experience programme.
static VixError openNoisily() {
  warn("NBD_ClientOpen: %s is in use by another process\n", "web.vmdk");
  for (int i = 0; i < 20; i++) warn(i % 2 ? "PhoneHome: Failed to send data\n" : "VixDiskLib: CEIP is not enabled\n");
  return 1;
}

EXPORT VixError VixDiskLib_InitEx(uint32_t, uint32_t, VixLogFunc *, VixLogFunc *warningLog, VixLogFunc *, const char *, const char *) {
  warning = warningLog;
  for (size_t i = 0; i < sizeof disk; i++) disk[i] = static_cast<uint8_t>(i % 251 + 1);
  return 0;
}
EXPORT void VixDiskLib_Exit() {}
EXPORT char *VixDiskLib_GetErrorText(VixError, const char *) { return nullptr; }
EXPORT void VixDiskLib_FreeErrorText(char *) {}
EXPORT void VixDiskLib_FreeConnectParams(VixConnectParams *) { abort(); }
EXPORT VixError VixDiskLib_ConnectEx(const VixConnectParams *, VixBool, const char *, const char *, VixConnection **) { return 0; }
EXPORT VixError VixDiskLib_Disconnect(VixConnection *) { return 0; }
EXPORT VixError VixDiskLib_Open(VixConnection *, const char *path, uint32_t, VixDisk **) {
  if (strcmp(path, "/noisy") == 0) return openNoisily();
  return strcmp(path, "/none") == 0 ? 0x700000004 : 0;
}
EXPORT VixError VixDiskLib_Close(VixDisk *) { return 0; }
EXPORT VixError VixDiskLib_GetInfo(VixDisk *, VixInfo **info) {
  // 56 bytes, as before 7.0; what follows is poison a careless caller would take for a sector size.
  auto *bytes = static_cast<uint8_t *>(calloc(1, 64));
  memset(bytes + 56, 0x5a, 8);
  *info = reinterpret_cast<VixInfo *>(bytes);
  (*info)->capacity = 1024;
  return 0;
}
EXPORT void VixDiskLib_FreeInfo(VixInfo *info) { free(info); }
EXPORT const char *VixDiskLib_GetTransportMode(VixDisk *) { return "file"; }
EXPORT VixError VixDiskLib_Read(VixDisk *, VixSector start, VixSector count, uint8_t *to) {
  memcpy(to, disk + start * 512, count * 512);
  return 0;
}
EXPORT VixError VixDiskLib_Write(VixDisk *, VixSector start, VixSector count, const uint8_t *from) {
  memcpy(disk + start * 512, from, count * 512);
  return 0;
}
EXPORT VixError VixDiskLib_ReadAsync(VixDisk *handle, VixSector start, VixSector count, uint8_t *to, VixCompletion done, void *data) {
  done(data, VixDiskLib_Read(handle, start, count, to));
  return 25000;
}
EXPORT VixError VixDiskLib_WriteAsync(VixDisk *handle, VixSector start, VixSector count, const uint8_t *from, VixCompletion done, void *data) {
  done(data, VixDiskLib_Write(handle, start, count, from));
  return 25000;
}
EXPORT VixError VixDiskLib_Flush(VixDisk *) { return 0; }
EXPORT VixError VixDiskLib_Wait(VixDisk *) { return 0; }
EXPORT VixError VixDiskLib_Create(VixConnection *, const char *, const VixCreateParams *, VixProgressFunc, void *) { return 6; }
