// The exported functions: arguments checked, exceptions turned into codes. Everything else lies beside.
#include "configuration.h"
#include "create-flat.h"
#include "disk.h"
#include "error.h"
#include "log.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <unistd.h>

#define EXPORT extern "C" __attribute__((visibility("default")))

using namespace standin;

// The ABI's opaque handles.
struct VixConnection : Connection {};
struct VixDisk : Disk {
  using Disk::Disk;
};

namespace {

constexpr uint32_t kNewestMajor = 8;
constexpr int kAnswerTimeoutSeconds = 120;
// PrepareForAccess may wait for a running Storage vMotion (guide, chapter PrepareForAccess).
constexpr int kPrepareTimeoutSeconds = 660;
const char kTransportModes[] = "file:san:hotadd:nbdssl:nbd";

enum class Phase { New, Running, Ended };
std::mutex lifeMutex;
Phase phase = Phase::New;
LibraryState library;
std::thread::id openThread;

template <typename Work>
VixError guarded(const char *function, Work work) {
  try {
    work();
    return vix::kOk;
  } catch (const VixFailure &failure) {
    logWarning("%s: %s\n", function, failure.what());
    return failure.error;
  } catch (const std::bad_alloc &) {
    return vix::kOutOfMemory;
  } catch (const std::exception &error) {
    logWarning("%s: %s\n", function, error.what());
    return vix::kFail;
  }
}

void require(bool condition, const char *what) {
  if (!condition) throw VixFailure(vix::kInvalidArgument, what);
}

void requireRunning() {
  if (phase != Phase::Running) throw VixFailure(vix::kFail, "the library is not initialized");
}

Target targetOf(const VixConnectParams &params, bool needsVm) {
  Target target;
  require(!needsVm || params.vmxSpec, "vmxSpec is NULL");
  require(params.serverName && params.thumbPrint, "serverName or thumbPrint is NULL");
  target.vmxSpec = params.vmxSpec ? params.vmxSpec : "";
  target.server = params.serverName;
  target.thumbprint = params.thumbPrint;
  require(params.port <= 65535, "port is above 65535");
  if (params.port != 0) target.port = static_cast<uint16_t>(params.port);
  if (params.credentialType == VIX_CRED_UID) {
    require(params.credentials.uid.userName && params.credentials.uid.password, "user name or password is NULL");
    target.userName = params.credentials.uid.userName;
    target.secret = params.credentials.uid.password;
  } else if (params.credentialType == VIX_CRED_SESSION_ID) {
    require(params.credentials.session.cookie && params.credentials.session.userName, "cookie or user name is NULL");
    target.session = true;
    target.userName = params.credentials.session.userName;
    target.secret = params.credentials.session.cookie;
  } else {
    throw VixFailure(vix::kNotSupported, "only user name with password and session cookies are supported");
  }
  return target;
}

VixConnection *connect(const VixConnectParams *params, bool readOnly, const char *snapshot, const char *modes) {
  requireRunning();
  require(params, "the connection parameters are NULL");
  auto connection = std::make_unique<VixConnection>();
  connection->readOnly = readOnly;
  connection->transportModes = modes ? modes : kTransportModes;
  if (!params->serverName && !params->vmxSpec) return connection.release();
  connection->target = targetOf(*params, true);
  connection->door = std::make_unique<Door>(connection->target, kAnswerTimeoutSeconds);
  if (connection->door->trusted()) {
    vault::Json request = vault::Json::object().set("op", "connect").set("vm", connection->target.vmMoRef());
    request.set("snapshot", snapshot && *snapshot ? vault::Json(snapshot) : vault::Json()).set("readOnly", readOnly);
    connection->door->ask(request.set("transportModes", connection->transportModes));
  }
  return connection.release();
}

void access(const char *operation, const VixConnectParams *params, const char *identity) {
  requireRunning();
  require(params && identity && std::strlen(identity) <= 50, "parameters and an identity of at most 50 characters are needed");
  Target target = targetOf(*params, true);
  Door door(target, kPrepareTimeoutSeconds);
  if (!door.trusted()) throw VixFailure(vix::kFail, "the server's certificate has another thumbprint");
  door.ask(vault::Json::object().set("op", operation).set("vm", target.vmMoRef()).set("identity", identity));
}

void noteOpenThread(const char *function) {
  if (openThread == std::thread::id()) openThread = std::this_thread::get_id();
  if (library.strictThreads && openThread != std::this_thread::get_id())
    logWarning("Thread rule broken: %s runs on another thread than the first Open\n", function);
}

// The two-call protocol of texts: first the size, then the text.
void copyOut(const std::string &text, char *buffer, size_t capacity, size_t *required) {
  if (required) *required = text.size() + 1;
  if (!buffer || capacity < text.size() + 1) throw VixFailure(vix::kBufferTooSmall, "the buffer is too small");
  std::memcpy(buffer, text.c_str(), text.size() + 1);
}

}  // namespace

