#include "session.h"

#include "connect-parameters.h"
#include "library-log.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sys/mman.h>
#include <sys/stat.h>

namespace host {
namespace {

constexpr uint32_t kProtocolVersion = 1;
constexpr int kMemoryFd = 4;
// InitEx arguments every VDDK from 6.5 to 9 accepts (nbdkit, bareos); a major above the library's may not be.
constexpr uint32_t kInterfaceMajor = 6;
constexpr uint32_t kInterfaceMinor = 5;
constexpr size_t kExtentsPerFrame = 65536;

vault::Json success() { return vault::Json::object().set("ok", true); }
vault::Json missing(const char *function) {
  return plainFailure("unsupported", std::string("this VDDK has no ") + function);
}

// Errors that say "ask again later or elsewhere". Any other answer to the probe means "cannot tell".
bool isConnectionError(VixError error) {
  VixError code = vix::code(error);
  return code == vix::kAuthenticationFail || code == vix::kHostConnectionLost || code == vix::kInvalidSession ||
         (code >= 14006 && code <= 14015) || code == vix::kCannotConnectToHost || (code >= 30000 && code < 31000);
}

// Collects runs, joins neighbours and sends them in frames of bounded size.
class ExtentStream {
 public:
  ExtentStream(Channel &channel, uint64_t id) : channel_(channel), id_(id) {}
  void add(VixSector start, VixSector count) {
    if (count == 0) return;
    if (!pairs_.empty() && pairs_[pairs_.size() - 2] + pairs_.back() == start) {
      pairs_.back() += count;
      return;
    }
    if (pairs_.size() >= kExtentsPerFrame * 2) flush();
    pairs_.push_back(start);
    pairs_.push_back(count);
  }
  void flush() {
    channel_.send(FrameType::Extents, id_, std::string(reinterpret_cast<const char *>(pairs_.data()), pairs_.size() * sizeof(uint64_t)));
    pairs_.clear();
  }

