#include "disk.h"

#include "error.h"
#include "log.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstring>

namespace standin {
namespace {

// Through vCenter NFC allocates at most this much for one request (virt-v2v, CDI).
constexpr VixSector kLargestNfcRequestSectors = 2 * 1024 * 1024 / vix::kSectorBytes;
constexpr size_t kExtentsPerReport = 4096;
constexpr auto kLate = std::chrono::milliseconds(5);

uint32_t adapterNamed(const std::string &name) {
  if (name == "ide") return vix::kAdapterIde;
  if (name == "buslogic") return vix::kAdapterBusLogic;
  if (name == "lsilogic") return vix::kAdapterLsiLogic;
  return vix::kAdapterUnknown;
}

// GetTransportMode hands out strings nobody frees.
const char *staticTransportName(const std::string &name) {
  for (const char *known : {"nbdssl", "nbd", "hotadd", "san", "file"})
    if (name == known) return known;
  return "nbdssl";
}

VixGeometry geometryOf(VixSector capacity) {
  constexpr uint32_t heads = 255, sectors = 63;
  return {static_cast<uint32_t>(std::min<VixSector>(capacity / (heads * sectors), UINT32_MAX)), heads, sectors};
}

}  // namespace

Disk::Disk(Connection &connection, const std::string &path, uint32_t flags, LibraryState &library)
    : connection_(connection), library_(library), path_(path), readOnly_(connection.readOnly || (flags & vix::kOpenReadOnly)), behaviour_(library.behaviour) {
  uint32_t compression = flags & vix::kOpenCompressionMask;
  if (compression & (compression - 1)) throw VixFailure(vix::kInvalidArgument, "more than one compression is asked for");
  if (connection.door) openThroughDoor(flags);
  else openLocal(flags);
  if (!readOnly_ && (flags & vix::kOpenUnbuffered)) chain_->unbuffer();
  connection_.openDisks++;
  if (behaviour_.logThreads > 0) chatter_.emplace(behaviour_.logThreads);
}

Disk::~Disk() {
  wait();
  connection_.openDisks--;
}

void Disk::openLocal(uint32_t flags) {
  if (path_.rfind('/', 0) != 0) throw VixFailure(vix::kInvalidArgument, "a local disk needs an absolute path, not \"" + path_ + "\"");
  descriptor_ = Descriptor::read(path_);
  chain_ = openLocalChain(descriptor_, flags & vix::kOpenSingleLink, !readOnly_);
  metadata_ = descriptor_.ddb;
  uuid_ = metadata_["uuid"];
  adapterType_ = adapterNamed(metadata_["adapterType"]);
  parentFileNameHint_ = descriptor_.parentFileNameHint;
  faults_ = std::make_unique<Faults>();
}

void Disk::openThroughDoor(uint32_t flags) {
  vault::Json request = vault::Json::object().set("op", "open").set("path", path_).set("readOnly", readOnly_);
  request.set("singleLink", (flags & vix::kOpenSingleLink) != 0).set("compression", flags & vix::kOpenCompressionMask);
  request.set("nfcBufferBytes", vault::Json::u64(library_.nfcBufferBytes));
  vault::Json answer = connection_.door->ask(request);
  handle_ = answer["handle"].string();
  try {
    VixSector capacity = answer["capacitySectors"].u64();
    std::vector<std::unique_ptr<Link>> links;
    for (const vault::Json &link : answer["links"].items()) {
      bool writable = !readOnly_ && links.empty();
      const std::string &format = link["format"].string();
      const std::string &file = link["file"].string();
      if (format == "sesparse") links.push_back(openSeSparseLink(file, writable));
      else if (format == "flat") links.push_back(openFlatLink({{file, capacity, link["offsetSectors"].u64Or(0)}}, writable));
      else throw VixFailure(vix::kNotSupported, "a link of format " + format + " is not supported");
      if (flags & vix::kOpenSingleLink) break;
    }
    if (links.empty()) throw VixFailure(vix::kDiskInvalid, "\"" + path_ + "\" has no links");
    chain_ = std::make_unique<Chain>(std::move(links), capacity);
    transport_ = staticTransportName(answer["transport"].stringOr("nbdssl"));
    adapterType_ = static_cast<uint32_t>(answer["adapterType"].u64Or(vix::kAdapterLsiLogic));
    uuid_ = answer["uuid"].stringOr("");
    parentFileNameHint_ = answer["parentFileNameHint"].stringOr("");
    for (const auto &entry : answer["metadata"].members()) metadata_[entry.first] = entry.second.string();
    behaviour_ = behaviour_.orderedBy(answer["library"]);
    faults_ = std::make_unique<Faults>(answer["faults"]);
    announcesIo_ = answer["announceIo"].boolOr(false);
    faults_->strike("open", 0);
  } catch (const std::exception &) {
    connection_.door->ask(vault::Json::object().set("op", "close").set("handle", handle_));
    throw;
  }
}

VixInfo *Disk::info(uint32_t libraryMajor) const {
  const bool hasSectorSizes = libraryMajor >= 7;
  auto *info = static_cast<VixInfo *>(calloc(1, hasSectorSizes ? sizeof(VixInfo) : offsetof(VixInfo, logicalSectorSize)));
  if (!info) throw std::bad_alloc();
  info->biosGeometry = info->physicalGeometry = geometryOf(capacity());
  info->capacity = capacity();
  info->adapterType = adapterType_;
  info->numLinks = static_cast<int32_t>(chain_->linkCount());
  info->parentFileNameHint = parentFileNameHint_.empty() ? nullptr : strdup(parentFileNameHint_.c_str());
  info->uuid = strdup(uuid_.c_str());
  if (hasSectorSizes) info->logicalSectorSize = info->physicalSectorSize = vix::kSectorBytes;
  return info;
}

void Disk::check(VixSector start, VixSector count, const void *buffer, bool write) const {
  if (!buffer || count == 0) throw VixFailure(vix::kInvalidArgument, "a buffer and at least one sector are needed");
  if (write && readOnly_) throw VixFailure(vix::kFileReadOnly, "\"" + path_ + "\" was opened read-only");
  if (start >= capacity() || count > capacity() - start)
    throw VixFailure(vix::kDiskOutOfRange, "sectors " + std::to_string(start) + "+" + std::to_string(count) + " lie outside \"" + path_ + "\"");
  bool nfc = std::strncmp(transport_, "nbd", 3) == 0;
  if (nfc && count > kLargestNfcRequestSectors)
    throw VixFailure(vix::kOutOfMemory, "NFC error 5: Failed to allocate the requested " + std::to_string(count * vix::kSectorBytes) + " bytes");
}

void Disk::read(VixSector start, VixSector count, uint8_t *to) {
  faults_->strike("read", count * vix::kSectorBytes);
  announced("read", [&] { chain_->read(start, count, to); });
}

void Disk::write(VixSector start, VixSector count, const uint8_t *from) {
  faults_->strike("write", count * vix::kSectorBytes);
  announced("write", [&] {
    chain_->write(start, count, from);
    note(start, count);
  });
}

void Disk::announced(const char *kind, const std::function<void()> &io) {
  if (!announcesIo_) return io();
  const vault::Json begun = connection_.door->ask(vault::Json::object().set("op", "beginIo").set("kind", kind));
  io();
  connection_.door->ask(vault::Json::object().set("op", "endIo").set("number", begun["number"].string()));
}

void Disk::submit(bool isWrite, VixSector start, VixSector count, uint8_t *buffer, VixCompletion done, void *data) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    pending_++;
  }
  if (behaviour_.callbacks == Callbacks::Inline) {
    complete({done, data, perform(isWrite, start, count, buffer)});
    return;
  }
  library_.pool->submit([=] {
    Completion completion{done, data, perform(isWrite, start, count, buffer)};
    if (behaviour_.callbacks == Callbacks::Late) std::this_thread::sleep_for(kLate);
    if (behaviour_.callbacks == Callbacks::Reversed) completeReversed(completion);
    else complete(completion);
  });
}

