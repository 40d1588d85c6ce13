// Exported functions of the library and its connections.
#include "configuration.h"
#include "library.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <unistd.h>

using namespace standin;

namespace standin {

LibraryState library;
const char kTransportModes[] = "file:san:hotadd:nbdssl:nbd";

void require(bool condition, const char *what) {
  if (!condition) throw VixFailure(vix::kInvalidArgument, what);
}

void requireOpen(VixDisk *disk) {
  require(disk, "the disk handle is NULL");
  if (library.ledger.knows(Kind::Disk, disk)) return;
  library.ledger.breach("a disk handle is used that is not open");
  throw VixFailure(vix::kInvalidHandle, "the disk handle is not open");
}

void requireConnected(VixConnection *connection) {
  require(connection, "the connection is NULL");
  if (library.ledger.knows(Kind::Connection, connection)) return;
  library.ledger.breach("a connection is used that is not connected");
  throw VixFailure(vix::kInvalidHandle, "the connection is not connected");
}

}  // namespace standin

namespace {

constexpr int kReportTimeoutSeconds = 5;
constexpr int kAnswerTimeoutSeconds = 120;
// PrepareForAccess may wait for a running Storage vMotion (guide, chapter PrepareForAccess).
constexpr int kPrepareTimeoutSeconds = 660;
enum class Phase { New, Running, Ended };
std::mutex lifeMutex;
Phase phase = Phase::New;
bool abortsOnSecondInit = false;
// Where broken rules and leaks are told: the last server that wants to hear of them.
std::optional<Target> listener;

void requireRunning() {
  if (phase != Phase::Running) throw VixFailure(vix::kFail, "the library is not initialized");
}

// The release this file stands for: its name is that of a VDDK, libvixDiskLib.so.6 to .so.9.
uint32_t majorFromFileName() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<void *>(&majorFromFileName), &info) == 0 || !info.dli_fname) return 8;
  const std::string file = info.dli_fname;
  const size_t at = file.rfind(".so.");
  const unsigned long major = at == std::string::npos ? 8 : std::strtoul(file.c_str() + at + 4, nullptr, 10);
  return major >= 6 && major <= 9 ? static_cast<uint32_t>(major) : 8;
}

const char *releaseOf(uint32_t major) {
  switch (major) {
    case 6: return "6.7.0";
    case 7: return "7.0.3";
    case 9: return "9.0.0";
    default: return "8.0.0";
  }
}

void tell(Door &door, const std::vector<std::string> &breaches, const std::vector<std::string> &leaks) {
  if (breaches.empty() && leaks.empty()) return;
  vault::Json list = vault::Json::array();
  for (const std::string &breach : breaches) list.push(breach);
  for (const std::string &leak : leaks) list.push("at Exit: " + leak);
  door.ask(vault::Json::object().set("op", "violations").set("process", static_cast<uint32_t>(getpid())).set("list", list));
}

// What is still unsaid. Nobody may be there any more, and nobody waits long for a report.
void report(const std::vector<std::string> &leaks) {
  std::vector<std::string> breaches = library.ledger.takeBreaches();
  for (const std::string &leak : leaks) logWarning("Left at Exit: %s\n", leak.c_str());
  if (!listener || (breaches.empty() && leaks.empty())) return;
  try {
    Door door(*listener, kReportTimeoutSeconds, false);
    tell(door, breaches, leaks);
  } catch (const std::exception &error) {
    logWarning("Broken rules cannot be reported: %s\n", error.what());
  }
}

Target targetOf(const VixConnectParams &params, bool needsVm) {
  Target target;
  target.storageObject = needsVm && params.specType == VIX_SPEC_STORAGE_OBJECT;
  require(!needsVm || target.storageObject || params.vmxSpec, "vmxSpec is NULL");
  if (target.storageObject) {
    require(params.storageObject.id && params.storageObject.datastoreMoRef, "the id or the datastore of the storage object is NULL");
    target.diskId = params.storageObject.id;
    target.datastoreMoRef = params.storageObject.datastoreMoRef;
    target.diskSnapshot = params.storageObject.ssId ? params.storageObject.ssId : "";
  }
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
  if (!params->serverName && !params->vmxSpec && params->specType == VIX_SPEC_VMX) return connection.release();
  connection->target = targetOf(*params, true);
  connection->door = std::make_unique<Door>(connection->target, kAnswerTimeoutSeconds);
  if (connection->door->strict()) listener = connection->target;
  if (connection->door->trusted()) {
    const Target &target = connection->target;
    vault::Json request = vault::Json::object().set("op", "connect");
    if (target.storageObject)
      request.set("storageObject", vault::Json::object().set("id", target.diskId).set("datastore", target.datastoreMoRef).set("snapshot", target.diskSnapshot));
    else request.set("vm", target.vmMoRef());
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
  door.ask(vault::Json::object().set("op", operation).set("vm", target.vmMoRef()).set("identity", identity).set("process", static_cast<uint32_t>(getpid())));
}

}  // namespace

