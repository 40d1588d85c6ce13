// seSparse, the delta format of VMFS 6: constant header, volatile header, grain directory, grain
// tables, grains of 4 KiB. The format is not published; the layout is the one QEMU reads.
#include "error.h"
#include "link.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>

namespace standin {
namespace {

constexpr uint64_t kConstantMagic = 0xcafebabe;
constexpr uint64_t kVolatileMagic = 0xcafecafe;
constexpr uint64_t kVersion = 0x0000000200000001;
constexpr VixSector kGrainSectors = 8;
constexpr VixSector kTableSectors = 64;
constexpr uint64_t kTableEntries = kTableSectors * vix::kSectorBytes / sizeof(uint64_t);
constexpr VixSector kTableCoverage = kTableEntries * kGrainSectors;
constexpr uint64_t kGrainBytes = kGrainSectors * vix::kSectorBytes;
// A directory entry in use: tag 1 in the top nibble, number of its table in the low half.
constexpr uint64_t kTableAllocated = 0x1000000000000000;
constexpr size_t kCachedTables = 256;
constexpr VixSector kMostSectors = VixSector{64} << 31;

struct ConstantHeader {
  uint64_t magic, version, capacity, grainSize, grainTableSize, flags, reserved[4];
  uint64_t volatileHeaderOffset, volatileHeaderSize, journalHeaderOffset, journalHeaderSize, journalOffset, journalSize;
  uint64_t grainDirectoryOffset, grainDirectorySize, grainTablesOffset, grainTablesSize;
  uint64_t freeBitmapOffset, freeBitmapSize, backmapOffset, backmapSize, grainsOffset, grainsSize;
  uint8_t padding[304];
};
static_assert(sizeof(ConstantHeader) == 512);

struct VolatileHeader {
  uint64_t magic, freeTableNumber, nextTransaction, replayJournal;
  uint8_t padding[480];
};
static_assert(sizeof(VolatileHeader) == 512);

// A grain's number is kept rotated: its low 12 bits above its high 48.
uint64_t grainNumber(uint64_t entry) { return ((entry >> 48) & 0xfff) | ((entry & 0x0000ffffffffffff) << 12); }
uint64_t grainEntry(uint64_t number) { return 0x3000000000000000 | ((number & 0xfff) << 48) | (number >> 12); }

class SeSparseLink final : public Link {
 public:
  SeSparseLink(const std::string &path, bool writable) : file_(path, writable) {
    file_.read(0, sizeof header_, &header_);
    if (header_.magic != kConstantMagic) fail(vix::kDiskInvalid, "is not a seSparse extent");
    if (header_.capacity > kMostSectors) fail(vix::kDiskInvalid, "is larger than a disk can be");
    if (header_.version != kVersion || header_.grainSize != kGrainSectors || header_.grainTableSize != kTableSectors || header_.flags != 0)
      fail(vix::kDiskUnsupportedVersion, "has an unknown seSparse version or geometry");
    file_.read(header_.volatileHeaderOffset * vix::kSectorBytes, sizeof volatile_, &volatile_);
    if (volatile_.magic != kVolatileMagic) fail(vix::kDiskInvalid, "has a damaged volatile header");
    if (volatile_.replayJournal != 0) fail(vix::kDiskInvalid, "was not closed cleanly: its journal must be replayed");
    uint64_t entries = header_.grainDirectorySize * vix::kSectorBytes / sizeof(uint64_t);
    uint64_t needed = (header_.capacity + kTableCoverage - 1) / kTableCoverage;
    if (entries < needed || entries > 32 * 1024 * 1024) fail(vix::kDiskInvalid, "has a grain directory of the wrong size");
    directory_.resize(entries);
    file_.read(header_.grainDirectoryOffset * vix::kSectorBytes, entries * sizeof(uint64_t), directory_.data());
    if (writable) findFreeSpace();
  }

  VixSector capacity() const override { return header_.capacity; }

  Run run(VixSector start, VixSector most) override {
    std::lock_guard<std::mutex> lock(mutex_);
    most = std::min(most, header_.capacity - start);
    Run result{contentAt(start), 0};
    while (result.sectors < most && (result.sectors == 0 || contentAt(start + result.sectors) == result.content)) {
      VixSector at = start + result.sectors;
      VixSector unit = directory_[at / kTableCoverage] == 0 ? kTableCoverage : kGrainSectors;
      result.sectors += unit - at % unit;
    }
    result.sectors = std::min(result.sectors, most);
    return result;
  }

  void read(VixSector start, VixSector count, uint8_t *to) override {
    while (count > 0) {
      VixSector within = start % kGrainSectors;
      VixSector piece = std::min(count, kGrainSectors - within);
      uint64_t offset;
      {
        std::lock_guard<std::mutex> lock(mutex_);
        offset = grainOffset(entryAt(start)) + within * vix::kSectorBytes;
        // Grains written one after another lie one after another: read them in one go.
        while (piece < count && (start + piece) % kTableCoverage != 0 &&
               grainOffset(entryAt(start + piece)) == offset + piece * vix::kSectorBytes)
          piece += std::min(count - piece, kGrainSectors);
      }
      file_.read(offset, piece * vix::kSectorBytes, to);
      start += piece;
      count -= piece;
      to += piece * vix::kSectorBytes;
    }
  }