 private:
  Channel &channel_;
  uint64_t id_;
  std::vector<uint64_t> pairs_;
};

// The texts of VDDK come by two calls: one for the size, one for the text.
template <typename Call>
VixError readText(Call call, std::string *text) {
  size_t required = 0;
  VixError error = call(nullptr, 0, &required);
  if (error == vix::kOk && required == 0) return vix::kOk;
  if (error != vix::kOk && vix::code(error) != vix::kBufferTooSmall) return error;
  text->resize(required);
  error = call(text->data(), text->size(), &required);
  return error;
}

}  // namespace

bool Session::handle(uint64_t id, const std::string &text) {
  try {
    vault::Json request = vault::Json::parse(text);
    if (request["op"].stringOr("") == "exit") {
      exitLibrary();
      channel_.answer(id, success());
      return false;
    }
    channel_.answer(id, perform(id, request));
  } catch (const LibraryError &error) {
    channel_.answer(id, plainFailure("library", error.what()));
  } catch (const std::exception &error) {
    channel_.answer(id, plainFailure("argument", error.what()));
  }
  return true;
}

vault::Json Session::perform(uint64_t id, const vault::Json &request) {
  const std::string &op = request["op"].string();
  if (op == "hello") return hello(request);
  if (!running_) return plainFailure("argument", "the library has not been started");
  if (op == "prepareForAccess") return access(request, true);
  if (op == "endAccess") return access(request, false);
  if (op == "cleanup") return cleanUp(request);
  if (op == "connect") return connect(request);
  if (op == "disconnect") return disconnect(request["connection"].u64());
  if (op == "open") return open(request);
  if (op == "close") return close(request["disk"].u64());
  if (op == "flush") return flush(request["disk"].u64());
  if (op == "metadata") return metadata(request["disk"].u64());
  if (op == "writeMetadata") return writeMetadata(request["disk"].u64(), request["entries"]);
  if (op == "queryAllocated") return queryAllocated(id, request["disk"].u64());
  return plainFailure("argument", "unknown operation " + op);
}

vault::Json Session::hello(const vault::Json &request) {
  if (request["version"].u64() != kProtocolVersion)
    return plainFailure("argument", "the worker speaks another protocol version; vddk-host and the service must be of one build");
  if (running_) return plainFailure("argument", "the library runs already");
  limits_ = {std::max<uint64_t>(request["ioDepth"].u64(), 1), request["maxRequestBytes"].u64()};
  struct stat status;
  if (fstat(kMemoryFd, &status) != 0 || status.st_size <= 0) return plainFailure("argument", "file descriptor 4 is not shared memory");
  memory_.bytes = static_cast<uint64_t>(status.st_size);
  void *address = mmap(nullptr, memory_.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, kMemoryFd, 0);
  if (address == MAP_FAILED) return plainFailure("argument", std::string("the shared memory cannot be mapped: ") + std::strerror(errno));
  memory_.address = static_cast<uint8_t *>(address);
  const std::string &libraryDir = request["libraryDir"].string();
  library_ = Library::load(libraryDir);
  const std::string &configuration = request["configFile"].string();
  VixError error =
      library_.InitEx(kInterfaceMajor, kInterfaceMinor, logInfo, logWarning, logPanic, libraryDir.c_str(), configuration.c_str());
  if (error != vix::kOk) return failure("VixDiskLib_InitEx", error);
  running_ = true;
  // Colon-separated, and the library's own: not to be freed.
  const char *modes = library_.ListTransportModes ? library_.ListTransportModes() : nullptr;
  return success()
      .set("version", kProtocolVersion)
      .set("libraryVersion", versionFromLog())
      .set("libraryFile", library_.file)
      .set("transportModes", modes ? modes : "");
}

vault::Json Session::access(const vault::Json &request, bool prepare) {
  auto function = prepare ? library_.PrepareForAccess : library_.EndAccess;
  const char *name = prepare ? "VixDiskLib_PrepareForAccess" : "VixDiskLib_EndAccess";
  if (!function) return missing(name);
  ConnectParameters parameters(library_, request["target"], true);
  VixError error = function(parameters.get(), request["identity"].string().c_str());
  return error == vix::kOk ? success() : failure(name, error);
}

vault::Json Session::cleanUp(const vault::Json &request) {
  if (!library_.Cleanup) return missing("VixDiskLib_Cleanup");
  ConnectParameters parameters(library_, request["target"], false);
  uint32_t cleaned = 0;
  uint32_t remaining = 0;
  VixError error = library_.Cleanup(parameters.get(), &cleaned, &remaining);
  if (error != vix::kOk) return failure("VixDiskLib_Cleanup", error);
  return success().set("cleaned", cleaned).set("remaining", remaining);
}

vault::Json Session::connect(const vault::Json &request) {
  // "Programs can allocate VixDiskLibConnectParams as before, although then they cannot use new features in 6.7 such as
  // detached FCD" (guide, "New Connect Parameters and Functions"): an older library would not look at the spec's type.
  if (!request["target"]["storageObject"].isNull() && !library_.AllocateConnectParams)
    return missing("VixDiskLib_AllocateConnectParams, and so knows no first class disks; 6.7 and later do");
  Connection connection;
  connection.parameters = std::make_unique<ConnectParameters>(library_, request["target"], true);
  const vault::Json &snapshot = request["snapshot"];
  VixError error = library_.ConnectEx(connection.parameters->get(), request["readOnly"].boolOr(true), snapshot.isString() ? snapshot.string().c_str() : nullptr,
                                      request["transportModes"].string().c_str(), &connection.handle);
  if (error != vix::kOk) return failure("VixDiskLib_ConnectEx", error);
  uint64_t number = nextNumber_++;
  connections_[number] = std::move(connection);
  return success().set("connection", vault::Json::u64(number));
}

vault::Json Session::disconnect(uint64_t number) {
  auto found = connections_.find(number);
  if (found == connections_.end()) return plainFailure("argument", "no such connection");
  std::vector<uint64_t> left;
  for (const auto &slot : disks_)
    if (slot.second.connection == number) left.push_back(slot.first);
  for (uint64_t disk : left) close(disk);
  VixError error = library_.Disconnect(found->second.handle);
  connections_.erase(found);
  return error == vix::kOk ? success() : failure("VixDiskLib_Disconnect", error);
}

vault::Json Session::open(const vault::Json &request) {
  uint64_t connection = request["connection"].u64();
  auto found = connections_.find(connection);
  if (found == connections_.end()) return plainFailure("argument", "no such connection");
  VixDisk *handle = nullptr;
  VixError error = library_.Open(found->second.handle, request["path"].string().c_str(), static_cast<uint32_t>(request["flags"].u64()), &handle);
  if (error != vix::kOk) return failure("VixDiskLib_Open", error);
  VixInfo *info = nullptr;
  error = library_.GetInfo(handle, &info);
  if (error != vix::kOk || !info) {
    vault::Json answer = failure("VixDiskLib_GetInfo", error == vix::kOk ? static_cast<VixError>(vix::kFail) : error);
    library_.Close(handle);
    return answer;
  }
  VixSector capacity = info->capacity;
  vault::Json answer = success().set("capacitySectors", vault::Json::u64(capacity)).set("linkCount", vault::Json(info->numLinks));
  answer.set("uuid", info->uuid ? info->uuid : "");
  // A disk of 4096-byte sectors would need other units everywhere; 6.x has no such disks and no such field.
  bool native512 = library_.major < 7 || info->logicalSectorSize == 0 || info->logicalSectorSize == vix::kSectorBytes;
  library_.FreeInfo(info);
  if (!native512) {
    library_.Close(handle);
    return plainFailure("unsupported", "the disk has logical sectors of another size than 512 bytes");
  }
  const char *transport = library_.GetTransportMode(handle);
  answer.set("transportMode", transport ? transport : "unknown");
  uint64_t number = nextNumber_++;
  auto disk = std::make_shared<OpenDisk>(library_, handle, capacity, memory_, limits_, channel_);
  std::lock_guard<std::mutex> lock(disksMutex_);
  disks_[number] = {std::move(disk), connection};
  return answer.set("disk", vault::Json::u64(number));
}

std::shared_ptr<OpenDisk> Session::diskAt(uint64_t number) {
  std::lock_guard<std::mutex> lock(disksMutex_);
  auto found = disks_.find(number);
  if (found == disks_.end()) throw std::runtime_error("no such disk");
  return found->second.disk;
}

vault::Json Session::close(uint64_t number) {
  std::shared_ptr<OpenDisk> disk = diskAt(number);
  {
    std::lock_guard<std::mutex> lock(disksMutex_);
    disks_.erase(number);
  }
  disk->drain();
  VixError waited = library_.Wait ? library_.Wait(disk->handle()) : static_cast<VixError>(vix::kOk);
  VixError error = library_.Close(disk->handle());
  if (error != vix::kOk) return failure("VixDiskLib_Close", error);
  return waited == vix::kOk ? success() : failure("VixDiskLib_Wait", waited);
}

vault::Json Session::flush(uint64_t number) {
  std::shared_ptr<OpenDisk> disk = diskAt(number);
  disk->drain();
  VixError error = library_.Wait ? library_.Wait(disk->handle()) : static_cast<VixError>(vix::kOk);
  if (error != vix::kOk) return failure("VixDiskLib_Wait", error);
  if (!library_.Flush) return missing("VixDiskLib_Flush");
  error = library_.Flush(disk->handle());
  return error == vix::kOk ? success() : failure("VixDiskLib_Flush", error);
}

vault::Json Session::metadata(uint64_t number) {
  if (!library_.GetMetadataKeys || !library_.ReadMetadata) return missing("VixDiskLib_ReadMetadata");
  std::shared_ptr<OpenDisk> disk = diskAt(number);
  disk->drain();
  std::string keys;
  VixError error = readText([&](char *to, size_t size, size_t *required) { return library_.GetMetadataKeys(disk->handle(), to, size, required); }, &keys);
  if (error != vix::kOk) return failure("VixDiskLib_GetMetadataKeys", error);
  vault::Json entries = vault::Json::array();
  for (size_t at = 0; at < keys.size() && keys[at] != '\0'; at += std::strlen(keys.c_str() + at) + 1) {
    const char *key = keys.c_str() + at;
    std::string value;
    error = readText([&](char *to, size_t size, size_t *required) { return library_.ReadMetadata(disk->handle(), key, to, size, required); }, &value);
    if (error != vix::kOk) return failure("VixDiskLib_ReadMetadata", error);
    entries.push(vault::Json::array().push(key).push(value.c_str()));
  }
  return success().set("entries", entries);
}

vault::Json Session::writeMetadata(uint64_t number, const vault::Json &entries) {
  if (!library_.WriteMetadata) return missing("VixDiskLib_WriteMetadata");
  std::shared_ptr<OpenDisk> disk = diskAt(number);
  disk->drain();
  for (const vault::Json &entry : entries.items()) {
    const std::string &key = entry.items().at(0).string();
    VixError error = library_.WriteMetadata(disk->handle(), key.c_str(), entry.items().at(1).string().c_str());
    if (error != vix::kOk) return failure("VixDiskLib_WriteMetadata", error).set("key", key);
  }
  return success();
}

vault::Json Session::queryAllocated(uint64_t id, uint64_t number) {
  std::shared_ptr<OpenDisk> disk = diskAt(number);
  vault::Json unknown = success().set("known", false);
  VixSector whole = disk->capacity() / vix::kMinChunkSectors * vix::kMinChunkSectors;
  if (!library_.QueryAllocatedBlocks || !library_.FreeBlockList || whole == 0) return unknown;
  disk->drain();
  // One cheap question first: some disks and hosts cannot answer at all (nbdkit probes likewise).
  VixBlockList *list = nullptr;
  VixError error = library_.QueryAllocatedBlocks(disk->handle(), 0, vix::kMinChunkSectors, vix::kMinChunkSectors, &list);
  if (error != vix::kOk) return isConnectionError(error) ? failure("VixDiskLib_QueryAllocatedBlocks", error) : unknown;
  library_.FreeBlockList(list);
  ExtentStream stream(channel_, id);
  constexpr VixSector kMostSectors = vix::kMaxChunksPerCall * vix::kMinChunkSectors;
  for (VixSector start = 0; start < whole; start += kMostSectors) {
    VixSector count = std::min(kMostSectors, whole - start);
    list = nullptr;
    error = library_.QueryAllocatedBlocks(disk->handle(), start, count, vix::kMinChunkSectors, &list);
    // Told of a part only, nobody knows of the rest: then all of the disk counts, as where the probe fails.
    if (error != vix::kOk) return isConnectionError(error) ? failure("VixDiskLib_QueryAllocatedBlocks", error) : unknown;
    if (!list) return unknown;
    for (uint32_t i = 0; i < list->numBlocks; i++) stream.add(list->blocks[i].offset, list->blocks[i].length);
    library_.FreeBlockList(list);
    channel_.send(FrameType::Progress, id, "");
  }
  // Less than one chunk cannot be asked about (VMware's sample reads it, too).
  stream.add(whole, disk->capacity() - whole);
  stream.flush();
  return success().set("known", true);
}

void Session::submit(const Frame &frame) {
  uint64_t number = 0;
  size_t rest = frame.body.size() - std::min(frame.body.size(), sizeof number);
  if (frame.body.size() < sizeof number || rest % sizeof(IoRequest) != 0) {
    channel_.answer(frame.id, plainFailure("argument", "a cut-off batch"));
    return;
  }
  std::memcpy(&number, frame.body.data(), sizeof number);
  Batch batch{frame.id, frame.type == FrameType::Write, std::vector<IoRequest>(rest / sizeof(IoRequest))};
  if (rest > 0) std::memcpy(batch.requests.data(), frame.body.data() + sizeof number, rest);
  try {
    diskAt(number)->submit(std::move(batch));
  } catch (const std::runtime_error &error) {
    channel_.answer(frame.id, plainFailure("argument", error.what()));
  }
}

void Session::cancel(uint64_t diskNumber, uint64_t batchId) {
  try {
    diskAt(diskNumber)->cancel(batchId);
  } catch (const std::runtime_error &) {
    // Closed meanwhile: nothing is left to cancel.
  }
}

void Session::exitLibrary() {
  if (!running_) return;
  while (!connections_.empty()) disconnect(connections_.begin()->first);
  library_.Exit();
  running_ = false;
}

}  // namespace host
