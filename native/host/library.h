// VDDK, loaded at run time: which file, which functions.
#pragma once

#include "vixdisklib_abi.h"

#include <stdexcept>
#include <string>

namespace host {

struct LibraryError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Function pointers bear the names of the exported functions. The optional ones are null where a
// library is older than they are.
struct Library {
  // Newest libvixDiskLib.so.N below the distribution root. @throws LibraryError naming file and reason.
  static Library load(const std::string &libraryDir);

  std::string file;
  // 6 means Info without its 7.0 fields.
  int major = 0;

  VixError (*InitEx)(uint32_t, uint32_t, VixLogFunc *, VixLogFunc *, VixLogFunc *, const char *, const char *) = nullptr;
  void (*Exit)() = nullptr;
  char *(*GetErrorText)(VixError, const char *) = nullptr;
  void (*FreeErrorText)(char *) = nullptr;
  VixError (*ConnectEx)(const VixConnectParams *, VixBool, const char *, const char *, VixConnection **) = nullptr;
  VixError (*Disconnect)(VixConnection *) = nullptr;
  VixError (*Open)(VixConnection *, const char *, uint32_t, VixDisk **) = nullptr;
  VixError (*Close)(VixDisk *) = nullptr;
  VixError (*GetInfo)(VixDisk *, VixInfo **) = nullptr;
  void (*FreeInfo)(VixInfo *) = nullptr;
  const char *(*GetTransportMode)(VixDisk *) = nullptr;
  VixError (*ReadAsync)(VixDisk *, VixSector, VixSector, uint8_t *, VixCompletion, void *) = nullptr;
  VixError (*WriteAsync)(VixDisk *, VixSector, VixSector, const uint8_t *, VixCompletion, void *) = nullptr;
  VixError (*Wait)(VixDisk *) = nullptr;
  VixError (*Flush)(VixDisk *) = nullptr;

  const char *(*ListTransportModes)() = nullptr;
  VixConnectParams *(*AllocateConnectParams)() = nullptr;
  void (*FreeConnectParams)(VixConnectParams *) = nullptr;
  VixError (*PrepareForAccess)(const VixConnectParams *, const char *) = nullptr;
  VixError (*EndAccess)(const VixConnectParams *, const char *) = nullptr;
  VixError (*Cleanup)(const VixConnectParams *, uint32_t *, uint32_t *) = nullptr;
  VixError (*QueryAllocatedBlocks)(VixDisk *, VixSector, VixSector, VixSector, VixBlockList **) = nullptr;
  VixError (*FreeBlockList)(VixBlockList *) = nullptr;
  VixError (*GetMetadataKeys)(VixDisk *, char *, size_t, size_t *) = nullptr;
  VixError (*ReadMetadata)(VixDisk *, const char *, char *, size_t, size_t *) = nullptr;
  VixError (*WriteMetadata)(VixDisk *, const char *, const char *) = nullptr;
};

}  // namespace host
