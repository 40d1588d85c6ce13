// ChunkTable: digest -> where the chunk lies, for every chunk of one organization.
//
// Open addressing with linear probing over one flat array: 48 bytes an entry, no pointer, no
// allocation an entry. A JavaScript Map of the same chunks takes five to ten times the memory and
// makes every garbage collection walk it. Digests are HMAC outputs, so their first bytes are the hash.
#include "chunk-table.h"

#include <array>
#include <cstring>
#include <limits>
#include <memory>
#include <new>

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
                        InstanceMethod<&ChunkTable::Remove>("remove"), InstanceMethod<&ChunkTable::RemoveTail>("removeTail"),
                        InstanceAccessor<&ChunkTable::Size>("size"),
                        InstanceAccessor<&ChunkTable::MemoryBytes>("memoryBytes")});
  }

  // new ChunkTable(maximumBytes)
  explicit ChunkTable(const Napi::CallbackInfo& info) : Napi::ObjectWrap<ChunkTable>(info) {
    if (!info[0].IsNumber() || !(info[0].As<Napi::Number>().DoubleValue() >= kInitialCapacity * sizeof(Entry))) {
      throw Napi::RangeError::New(info.Env(), "maximumBytes must be a number of at least 192 KiB");
    }
    maximum_bytes_ = info[0].As<Napi::Number>().DoubleValue();
    Resize(info.Env(), kInitialCapacity);
  }

  ~ChunkTable() override { Napi::MemoryManagement::AdjustExternalMemory(Env(), -static_cast<int64_t>(capacity_ * sizeof(Entry))); }

 private:
  static constexpr size_t kInitialCapacity = 4096;

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
    if ((used_ + 1) * 10 > capacity_ * 7) Resize(env, LiveCapacity());
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

  // Removed entries disappear when the table is rebuilt, so it doubles only for living ones.
  size_t LiveCapacity() const {
    return (live_ + 1) * 2 > capacity_ ? capacity_ * 2 : capacity_;
  }

  void Resize(Napi::Env env, size_t capacity) {
    if (static_cast<double>(capacity) * sizeof(Entry) > maximum_bytes_) {
      throw Napi::RangeError::New(env, "The chunk table would need " + std::to_string(capacity * sizeof(Entry)) + " bytes, more than its limit");
    }
    // calloc of a large array gives untouched zero pages: an empty slot costs no memory until used.
    std::unique_ptr<Entry[], decltype(&std::free)> old(static_cast<Entry*>(std::calloc(capacity, sizeof(Entry))), &std::free);
    if (!old) throw Napi::Error::New(env, "No memory for a chunk table of " + std::to_string(capacity) + " entries");
    std::swap(old, entries_);
    const size_t old_capacity = capacity_;
    capacity_ = capacity;
    live_ = used_ = 0;
    for (size_t i = 0; i < old_capacity; ++i) {
      if (old[i].length != 0 && old[i].plain_length != 0) InsertOne(old[i].digest, &old[i].pack_number);
    }
    Napi::MemoryManagement::AdjustExternalMemory(env, static_cast<int64_t>(capacity * sizeof(Entry)) - static_cast<int64_t>(old_capacity * sizeof(Entry)));
  }

  double maximum_bytes_ = 0;
  size_t capacity_ = 0;
  size_t live_ = 0;
  size_t used_ = 0;
  std::unique_ptr<Entry[], decltype(&std::free)> entries_{nullptr, &std::free};
};

}  // namespace

void RegisterChunkTable(Napi::Env env, Napi::Object exports) { exports.Set("ChunkTable", ChunkTable::Define(env)); }

}  // namespace vault