EXPORT VixError VixDiskLib_InitEx(uint32_t major, uint32_t minor, VixLogFunc *log, VixLogFunc *warn, VixLogFunc *panicLog, const char *libDir,
                                  const char *configFile) {
  std::lock_guard<std::mutex> lock(lifeMutex);
  setLogFunctions(log, warn, panicLog);
  return guarded("VixDiskLib_InitEx", [&] {
    if (phase != Phase::New) throw VixFailure(vix::kFail, "one process initializes the library once");
    require(major <= kNewestMajor, "this library speaks versions up to 8");
    logInfo("VMware VixDiskLib (8.0.0) Release build-0 (stand-in over VMDK files, interface %u.%u)\n", major, minor);
    if (!libDir) logWarning("No libDir given: no transport plugin. Advanced transports not available\n");
    Configuration configuration = configFile ? Configuration::read(configFile) : Configuration();
    library.strictThreads = configuration.number("standin.strictThreads", 0) != 0;
    library.pool = std::make_unique<IoPool>(std::clamp<uint64_t>(configuration.number("standin.ioThreads", 4), 1, 64));
    phase = Phase::Running;
  });
}

EXPORT VixError VixDiskLib_Init(uint32_t major, uint32_t minor, VixLogFunc *log, VixLogFunc *warn, VixLogFunc *panicLog, const char *libDir) {
  return VixDiskLib_InitEx(major, minor, log, warn, panicLog, libDir, nullptr);
}

EXPORT void VixDiskLib_Exit() {
  std::lock_guard<std::mutex> lock(lifeMutex);
  if (phase != Phase::Running) return;
  library.pool.reset();
  phase = Phase::Ended;
}

EXPORT char *VixDiskLib_GetErrorText(VixError error, const char *) { return errorText(error); }
EXPORT void VixDiskLib_FreeErrorText(char *text) { free(text); }
EXPORT const char *VixDiskLib_ListTransportModes() { return kTransportModes; }

EXPORT VixConnectParams *VixDiskLib_AllocateConnectParams() { return static_cast<VixConnectParams *>(calloc(1, sizeof(VixConnectParams))); }

// Strings are the caller's, except in what GetConnectParams made: there `state` owns them.
EXPORT void VixDiskLib_FreeConnectParams(VixConnectParams *params) {
  if (params) delete static_cast<Target *>(params->state);
  free(params);
}

EXPORT VixError VixDiskLib_GetConnectParams(VixConnection *connection, VixConnectParams **result) {
  return guarded("VixDiskLib_GetConnectParams", [&] {
    require(connection && result, "an argument is NULL");
    VixConnectParams *params = VixDiskLib_AllocateConnectParams();
    auto *owned = new Target(connection->target);
    params->state = owned;
    params->vmxSpec = owned->vmxSpec.data();
    params->serverName = owned->server.data();
    params->thumbPrint = owned->thumbprint.data();
    params->port = owned->port;
    params->credentialType = owned->session ? VIX_CRED_SESSION_ID : VIX_CRED_UID;
    if (owned->session) params->credentials.session = {owned->secret.data(), owned->userName.data(), nullptr};
    else params->credentials.uid = {owned->userName.data(), owned->secret.data()};
    *result = params;
  });
}

