// Calls libvixDiskLib as a foreign program would, through dlsym and the ABI header alone, and prints one
// "name code" line per call. Arguments: library file, folder for disks, port of the door, capacity in sectors.
#include "vixdisklib_abi.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <string>
#include <thread>
#include <vector>

namespace {

void *library;

template <typename Result = VixError, typename... Arguments>
Result call(const char *name, Arguments... arguments) {
  auto function = reinterpret_cast<Result (*)(Arguments...)>(dlsym(library, (std::string("VixDiskLib_") + name).c_str()));
  if (!function) {
    std::printf("missing %s\n", name);
    std::exit(1);
  }
  return function(arguments...);
}

void show(const char *name, VixError error) { std::printf("%s %llu\n", name, static_cast<unsigned long long>(error)); }

std::string logged;
void note(const char *format, va_list arguments) {
  char line[1024];
  std::vsnprintf(line, sizeof line, format, arguments);
  logged += line;
}

struct Completion {
  VixError result = 99;
  std::thread::id thread;
};

void completed(void *data, VixError result) {
  auto *completion = static_cast<Completion *>(data);
  completion->result = result;
  completion->thread = std::this_thread::get_id();
}

const auto kNoBuffer = static_cast<uint8_t *>(nullptr);

void checkReads(VixDisk *disk, VixSector capacity) {
  std::vector<uint8_t> buffer(4 * 1024 * 1024 + 512);
  auto read = [&](VixSector start, VixSector count, uint8_t *to) { return call("Read", disk, start, count, to); };
  show("read-last-sector", read(capacity - 1, 1, buffer.data()));
  show("read-past-end", read(capacity - 1, 2, buffer.data()));
  show("read-wrapping", read(UINT64_MAX, 2, buffer.data()));
  show("read-null-buffer", read(0, 1, kNoBuffer));
  show("read-null-handle", call("Read", static_cast<VixDisk *>(nullptr), VixSector{0}, VixSector{1}, buffer.data()));
  show("read-2MiB", read(0, 4096, buffer.data()));
  show("read-2MiB-and-512", read(0, 4097, buffer.data()));
  show("write-read-only", call("Write", disk, VixSector{0}, VixSector{1}, static_cast<const uint8_t *>(buffer.data())));
  Completion completion;
  show("read-async", call("ReadAsync", disk, VixSector{0}, VixSector{8}, buffer.data(), completed, static_cast<void *>(&completion)));
  show("wait", call("Wait", disk));
  show("completion", completion.result);
  show("completion-on-another-thread", completion.thread != std::this_thread::get_id());
}

void checkAllocated(VixDisk *disk, VixSector capacity) {
  auto query = [&](const char *name, VixSector start, VixSector count, VixSector chunk) {
    VixBlockList *list = nullptr;
    VixError error = call("QueryAllocatedBlocks", disk, start, count, chunk, &list);
    show(name, error);
    if (error == 0) call("FreeBlockList", list);
  };
  VixSector whole = capacity / 128 * 128;
  query("query", 0, whole, 128);
  query("query-small-chunk", 0, 64, 64);
  query("query-unaligned-start", 1, 128, 128);
  query("query-unaligned-count", 0, 129, 128);
  query("query-nothing", 0, 0, 128);
  query("query-tail", whole, capacity - whole, 128);
  query("query-rounded-past-end", 0, whole + 128, 128);
  query("query-too-many-chunks", 0, VixSector{128} * (512 * 1024 + 1), 128);
}

void checkMetadata(VixDisk *disk) {
  size_t required = 0;
  show("keys-size", call("GetMetadataKeys", disk, static_cast<char *>(nullptr), size_t{0}, &required));
  std::vector<char> keys(required);
  show("keys", call("GetMetadataKeys", disk, keys.data(), keys.size(), &required));
  show("keys-end-with-two-NULs", required >= 2 && keys[required - 1] == 0 && keys[required - 2] == 0);
  show("value-of-unknown-key", call("ReadMetadata", disk, "nothing", static_cast<char *>(nullptr), size_t{0}, &required));
  char small[2];
  show("value-in-small-buffer", call("ReadMetadata", disk, static_cast<const char *>(keys.data()), small, sizeof small, &required));
}

VixError connect(const char *port, const char *cookie, VixConnection **connection) {
  auto *params = call<VixConnectParams *>("AllocateConnectParams");
  std::string vm = "moref=vm-16", server = "127.0.0.1", print = "11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44";
  std::string user = "backup@vsphere.local", secret = cookie;
  params->vmxSpec = vm.data();
  params->serverName = server.data();
  params->thumbPrint = print.data();
  params->port = static_cast<uint32_t>(std::atoi(port));
  params->credentialType = VIX_CRED_SESSION_ID;
  params->credentials.session = {*cookie ? secret.data() : nullptr, user.data(), nullptr};
  VixError error = call("ConnectEx", const_cast<const VixConnectParams *>(params), VixBool{1}, static_cast<const char *>(nullptr),
                        static_cast<const char *>(nullptr), connection);
  call<void>("FreeConnectParams", params);
  return error;
}

}  // namespace