EXPORT VixError VixDiskLib_InitEx(uint32_t major, uint32_t minor, VixLogFunc *log, VixLogFunc *warn, VixLogFunc *panicLog, const char *libDir,
                                  const char *configFile) {
  std::lock_guard<std::mutex> lock(lifeMutex);
  setLogFunctions(log, warn, panicLog);
  return guarded("VixDiskLib_InitEx", [&] {
    // OpenSSL and the transport plugins of VDDK do not survive a second round.
    if (phase != Phase::New && abortsOnSecondInit) panic("PANIC: VixDiskLib_InitEx is called a second time in one process\n");
    if (phase != Phase::New) throw VixFailure(vix::kFail, "one process initializes the library once");
    library.major = majorFromFileName();
    require(major <= library.major, "the library speaks no version that is newer than itself");
    logInfo("VMware VixDiskLib (%s) Release build-0 (stand-in over VMDK files, interface %u.%u)\n", releaseOf(library.major), major, minor);
    if (!libDir) logWarning("No libDir given: no transport plugin. Advanced transports not available\n");
    Configuration configuration = configFile ? Configuration::read(configFile) : Configuration();
    library.ledger.setStrictThreads(configuration.number("standin.strictThreads", 1) != 0);
    library.behaviour = Behaviour::from(configuration);
    abortsOnSecondInit = configuration.text("standin.secondInitEx") == "abort";
    // VDDK's defaults: four buffers of 64 KiB (guide, "Best Practices for NBD Transport").
    library.nfcBufferBytes = 64 * 1024 * configuration.number("vixDiskLib.nfcAio.Session.BufSizeIn64KB", 1) *
                             configuration.number("vixDiskLib.nfcAio.Session.BufCount", 4);
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
  report(library.ledger.leaks());
  library.pool.reset();
  phase = Phase::Ended;
}

EXPORT char *VixDiskLib_GetErrorText(VixError error, const char *) {
  char *text = errorText(error);
  if (text) library.ledger.made(Kind::ErrorText, text);
  return text;
}

EXPORT void VixDiskLib_FreeErrorText(char *text) {
  if (text && library.ledger.gone(Kind::ErrorText, text)) free(text);
}

EXPORT const char *VixDiskLib_ListTransportModes() { return kTransportModes; }

EXPORT VixConnectParams *VixDiskLib_AllocateConnectParams() {
  auto *params = static_cast<VixConnectParams *>(calloc(1, sizeof(VixConnectParams)));
  if (params) library.ledger.made(Kind::ConnectParams, params);
  return params;
}

// Strings are the caller's, except in what GetConnectParams made: there `state` owns them.
EXPORT void VixDiskLib_FreeConnectParams(VixConnectParams *params) {
  if (!params || !library.ledger.gone(Kind::ConnectParams, params)) return;
  delete static_cast<Target *>(params->state);
  free(params);
}

EXPORT VixError VixDiskLib_GetConnectParams(VixConnection *connection, VixConnectParams **result) {
  return guarded("VixDiskLib_GetConnectParams", [&] {
    require(result, "the place for the parameters is NULL");
    requireConnected(connection);
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
    library.ledger.onDesignatedThread("ConnectEx");
    *result = connect(params, readOnly != 0, snapshotRef, transportModes);
    library.ledger.made(Kind::Connection, *result);
  });
}

EXPORT VixError VixDiskLib_Connect(const VixConnectParams *params, VixConnection **result) {
  return VixDiskLib_ConnectEx(params, 0, nullptr, nullptr, result);
}

EXPORT VixError VixDiskLib_Disconnect(VixConnection *connection) {
  return guarded("VixDiskLib_Disconnect", [&] {
    requireConnected(connection);
    library.ledger.onDesignatedThread("Disconnect");
    if (connection->openDisks > 0) {
      library.ledger.breach("Disconnect comes before Close of " + std::to_string(connection->openDisks) + " disks");
      throw VixFailure(vix::kObjectIsBusy, "the connection has open disks");
    }
    library.ledger.gone(Kind::Connection, connection);
    std::unique_ptr<VixConnection> owned(connection);
    if (owned->door && owned->door->strict()) tell(*owned->door, library.ledger.takeBreaches(), {});
  });
}