EXPORT VixError VixDiskLib_PrepareForAccess(const VixConnectParams *params, const char *identity) {
  return guarded("VixDiskLib_PrepareForAccess", [&] { access("prepareForAccess", params, identity); });
}

EXPORT VixError VixDiskLib_EndAccess(const VixConnectParams *params, const char *identity) {
  return guarded("VixDiskLib_EndAccess", [&] { access("endAccess", params, identity); });
}

EXPORT VixError VixDiskLib_Cleanup(const VixConnectParams *params, uint32_t *cleaned, uint32_t *remaining) {
  return guarded("VixDiskLib_Cleanup", [&] {
    requireRunning();
    require(params, "the connection parameters are NULL");
    Door door(targetOf(*params, false), kAnswerTimeoutSeconds);
    if (!door.trusted()) throw VixFailure(vix::kFail, "the server's certificate has another thumbprint");
    vault::Json answer = door.ask(vault::Json::object().set("op", "cleanup"));
    if (cleaned) *cleaned = static_cast<uint32_t>(answer["cleaned"].u64Or(0));
    if (remaining) *remaining = static_cast<uint32_t>(answer["remaining"].u64Or(0));
  });
}

EXPORT VixError VixDiskLib_ConnectEx(const VixConnectParams *params, VixBool readOnly, const char *snapshotRef, const char *transportModes,
                                     VixConnection **result) {
  return guarded("VixDiskLib_ConnectEx", [&] {
    require(result, "the place for the connection is NULL");
    *result = connect(params, readOnly != 0, snapshotRef, transportModes);
  });
}

EXPORT VixError VixDiskLib_Connect(const VixConnectParams *params, VixConnection **result) {
  return VixDiskLib_ConnectEx(params, 0, nullptr, nullptr, result);
}

EXPORT VixError VixDiskLib_Disconnect(VixConnection *connection) {
  return guarded("VixDiskLib_Disconnect", [&] {
    require(connection, "the connection is NULL");
    delete connection;
  });
}

EXPORT VixError VixDiskLib_Open(VixConnection *connection, const char *path, uint32_t flags, VixDisk **result) {
  return guarded("VixDiskLib_Open", [&] {
    require(connection && path && result, "an argument is NULL");
    noteOpenThread("Open");
    if (connection->door && !connection->door->trusted())
      throw VixFailure(vix::kFail, "NBD_ClientOpen: the certificate of " + connection->target.server + " has another thumbprint");
    *result = new VixDisk(*connection, path, flags, library);
    logInfo("Opened '%s' (%s), %llu sectors\n", path, (*result)->transport(), static_cast<unsigned long long>((*result)->capacity()));
  });
}

EXPORT VixError VixDiskLib_Close(VixDisk *disk) {
  return guarded("VixDiskLib_Close", [&] {
    require(disk, "the disk handle is NULL");
    noteOpenThread("Close");
    std::unique_ptr<VixDisk> owned(disk);
    owned->close();
  });
}

EXPORT VixError VixDiskLib_GetInfo(VixDisk *disk, VixInfo **result) {
  return guarded("VixDiskLib_GetInfo", [&] {
    require(disk && result, "an argument is NULL");
    Disk::Entry entry(*disk);
    *result = disk->info();
  });
}

EXPORT void VixDiskLib_FreeInfo(VixInfo *info) {
  if (!info) return;
  free(info->parentFileNameHint);
  free(info->uuid);
  free(info);
}

EXPORT const char *VixDiskLib_GetTransportMode(VixDisk *disk) { return disk ? disk->transport() : nullptr; }

EXPORT VixError VixDiskLib_Read(VixDisk *disk, VixSector start, VixSector count, uint8_t *to) {
  return guarded("VixDiskLib_Read", [&] {
    require(disk, "the disk handle is NULL");
    Disk::Entry entry(*disk);
    disk->check(start, count, to, false);
    disk->read(start, count, to);
  });
}

