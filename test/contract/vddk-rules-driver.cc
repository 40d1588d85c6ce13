// Breaks the rules of VDDK one after another, as a careless program would, and prints one line per call.
// Arguments: library file, port of the door, configuration file ("" for none), "twice" to call InitEx twice.
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
  return reinterpret_cast<Result (*)(Arguments...)>(dlsym(library, (std::string("VixDiskLib_") + name).c_str()))(arguments...);
}

void show(const char *name, VixError error) { std::printf("%s %llu\n", name, static_cast<unsigned long long>(error)); }
void log(const char *format, va_list arguments) { std::vfprintf(stderr, format, arguments); }
void ignore(void *, VixError) {}

VixConnection *connect(const char *port) {
  auto *params = call<VixConnectParams *>("AllocateConnectParams");
  std::string vm = "moref=vm-16", server = "127.0.0.1", print = "11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44";
  std::string user = "backup@vsphere.local", password = "correct horse";
  params->vmxSpec = vm.data();
  params->serverName = server.data();
  params->thumbPrint = print.data();
  params->port = static_cast<uint32_t>(std::atoi(port));
  params->credentialType = VIX_CRED_UID;
  params->credentials.uid = {user.data(), password.data()};
  VixConnection *connection = nullptr;
  show("connect", call("ConnectEx", const_cast<const VixConnectParams *>(params), VixBool{1}, static_cast<const char *>(nullptr),
                       static_cast<const char *>(nullptr), &connection));
  call<void>("FreeConnectParams", params);
  return connection;
}

VixDisk *open(VixConnection *connection) {
  VixDisk *disk = nullptr;
  show("open", call("Open", connection, "[ds-1] slow.vmdk", uint32_t{4}, &disk));
  return disk;
}

}  // namespace

int main(int, char **argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  library = dlopen(argv[1], RTLD_NOW);
  if (!library) return std::puts(dlerror()), 1;
  auto initialize = [&] {
    return call("InitEx", uint32_t{6}, uint32_t{5}, log, log, log, static_cast<const char *>("/"), static_cast<const char *>(*argv[3] ? argv[3] : nullptr));
  };
  show("init", initialize());
  if (std::strcmp(argv[4], "twice") == 0) show("init-again", initialize());
  VixConnection *connection = connect(argv[2]);
  VixDisk *disk = open(connection);
  std::vector<uint8_t> buffer(4096);

  // Reads of this disk take 300 ms.
  std::thread reader([&] { show("read", call("Read", disk, VixSector{0}, VixSector{8}, buffer.data())); });
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  VixInfo *info = nullptr;
  show("info-during-read", call("GetInfo", disk, &info));
  reader.join();
  call<void>("FreeInfo", info);
  call<void>("FreeInfo", info);

  VixBlockList *list = nullptr;
  std::thread([&] { show("query-elsewhere", call("QueryAllocatedBlocks", disk, VixSector{0}, VixSector{128}, VixSector{128}, &list)); }).join();
  show("disconnect-with-open-disk", call("Disconnect", connection));
  show("read-async", call("ReadAsync", disk, VixSector{0}, VixSector{8}, buffer.data(), ignore, static_cast<void *>(nullptr)));
  show("close-without-wait", call("Close", disk));
  show("read-closed", call("Read", disk, VixSector{0}, VixSector{8}, buffer.data()));
  show("disconnect", call("Disconnect", connection));
  show("disconnect-again", call("Disconnect", connection));

  // Left behind: a connection, a disk, an info, a block list, an error text.
  connection = connect(argv[2]);
  disk = open(connection);
  show("info", call("GetInfo", disk, &info));
  char *text = call<char *>("GetErrorText", VixError{1}, static_cast<const char *>(nullptr));
  std::printf("text %s\n", text);
  call<void>("Exit");
  return 0;
}