int main(int, char **argv) {
  library = dlopen(argv[1], RTLD_NOW);
  if (!library) return std::puts(dlerror()), 1;
  VixSector capacity = std::strtoull(argv[4], nullptr, 10);
  auto initialize = [&](uint32_t major) {
    return call("InitEx", major, uint32_t{5}, note, note, note, static_cast<const char *>("/"), static_cast<const char *>(nullptr));
  };
  show("init-newer-than-library", initialize(99));
  show("init", initialize(6));
  show("init-again", initialize(6));
  VixConnection *connection = nullptr;
  show("connect-null-params", call("ConnectEx", static_cast<const VixConnectParams *>(nullptr), VixBool{1}, static_cast<const char *>(nullptr),
                                   static_cast<const char *>(nullptr), &connection));
  show("connect-null-cookie", connect(argv[3], "", &connection));
  show("connect", connect(argv[3], "vmware_soap_session-0123456789", &connection));
  VixDisk *disk = nullptr;
  show("open-null-path", call("Open", connection, static_cast<const char *>(nullptr), uint32_t{4}, &disk));
  show("open-two-compressions", call("Open", connection, "[ds-1] abi.vmdk", uint32_t{4 + 16 + 32}, &disk));
  show("open", call("Open", connection, "[ds-1] abi.vmdk", uint32_t{4}, &disk));
  VixInfo *info = nullptr;
  show("info", call("GetInfo", disk, &info));
  show("capacity", info->capacity);
  show("links", static_cast<VixError>(info->numLinks));
  call<void>("FreeInfo", info);
  checkReads(disk, capacity);
  checkAllocated(disk, capacity);
  checkMetadata(disk);
  show("close", call("Close", disk));
  show("create-remote", call("Create", connection, "[ds-1] new.vmdk", static_cast<const VixCreateParams *>(nullptr), static_cast<VixProgressFunc>(nullptr),
                             static_cast<void *>(nullptr)));
  show("disconnect", call("Disconnect", connection));

  auto *local = call<VixConnectParams *>("AllocateConnectParams");
  show("connect-hosted", call("ConnectEx", const_cast<const VixConnectParams *>(local), VixBool{0}, static_cast<const char *>(nullptr),
                              static_cast<const char *>(nullptr), &connection));
  std::string path = std::string(argv[2]) + "/created.vmdk";
  VixCreateParams create{vix::kDiskMonolithicFlat, vix::kAdapterLsiLogic, 13, VixSector{5} << 31, 512, 512};
  auto createDisk = [&] {
    return call("Create", connection, path.c_str(), const_cast<const VixCreateParams *>(&create), static_cast<VixProgressFunc>(nullptr), static_cast<void *>(nullptr));
  };
  show("create", createDisk());
  show("create-existing", createDisk());
  show("open-created", call("Open", connection, path.c_str(), uint32_t{0}, &disk));
  std::vector<uint8_t> data(4096, 0xa5), back(4096);
  show("write-beyond-4TiB", call("Write", disk, create.capacity - 8, VixSector{8}, static_cast<const uint8_t *>(data.data())));
  show("read-back", call("Read", disk, create.capacity - 8, VixSector{8}, back.data()));
  show("same", data == back);
  show("close-created", call("Close", disk));
  show("unlink", call("Unlink", connection, path.c_str()));
  show("disconnect-hosted", call("Disconnect", connection));
  call<void>("FreeConnectParams", local);
  char *text = call<char *>("GetErrorText", VixError{13}, static_cast<const char *>(nullptr));
  std::printf("text %s\n", text);
  call<void>("FreeErrorText", text);
  call<void>("Exit");
  show("init-after-exit", initialize(6));
  show("log-names-NFC-error", logged.find("NFC error 5: Failed to allocate the requested 2097664 bytes") != std::string::npos);
}