VixError Disk::perform(bool isWrite, VixSector start, VixSector count, uint8_t *buffer) {
  try {
    if (isWrite) write(start, count, buffer);
    else read(start, count, buffer);
    return vix::kOk;
  } catch (const VixFailure &failure) {
    logWarning("%s of %llu+%llu failed: %s\n", isWrite ? "Write" : "Read", static_cast<unsigned long long>(start),
               static_cast<unsigned long long>(count), failure.what());
    return failure.error;
  }
}

void Disk::complete(const Completion &completion) {
  completion.done(completion.data, behaviour_.word(completion.result));
  std::lock_guard<std::mutex> lock(mutex_);
  if (--pending_ == 0) drained_.notify_all();
}

// Held until everything in flight is done: the last one in is the first one told. What comes while these are told counts
// them as still in flight and is held, so the last of these takes it along. Under one lock with the count: once that is
// zero, the disk may be closed.
void Disk::completeReversed(const Completion &completion) {
  std::vector<Completion> all;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    held_.push_back(completion);
    if (held_.size() < pending_) return;
    all.swap(held_);
  }
  while (!all.empty()) {
    Completion last = all.back();
    all.pop_back();
    last.done(last.data, behaviour_.word(last.result));
    std::lock_guard<std::mutex> lock(mutex_);
    if (--pending_ == 0) drained_.notify_all();
    else if (all.empty() && held_.size() >= pending_) all.swap(held_);
  }
}

