#include "library.h"

#include <dlfcn.h>
#include <unistd.h>

namespace host {
namespace {

template <typename Function>
void find(void *handle, const char *name, bool required, const std::string &file, Function *&function) {
  std::string symbol = std::string("VixDiskLib_") + name;
  function = reinterpret_cast<Function *>(dlsym(handle, symbol.c_str()));
  if (!function && required) throw LibraryError(file + " is not a usable VDDK library: it has no " + symbol);
}

void *open(const std::string &libraryDir, std::string *file, int *major) {
  for (int version = 9; version >= 6; version--) {
    for (const char *folder : {"/lib64", ""}) {
      std::string candidate = libraryDir + folder + "/libvixDiskLib.so." + std::to_string(version);
      if (access(candidate.c_str(), F_OK) != 0) continue;
      *file = candidate;
      *major = version;
      void *handle = dlopen(candidate.c_str(), RTLD_NOW | RTLD_LOCAL);
      if (handle) return handle;
      const char *reason = dlerror();
      throw LibraryError(candidate + " does not load: " + (reason ? reason : "unknown reason"));
    }
  }
  throw LibraryError("no libvixDiskLib.so.6 to .so.9 below " + libraryDir + " or its lib64 folder");
}

}  // namespace

Library Library::load(const std::string &libraryDir) {
  Library result;
  void *handle = open(libraryDir, &result.file, &result.major);
#define REQUIRED(name) find(handle, #name, true, result.file, result.name)
#define OPTIONAL(name) find(handle, #name, false, result.file, result.name)
  REQUIRED(InitEx);
  REQUIRED(Exit);
  REQUIRED(GetErrorText);
  REQUIRED(FreeErrorText);
  REQUIRED(ConnectEx);
  REQUIRED(Disconnect);
  REQUIRED(Open);
  REQUIRED(Close);
  REQUIRED(GetInfo);
  REQUIRED(FreeInfo);
  REQUIRED(GetTransportMode);
  REQUIRED(ReadAsync);
  REQUIRED(WriteAsync);
  OPTIONAL(Wait);
  OPTIONAL(Flush);
  OPTIONAL(ListTransportModes);
  OPTIONAL(AllocateConnectParams);
  OPTIONAL(FreeConnectParams);
  OPTIONAL(PrepareForAccess);
  OPTIONAL(EndAccess);
  OPTIONAL(Cleanup);
  OPTIONAL(QueryAllocatedBlocks);
  OPTIONAL(FreeBlockList);
  OPTIONAL(GetMetadataKeys);
  OPTIONAL(ReadMetadata);
  OPTIONAL(WriteMetadata);
#undef REQUIRED
#undef OPTIONAL
  return result;
}

}  // namespace host