EXPORT VixError VixDiskLib_Write(VixDisk *disk, VixSector start, VixSector count, const uint8_t *from) {
  return guarded("VixDiskLib_Write", [&] {
    require(disk, "the disk handle is NULL");
    Disk::Entry entry(*disk);
    disk->check(start, count, from, true);
    disk->write(start, count, from);
  });
}

EXPORT VixError VixDiskLib_ReadAsync(VixDisk *disk, VixSector start, VixSector count, uint8_t *to, VixCompletion done, void *data) {
  VixError error = guarded("VixDiskLib_ReadAsync", [&] {
    require(disk && done, "an argument is NULL");
    Disk::Entry entry(*disk);
    disk->check(start, count, to, false);
    disk->submit(false, start, count, to, done, data);
  });
  return error == vix::kOk ? static_cast<VixError>(vix::kAsync) : error;
}

EXPORT VixError VixDiskLib_WriteAsync(VixDisk *disk, VixSector start, VixSector count, const uint8_t *from, VixCompletion done, void *data) {
  VixError error = guarded("VixDiskLib_WriteAsync", [&] {
    require(disk && done, "an argument is NULL");
    Disk::Entry entry(*disk);
    disk->check(start, count, from, true);
    disk->submit(true, start, count, const_cast<uint8_t *>(from), done, data);
  });
  return error == vix::kOk ? static_cast<VixError>(vix::kAsync) : error;
}

EXPORT VixError VixDiskLib_Wait(VixDisk *disk) {
  return guarded("VixDiskLib_Wait", [&] {
    require(disk, "the disk handle is NULL");
    disk->wait();
  });
}

EXPORT VixError VixDiskLib_Flush(VixDisk *disk) {
  return guarded("VixDiskLib_Flush", [&] {
    require(disk, "the disk handle is NULL");
    Disk::Entry entry(*disk);
    disk->flush();
  });
}

EXPORT VixError VixDiskLib_QueryAllocatedBlocks(VixDisk *disk, VixSector start, VixSector count, VixSector chunk, VixBlockList **result) {
  return guarded("VixDiskLib_QueryAllocatedBlocks", [&] {
    require(disk && result, "an argument is NULL");
    Disk::Entry entry(*disk);
    std::vector<VixBlock> blocks = disk->queryAllocated(start, count, chunk);
    auto *list = static_cast<VixBlockList *>(malloc(offsetof(VixBlockList, blocks) + std::max<size_t>(blocks.size(), 1) * sizeof(VixBlock)));
    if (!list) throw std::bad_alloc();
    list->numBlocks = static_cast<uint32_t>(blocks.size());
    std::copy(blocks.begin(), blocks.end(), list->blocks);
    *result = list;
  });
}

EXPORT VixError VixDiskLib_FreeBlockList(VixBlockList *list) {
  free(list);
  return vix::kOk;
}

EXPORT VixError VixDiskLib_GetMetadataKeys(VixDisk *disk, char *keys, size_t capacity, size_t *required) {
  // Asking for the size is part of the protocol, not worth a warning.
  if (disk && required && (!keys || capacity == 0)) {
    *required = 1;
    for (const auto &entry : disk->metadata()) *required += entry.first.size() + 1;
    return vix::kBufferTooSmall;
  }
  return guarded("VixDiskLib_GetMetadataKeys", [&] {
    require(disk, "the disk handle is NULL");
    Disk::Entry entry(*disk);
    std::string list;
    for (const auto &metadata : disk->metadata()) list += metadata.first + '\0';
    copyOut(list, keys, capacity, required);
  });
}

EXPORT VixError VixDiskLib_ReadMetadata(VixDisk *disk, const char *key, char *buffer, size_t capacity, size_t *required) {
  if (disk && key && required && (!buffer || capacity == 0)) {
    auto found = disk->metadata().find(key);
    if (found != disk->metadata().end()) {
      *required = found->second.size() + 1;
      return vix::kBufferTooSmall;
    }
  }
  return guarded("VixDiskLib_ReadMetadata", [&] {
    require(disk && key, "an argument is NULL");
    Disk::Entry entry(*disk);
    auto found = disk->metadata().find(key);
    if (found == disk->metadata().end()) throw VixFailure(vix::kDiskKeyNotFound, std::string("no metadata key ") + key);
    copyOut(found->second, buffer, capacity, required);
  });
}

