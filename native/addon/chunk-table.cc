// ChunkTable: digest -> where the chunk lies, for every chunk of one organization.
//
// Open addressing with linear probing over one flat array: 48 bytes an entry, no pointer, no
// allocation an entry. A JavaScript Map of the same chunks takes five to ten times the memory and
// makes every garbage collection walk it. Digests are HMAC outputs, so their first bytes are the hash.
#include "chunk-table.h"

#include <sys/mman.h>

#include <array>
#include <cstring>
#include <limits>
#include <string>

#include "arguments.h"
#include "primitives.h"

namespace vault {
namespace {

constexpr size_t kLocationFields = 4;
constexpr size_t kEntryBytes = kDigestBytes + 16;

struct Entry {
  uint8_t digest[kDigestBytes];
  uint32_t pack_number;
  uint32_t offset;
  uint32_t length;  // 0: never used; the probe ends here
  uint32_t plain_length;  // 0: removed; the probe goes on
};
static_assert(sizeof(Entry) == 48, "docs and limits count 48 bytes an entry");

class ChunkTable final : public Napi::ObjectWrap<ChunkTable> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "ChunkTable",
                       {InstanceMethod<&ChunkTable::Insert>("insert"),
                        InstanceMethod<&ChunkTable::InsertEntries>("insertEntries"), InstanceMethod<&ChunkTable::Lookup>("lookup"),
                        InstanceMethod<&ChunkTable::Remove>("remove"), InstanceMethod<&ChunkTable::RemovePacks>("removePacks"), InstanceMethod<&ChunkTable::RemoveTail>("removeTail"),
                        InstanceAccessor<&ChunkTable::Size>("size"), InstanceAccessor<&ChunkTable::MostEntries>("mostEntries"),
                        InstanceAccessor<&ChunkTable::LargestBytes>("largestBytes"),
                        InstanceAccessor<&ChunkTable::MemoryBytes>("memoryBytes")});
  }

  // new ChunkTable(maximumBytes)
  explicit ChunkTable(const Napi::CallbackInfo& info) : Napi::ObjectWrap<ChunkTable>(info) {
    if (!info[0].IsNumber() || !(info[0].As<Napi::Number>().DoubleValue() >= kInitialCapacity * sizeof(Entry))) {
      throw Napi::RangeError::New(info.Env(), "maximumBytes must be a number of at least 192 KiB");
    }
    const double maximum_bytes = info[0].As<Napi::Number>().DoubleValue();
    while (largest_capacity_ < kLargestCapacity && static_cast<double>(largest_capacity_ * 2 * sizeof(Entry)) <= maximum_bytes) largest_capacity_ *= 2;
    MapEntries(info.Env(), kInitialCapacity);
  }

  ~ChunkTable() override {
    munmap(entries_, capacity_ * sizeof(Entry));
    Napi::MemoryManagement::AdjustExternalMemory(Env(), -static_cast<int64_t>(capacity_ * sizeof(Entry)));
  }

 private:
  static constexpr size_t kInitialCapacity = 4096;
  // 48 TiB: far below where a number of JavaScript or an address would no longer hold it.
  static constexpr size_t kLargestCapacity = size_t{1} << 40;

  // insert(digests, locations) -> entries added. A digest already present keeps its location.
  Napi::Value Insert(const Napi::CallbackInfo& info) {
    const Bytes digests = ReadDigests(info[0]);
    const size_t count = digests.length / kDigestBytes;
    if (!info[1].IsTypedArray() || info[1].As<Napi::TypedArray>().TypedArrayType() != napi_uint32_array ||
        info[1].As<Napi::Uint32Array>().ElementLength() != count * kLocationFields) {
      throw Napi::TypeError::New(info.Env(), "locations must be a Uint32Array of 4 numbers a digest");
    }
    const uint32_t* locations = info[1].As<Napi::Uint32Array>().Data();
    for (size_t i = 0; i < count; ++i) CheckLocation(info.Env(), locations + i * kLocationFields);
    size_t added = 0;
    for (size_t i = 0; i < count; ++i) added += Add(info.Env(), digests.data + i * kDigestBytes, locations + i * kLocationFields);
    return Napi::Number::New(info.Env(), static_cast<double>(added));
  }

  // insertEntries(packNumber, entries) -> entries added. Rows of 48 bytes as packs list them: digest, offset, length,
  // plain length (little-endian), and 4 bytes that say nothing here.
  Napi::Value InsertEntries(const Napi::CallbackInfo& info) {
    const double pack_number = info[0].IsNumber() ? info[0].As<Napi::Number>().DoubleValue() : -1;
    if (!(pack_number >= 0 && pack_number <= std::numeric_limits<uint32_t>::max())) throw Napi::RangeError::New(info.Env(), "packNumber must be a number of 32 bits");
    const Bytes entries = ReadBytes(info[1], "entries");
    if (entries.length % kEntryBytes != 0) throw Napi::RangeError::New(info.Env(), "entries must hold whole rows of 48 bytes");
    const uint8_t* const end = entries.data + entries.length;
    const auto location = [&](const uint8_t* entry) {
      return std::array<uint32_t, kLocationFields>{static_cast<uint32_t>(pack_number), ReadUint32(entry + kDigestBytes), ReadUint32(entry + kDigestBytes + 4),
                                                   ReadUint32(entry + kDigestBytes + 8)};
    };
    for (const uint8_t* entry = entries.data; entry < end; entry += kEntryBytes) CheckLocation(info.Env(), location(entry).data());
    size_t added = 0;
    for (const uint8_t* entry = entries.data; entry < end; entry += kEntryBytes) added += Add(info.Env(), entry, location(entry).data());
    return Napi::Number::New(info.Env(), static_cast<double>(added));
  }

  // lookup(digests) -> Uint32Array of packNumber, offset, length, plainLength; length 0 = unknown.
  Napi::Value Lookup(const Napi::CallbackInfo& info) {
    const Bytes digests = ReadDigests(info[0]);
    const size_t count = digests.length / kDigestBytes;
    auto result = Napi::Uint32Array::New(info.Env(), count * kLocationFields);
    uint32_t* out = result.Data();
    for (size_t i = 0; i < count; ++i, out += kLocationFields) {
      const Entry* entry = Find(digests.data + i * kDigestBytes);
      if (entry == nullptr || entry->plain_length == 0) continue;
      out[0] = entry->pack_number;
      out[1] = entry->offset;
      out[2] = entry->length;
      out[3] = entry->plain_length;
    }
    return result;
  }

  // remove(digests) -> entries removed.
  Napi::Value Remove(const Napi::CallbackInfo& info) {
    const Bytes digests = ReadDigests(info[0]);
    size_t removed = 0;
    for (size_t i = 0; i < digests.length; i += kDigestBytes) {
      Entry* entry = Find(digests.data + i);
      if (entry == nullptr || entry->plain_length == 0) continue;
      entry->plain_length = 0;
      live_ -= 1;
      removed += 1;
    }
    return Napi::Number::New(info.Env(), static_cast<double>(removed));
  }

  // removePacks(gone) -> entries removed: those of the packs whose number has a byte above 0.
  Napi::Value RemovePacks(const Napi::CallbackInfo& info) {
    const Bytes gone = ReadBytes(info[0], "gone");
    size_t removed = 0;
    for (size_t slot = 0; slot < capacity_; ++slot) {
      Entry& entry = entries_[slot];
      if (entry.length == 0 || entry.plain_length == 0 || entry.pack_number >= gone.length || gone.data[entry.pack_number] == 0) continue;
      entry.plain_length = 0;
      live_ -= 1;
      removed += 1;
    }
    return Napi::Number::New(info.Env(), static_cast<double>(removed));
  }

  // removeTail(packNumber, fromByte) -> entries removed: those of the pack that end past fromByte.
  Napi::Value RemoveTail(const Napi::CallbackInfo& info) {
    if (!info[0].IsNumber() || !info[1].IsNumber()) throw Napi::TypeError::New(info.Env(), "packNumber and fromByte must be numbers");
    const double pack_number = info[0].As<Napi::Number>().DoubleValue();
    const double from_byte = info[1].As<Napi::Number>().DoubleValue();
    size_t removed = 0;
    for (size_t slot = 0; slot < capacity_; ++slot) {
      Entry& entry = entries_[slot];
      if (entry.length == 0 || entry.plain_length == 0 || entry.pack_number != pack_number) continue;
      if (static_cast<double>(entry.offset) + entry.length <= from_byte) continue;
      entry.plain_length = 0;
      live_ -= 1;
      removed += 1;
    }
    return Napi::Number::New(info.Env(), static_cast<double>(removed));
  }

  Napi::Value Size(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), static_cast<double>(live_)); }
  // What it takes at its limit, and how many it can hold then.
  Napi::Value LargestBytes(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), static_cast<double>(largest_capacity_ * sizeof(Entry)));
  }
  Napi::Value MostEntries(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), static_cast<double>(largest_capacity_ * 7 / 10)); }
  Napi::Value MemoryBytes(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), static_cast<double>(capacity_ * sizeof(Entry)));
  }

  static uint32_t ReadUint32(const uint8_t* from) {
    return static_cast<uint32_t>(from[0]) | static_cast<uint32_t>(from[1]) << 8 | static_cast<uint32_t>(from[2]) << 16 | static_cast<uint32_t>(from[3]) << 24;
  }

  static void CheckLocation(Napi::Env env, const uint32_t* location) {
    if (location[2] == 0 || location[3] == 0) throw Napi::RangeError::New(env, "A stored chunk has a length and a plain length above 0");
  }

  // 1 when it was not there.
  size_t Add(Napi::Env env, const uint8_t* digest, const uint32_t* location) {
    // One that is there takes no further slot: at the limit it must not be refused.
    if ((used_ + 1) * 10 > capacity_ * 7 && Find(digest) == nullptr) Resize(env, NextCapacity());
    return InsertOne(digest, location) ? 1 : 0;
  }

  static Bytes ReadDigests(const Napi::Value& value) {
    const Bytes digests = ReadBytes(value, "digests");
    if (digests.length % kDigestBytes != 0) throw Napi::RangeError::New(value.Env(), "digests must hold whole digests of 32 bytes");
    return digests;
  }

  size_t Slot(const uint8_t* digest) const {
    uint64_t hash;
    std::memcpy(&hash, digest, sizeof hash);
    return static_cast<size_t>(hash) & (capacity_ - 1);
  }

  Entry* Find(const uint8_t* digest) {
    for (size_t slot = Slot(digest);; slot = (slot + 1) & (capacity_ - 1)) {
      Entry& entry = entries_[slot];
      if (entry.length == 0) return nullptr;
      if (std::memcmp(entry.digest, digest, kDigestBytes) == 0) return &entry;
    }
  }

  bool InsertOne(const uint8_t* digest, const uint32_t* location) {
    size_t slot = Slot(digest);
    for (;; slot = (slot + 1) & (capacity_ - 1)) {
      Entry& entry = entries_[slot];
      const bool fresh = entry.length == 0;
      if (!fresh && std::memcmp(entry.digest, digest, kDigestBytes) != 0) continue;
      if (!fresh && entry.plain_length != 0) return false;
      std::memcpy(entry.digest, digest, kDigestBytes);
      entry.pack_number = location[0];
      entry.offset = location[1];
      entry.length = location[2];
      entry.plain_length = location[3];
      live_ += 1;
      used_ += fresh ? 1 : 0;
      return true;
    }
  }

  // Removed entries disappear when the table is rebuilt, so it doubles only for living ones, and at its limit only when few were removed.
  size_t NextCapacity() const {
    const bool roomy = capacity_ < largest_capacity_ ? (live_ + 1) * 2 <= capacity_ : (live_ + capacity_ / 1024) * 10 <= capacity_ * 7;
    return roomy ? capacity_ : capacity_ * 2;
  }

  // Grows in place, or only drops removed entries: never two tables at once. Entries move in the order of their old slots, from behind
  // an empty one on. Each lands in the lower or the upper half, at its old slot or before it, where all have moved already; so none lands
  // on one that has yet to move, and no probe passes over a slot that is emptied later.
  void Resize(Napi::Env env, size_t capacity) {
    if (capacity > largest_capacity_) throw TooLarge(env, "CHUNK_TABLE_LIMIT", capacity, ", more than its limit");
    const size_t old_capacity = capacity_;
    if (capacity > old_capacity) MapEntries(env, capacity);
    size_t empty = 0;
    while (entries_[empty].length != 0) empty += 1;
    live_ = used_ = 0;
    for (size_t step = 1; step < old_capacity; ++step) {
      Entry& from = entries_[(empty + step) & (old_capacity - 1)];
      if (from.length == 0) continue;
      const Entry entry = from;
      from.length = 0;
      if (entry.plain_length != 0) InsertOne(entry.digest, &entry.pack_number);
    }
  }

  // Fresh pages are zero, and cost no memory until they are used.
  void MapEntries(Napi::Env env, size_t capacity) {
    const size_t bytes = capacity * sizeof(Entry);
    const size_t old_bytes = capacity_ * sizeof(Entry);
    void* const mapped = entries_ == nullptr ? mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
                                             : mremap(entries_, old_bytes, bytes, MREMAP_MAYMOVE);
    if (mapped == MAP_FAILED) throw TooLarge(env, "CHUNK_TABLE_MEMORY", capacity, ", which this machine does not have");
    entries_ = static_cast<Entry*>(mapped);
    capacity_ = capacity;
    Napi::MemoryManagement::AdjustExternalMemory(env, static_cast<int64_t>(bytes) - static_cast<int64_t>(old_bytes));
  }

  static Napi::Error TooLarge(Napi::Env env, const char* code, size_t capacity, const std::string& why) {
    const size_t bytes = capacity * sizeof(Entry);
    Napi::RangeError error = Napi::RangeError::New(env, "The chunk table would need " + std::to_string(bytes) + " bytes" + why);
    error.Set("code", Napi::String::New(env, code));
    error.Set("neededBytes", Napi::Number::New(env, static_cast<double>(bytes)));
    return error;
  }

  size_t largest_capacity_ = kInitialCapacity;
  size_t capacity_ = 0;
  size_t live_ = 0;
  size_t used_ = 0;
  Entry* entries_ = nullptr;
};

}  // namespace

void RegisterChunkTable(Napi::Env env, Napi::Object exports) { exports.Set("ChunkTable", ChunkTable::Define(env)); }

}  // namespace vault