  void write(VixSector start, VixSector count, const uint8_t *from, const ReadParent &readParent) override {
    while (count > 0) {
      VixSector within = start % kGrainSectors;
      VixSector piece = std::min(count, kGrainSectors - within);
      writeGrain(start - within, within, piece, from, readParent);
      start += piece;
      count -= piece;
      from += piece * vix::kSectorBytes;
    }
  }

  void sync() override { file_.sync(); }

 private:
  using Table = std::vector<uint64_t>;

  [[noreturn]] void fail(VixError error, const std::string &what) const { throw VixFailure(error, "\"" + file_.path() + "\" " + what); }

  uint64_t tableOffset(uint64_t directoryEntry) const {
    if ((directoryEntry & 0xffffffff00000000) != kTableAllocated) fail(vix::kDiskInvalid, "has a damaged grain directory");
    return (header_.grainTablesOffset + (directoryEntry & 0xffffffff) * kTableSectors) * vix::kSectorBytes;
  }

  Table &table(uint64_t index) {
    auto found = tables_.find(index);
    if (found != tables_.end()) return found->second;
    // Whole-disk walks go forward; forgetting everything now and then is enough of a policy.
    if (tables_.size() >= kCachedTables) tables_.clear();
    Table loaded(kTableEntries);
    file_.read(tableOffset(directory_[index]), kTableEntries * sizeof(uint64_t), loaded.data());
    return tables_.emplace(index, std::move(loaded)).first->second;
  }

  uint64_t entryAt(VixSector sector) {
    uint64_t index = sector / kTableCoverage;
    if (directory_[index] == 0) return 0;
    return table(index)[sector / kGrainSectors % kTableEntries];
  }

  Content contentAt(VixSector sector) {
    uint64_t entry = entryAt(sector);
    switch (entry >> 60) {
      case 0:
        if (entry == 0) return Content::Parent;
        break;
      case 1:  // unmapped by the guest
      case 2: return Content::Zero;
      case 3: return Content::Data;
    }
    fail(vix::kDiskInvalid, "has a damaged grain table");
  }

  uint64_t grainOffset(uint64_t entry) const {
    if (entry >> 60 != 3) return UINT64_MAX;
    return (header_.grainsOffset + grainNumber(entry) * kGrainSectors) * vix::kSectorBytes;
  }

  void findFreeSpace() {
    tableUsed_.resize(header_.grainTablesSize / kTableSectors);
    for (uint64_t index = 0; index < directory_.size(); index++) {
      if (directory_[index] == 0) continue;
      uint64_t number = directory_[index] & 0xffffffff;
      if (number >= tableUsed_.size()) fail(vix::kDiskInvalid, "has a damaged grain directory");
      tableUsed_[number] = true;
      for (uint64_t entry : table(index))
        if (entry >> 60 == 3) freeGrain_ = std::max(freeGrain_, grainNumber(entry) + 1);
    }
  }

  // Grain first, then the table entry, then the directory: a crash in between loses a grain, not a disk.
  void writeGrain(VixSector grainStart, VixSector within, VixSector count, const uint8_t *from, const ReadParent &readParent) {
    std::lock_guard<std::mutex> lock(mutex_);
    uint64_t entry = entryAt(grainStart);
    if (entry >> 60 == 3) {
      file_.write(grainOffset(entry) + within * vix::kSectorBytes, count * vix::kSectorBytes, from);
      return;
    }
    uint8_t grain[kGrainBytes] = {};
    if (entry == 0 && count < kGrainSectors)
      readParent(grainStart, std::min(kGrainSectors, header_.capacity - grainStart), grain);
    std::memcpy(grain + within * vix::kSectorBytes, from, count * vix::kSectorBytes);
    uint64_t fresh = grainEntry(freeGrain_++);
    file_.write(grainOffset(fresh), sizeof grain, grain);
    setEntry(grainStart, fresh);
  }

  void setEntry(VixSector sector, uint64_t entry) {
    uint64_t index = sector / kTableCoverage;
    if (directory_[index] == 0) addTable(index);
    uint64_t slot = sector / kGrainSectors % kTableEntries;
    table(index)[slot] = entry;
    file_.write(tableOffset(directory_[index]) + slot * sizeof entry, sizeof entry, &entry);
  }

  void addTable(uint64_t index) {
    auto free = std::find(tableUsed_.begin(), tableUsed_.end(), false);
    if (free == tableUsed_.end()) fail(vix::kDiskFull, "has no room for another grain table");
    uint64_t number = static_cast<uint64_t>(free - tableUsed_.begin());
    uint64_t directoryEntry = kTableAllocated | number;
    Table empty(kTableEntries);
    file_.write(tableOffset(directoryEntry), kTableEntries * sizeof(uint64_t), empty.data());
    file_.write(header_.grainDirectoryOffset * vix::kSectorBytes + index * sizeof(uint64_t), sizeof directoryEntry, &directoryEntry);
    directory_[index] = directoryEntry;
    tableUsed_[number] = true;
    volatile_.freeTableNumber = std::max(volatile_.freeTableNumber, number + 1);
    file_.write(header_.volatileHeaderOffset * vix::kSectorBytes, sizeof volatile_, &volatile_);
  }

  File file_;
  ConstantHeader header_;
  VolatileHeader volatile_;
  std::vector<uint64_t> directory_;
  std::map<uint64_t, Table> tables_;
  std::vector<bool> tableUsed_;
  uint64_t freeGrain_ = 0;
  std::mutex mutex_;
};

}  // namespace

std::unique_ptr<Link> openSeSparseLink(const std::string &file, bool writable) { return std::make_unique<SeSparseLink>(file, writable); }

}  // namespace standin