EXPORT VixError VixDiskLib_WriteMetadata(VixDisk *disk, const char *key, const char *value) {
  return guarded("VixDiskLib_WriteMetadata", [&] {
    require(disk && key && value && !std::strpbrk(key, "\"\n=") && !std::strpbrk(value, "\"\n"), "a key and a value on one line, without quotes, are needed");
    Disk::Entry entry(*disk);
    disk->setMetadata(key, value);
  });
}

EXPORT VixError VixDiskLib_Create(VixConnection *connection, const char *path, const VixCreateParams *params, VixProgressFunc progress, void *data) {
  return guarded("VixDiskLib_Create", [&] {
    require(connection && path && params, "an argument is NULL");
    // Remote disks are made by reconfiguring their VM (guide, "Creating virtual disks").
    if (connection->door) throw VixFailure(vix::kNotSupported, "disks of a vCenter are not made through VDDK");
    createFlat(path, *params);
    if (progress) progress(data, 100);
  });
}

EXPORT VixError VixDiskLib_Unlink(VixConnection *connection, const char *path) {
  return guarded("VixDiskLib_Unlink", [&] {
    require(connection && path, "an argument is NULL");
    if (connection->door) throw VixFailure(vix::kNotSupported, "disks of a vCenter are not deleted through VDDK");
    Descriptor descriptor = Descriptor::read(path);
    for (const DescriptorExtent &extent : descriptor.extents) {
      if (extent.file.empty() || extent.file.find('/') != std::string::npos) continue;
      std::string file = directoryOf(path) + "/" + extent.file;
      if (unlink(file.c_str()) != 0 && errno != ENOENT) throw fileFailure("cannot delete", file, errno);
    }
    if (unlink(path) != 0) throw fileFailure("cannot delete", path, errno);
  });
}

EXPORT VixError VixDiskLib_SpaceNeededForClone(VixDisk *disk, uint32_t diskType, uint64_t *bytes) {
  return guarded("VixDiskLib_SpaceNeededForClone", [&] {
    require(disk && bytes, "an argument is NULL");
    if (diskType != vix::kDiskMonolithicFlat) throw VixFailure(vix::kNotSupported, "only monolithicFlat is supported");
    *bytes = disk->capacity() * vix::kSectorBytes;
  });
}

EXPORT VixError VixDiskLib_CheckRepair(VixConnection *connection, const char *path, VixBool repair) {
  return guarded("VixDiskLib_CheckRepair", [&] {
    require(connection && path, "an argument is NULL");
    if (connection->door || repair) throw VixFailure(vix::kNotSupported, "only local disks can be checked, and none repaired");
    openLocalChain(Descriptor::read(path), false, false);
  });
}

// VDDK has these for Workstation's disks; this stand-in has no use for them.
EXPORT VixError VixDiskLib_CreateChild(VixDisk *, const char *, uint32_t, VixProgressFunc, void *) { return vix::kNotSupported; }
EXPORT VixError VixDiskLib_Clone(VixConnection *, const char *, VixConnection *, const char *, const VixCreateParams *, VixProgressFunc, void *, VixBool) {
  return vix::kNotSupported;
}
EXPORT VixError VixDiskLib_Grow(VixConnection *, const char *, VixSector, VixBool, VixProgressFunc, void *) { return vix::kNotSupported; }
EXPORT VixError VixDiskLib_Shrink(VixDisk *, VixProgressFunc, void *) { return vix::kNotSupported; }
EXPORT VixError VixDiskLib_Defragment(VixDisk *, VixProgressFunc, void *) { return vix::kNotSupported; }
EXPORT VixError VixDiskLib_Rename(const char *, const char *) { return vix::kNotSupported; }
EXPORT VixError VixDiskLib_Attach(VixDisk *, VixDisk *) { return vix::kNotSupported; }
EXPORT VixError VixDiskLib_IsAttachPossible(VixDisk *, VixDisk *) { return vix::kNotSupported; }
