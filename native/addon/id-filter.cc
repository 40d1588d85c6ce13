// IdFilter: which ids are referred to, as a blocked Bloom filter of 16 bits and 4 probes an id. All probes of an id lie in
// one cache line, and lines are fetched ahead: a filter of a hundred million ids is far larger than any cache, and a page
// of ids after another would otherwise wait for memory at each of them.
//
// Ids are outputs of HMAC, so their words are as good as hashes of their own; the seeds make each filter's mistakes others.
#include "id-filter.h"

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <sys/mman.h>

#include "arguments.h"
#include "batch-work.h"
#include "primitives.h"

namespace vault {
namespace {

constexpr size_t kLineBits = 512;
constexpr size_t kLineWords = kLineBits / 32;
constexpr double kBitsPerId = 16;
constexpr size_t kSmallestBits = 16 * 1024;
// 512 MiB; with more ids than that is for, more dead records are taken for living ones.
constexpr size_t kLargestBits = size_t{1} << 32;
constexpr size_t kAhead = 32;
constexpr size_t kProbes = 4;
constexpr size_t kHugePageBytes = size_t{2} << 20;

struct Id {
  uint32_t words[kDigestBytes / 4];
};

class IdFilter final : public Napi::ObjectWrap<IdFilter> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "IdFilter",
                       {InstanceMethod<&IdFilter::Add>("add"), InstanceMethod<&IdFilter::AddBatch>("addBatch"),
                        InstanceMethod<&IdFilter::Has>("has"),
                        InstanceAccessor<&IdFilter::MemoryBytes>("memoryBytes")});
  }

  // new IdFilter(expectedIds)
  explicit IdFilter(const Napi::CallbackInfo& info) : Napi::ObjectWrap<IdFilter>(info) {
    const double expected = info[0].IsNumber() ? info[0].As<Napi::Number>().DoubleValue() : -1;
    if (!(expected >= 0)) throw Napi::RangeError::New(info.Env(), "expectedIds must be a number of at least 0");
    size_t bits = kSmallestBits;
    while (bits < kLargestBits && static_cast<double>(bits) < expected * kBitsPerId) bits *= 2;
    bytes_ = bits / 8;
    line_mask_ = static_cast<uint32_t>(bits / kLineBits - 1);
    const bool huge = bytes_ >= kHugePageBytes;
    lines_.reset(static_cast<uint32_t*>(std::aligned_alloc(huge ? kHugePageBytes : kLineBits / 8, bytes_)));
    if (!lines_) throw Napi::Error::New(info.Env(), "No memory for a filter of " + std::to_string(bytes_) + " bytes");
    // Each id is a page of its own: where pages are small, finding them in the page table takes longer than all else. No matter where refused.
    if (huge) madvise(lines_.get(), bytes_, MADV_HUGEPAGE);
    std::memset(lines_.get(), 0, bytes_);
    std::random_device random;
    line_seed_ = random();
    probe_seed_ = random();
    factor_ = random() | 1;
    Napi::MemoryManagement::AdjustExternalMemory(info.Env(), static_cast<int64_t>(bytes_));
  }

  ~IdFilter() override { Napi::MemoryManagement::AdjustExternalMemory(Env(), -static_cast<int64_t>(bytes_)); }

 private:
  // add(ids) -> how many were not zero (no data); those are passed over.
  Napi::Value Add(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), static_cast<double>(AddAll(ReadIds(info[0]))));
  }

  // addBatch(ids) -> Promise of the same; on a thread of the pool, beside others.
  Napi::Value AddBatch(const Napi::CallbackInfo& info) {
    auto work = std::make_unique<AddWork>(info.Env(), *this, ReadIds(info[0]));
    work->Hold(info.This());
    work->Hold(info[0]);
    return work.release()->Start();
  }

  class AddWork final : public BatchWork {
   public:
    AddWork(Napi::Env env, IdFilter& filter, Bytes ids) : BatchWork(env), filter_(filter), ids_(ids) {}

   protected:
    void Execute() override { added_ = filter_.AddAll(ids_); }
    napi_value Result(napi_env env) override {
      napi_value added = nullptr;
      return napi_create_double(env, static_cast<double>(added_), &added) == napi_ok ? added : nullptr;
    }

   private:
    IdFilter& filter_;
    Bytes ids_;
    size_t added_ = 0;
  };

  // Batches add at the same time; most ids come again and again, and a line that is only read stays in every core's cache.
  size_t AddAll(const Bytes& ids) {
    const size_t count = ids.length / kDigestBytes;
    size_t added = 0;
    Prefetch(ids, 0, kAhead);
    for (size_t i = 0; i < count; ++i) {
      Prefetch(ids, i + kAhead, 1);
      const Id id = At(ids, i);
      if (IsZero(id)) continue;
      added += 1;
      uint32_t* line = Line(id.words[0]);
      if (Holds(line, id)) continue;
      for (size_t probe = 0; probe < kProbes; ++probe) {
        const uint32_t place = Place(id, probe);
        __atomic_fetch_or(&line[place / 32], uint32_t{1} << (place % 32), __ATOMIC_RELAXED);
      }
    }
    return added;
  }

  // has(ids) -> Uint8Array, 1 for each that was added (and for few others).
  Napi::Value Has(const Napi::CallbackInfo& info) {
    const Bytes ids = ReadIds(info[0]);
    const size_t count = ids.length / kDigestBytes;
    auto result = Napi::Uint8Array::New(info.Env(), count);
    Prefetch(ids, 0, kAhead);
    for (size_t i = 0; i < count; ++i) {
      Prefetch(ids, i + kAhead, 1);
      const Id id = At(ids, i);
      result[i] = Holds(Line(id.words[0]), id) ? 1 : 0;
    }
    return result;
  }

  Napi::Value MemoryBytes(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), static_cast<double>(bytes_)); }

  static Bytes ReadIds(const Napi::Value& value) {
    const Bytes ids = ReadBytes(value, "ids");
    if (ids.length % kDigestBytes != 0) throw Napi::RangeError::New(value.Env(), "ids must hold whole ids of 32 bytes");
    return ids;
  }

  // Ids may lie anywhere in memory: copied, not cast.
  static Id At(const Bytes& ids, size_t index) {
    Id id;
    std::memcpy(id.words, ids.data + index * kDigestBytes, sizeof id.words);
    return id;
  }

  static bool IsZero(const Id& id) {
    uint32_t any = 0;
    for (const uint32_t word : id.words) any |= word;
    return any == 0;
  }

  // All four, without a branch in between: which of them is missing first cannot be foretold.
  bool Holds(const uint32_t* line, const Id& id) const {
    uint32_t found = 1;
    for (size_t probe = 0; probe < kProbes; ++probe) {
      const uint32_t place = Place(id, probe);
      found &= __atomic_load_n(&line[place / 32], __ATOMIC_RELAXED) >> (place % 32);
    }
    return found != 0;
  }

  // Inlined whatever happens: a function that only prefetches has no effect that a compiler knows of, and its calls are left out.
  [[gnu::always_inline]] inline void Prefetch(const Bytes& ids, size_t first, size_t count) const {
    for (size_t i = first; i < first + count && i < ids.length / kDigestBytes; ++i) {
      uint32_t word;
      std::memcpy(&word, ids.data + i * kDigestBytes, sizeof word);
      __builtin_prefetch(Line(word));
    }
  }

  uint32_t* Line(uint32_t first_word) const { return lines_.get() + static_cast<size_t>((first_word ^ line_seed_) & line_mask_) * kLineWords; }
  uint32_t Place(const Id& id, size_t probe) const { return ((id.words[1 + probe] ^ probe_seed_) * factor_) >> 23; }

  size_t bytes_ = 0;
  uint32_t line_mask_ = 0;
  uint32_t line_seed_ = 0;
  uint32_t probe_seed_ = 0;
  uint32_t factor_ = 1;
  std::unique_ptr<uint32_t[], decltype(&std::free)> lines_{nullptr, &std::free};
};

}  // namespace

void RegisterIdFilter(Napi::Env env, Napi::Object exports) { exports.Set("IdFilter", IdFilter::Define(env)); }

}  // namespace vault