size_t Disk::inFlight() {
  std::lock_guard<std::mutex> lock(mutex_);
  return pending_;
}

void Disk::wait() {
  std::unique_lock<std::mutex> lock(mutex_);
  drained_.wait(lock, [this] { return pending_ == 0; });
}

void Disk::note(VixSector start, VixSector count) {
  if (!connection_.door) return;
  std::lock_guard<std::mutex> lock(mutex_);
  if (!written_.empty() && written_.back().offset + written_.back().length == start) written_.back().length += count;
  else written_.push_back({start, count});
}

void Disk::reportWritten() {
  std::vector<VixBlock> extents;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    extents.swap(written_);
  }
  for (size_t at = 0; at < extents.size(); at += kExtentsPerReport) {
    vault::Json list = vault::Json::array();
    for (size_t i = at; i < std::min(at + kExtentsPerReport, extents.size()); i++)
      list.push(vault::Json::array().push(vault::Json::u64(extents[i].offset)).push(vault::Json::u64(extents[i].length)));
    connection_.door->ask(vault::Json::object().set("op", "written").set("handle", handle_).set("extents", list));
  }
}

void Disk::flush() {
  wait();
  if (!readOnly_) chain_->sync();
  reportWritten();
}

std::vector<VixBlock> Disk::queryAllocated(VixSector start, VixSector count, VixSector chunk) {
  if (chunk < vix::kMinChunkSectors || count == 0 || start % chunk != 0 || count % chunk != 0 || count / chunk > vix::kMaxChunksPerCall ||
      start > capacity() || count > capacity() - start)
    throw VixFailure(vix::kInvalidArgument, "QueryAllocatedBlocks takes whole chunks within the disk, 524288 of them at most");
  faults_->strike("queryAllocated", count * vix::kSectorBytes);
  return chain_->allocated(start, count, chunk);
}

void Disk::setMetadata(const std::string &key, const std::string &value) {
  if (readOnly_) throw VixFailure(vix::kFileReadOnly, "\"" + path_ + "\" was opened read-only");
  if (connection_.door)
    connection_.door->ask(vault::Json::object().set("op", "setMetadata").set("handle", handle_).set("key", key).set("value", value));
  else descriptor_.setDdb(key, value);
  metadata_[key] = value;
}

void Disk::close() {
  flush();
  if (connection_.door) connection_.door->ask(vault::Json::object().set("op", "close").set("handle", handle_));
}

Disk::Entry::Entry(Disk &disk, const char *function) : disk_(disk) {
  if (disk_.callers_.fetch_add(1) > 0)
    disk_.library_.ledger.breach(std::string(function) + " runs while another call is under way on the handle of \"" + disk_.path_ + "\"");
}

Disk::Entry::~Entry() { disk_.callers_.fetch_sub(1); }

}  // namespace standin
