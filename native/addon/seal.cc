// inspect, seal, unseal: one promise a batch, the work on a thread of the pool; decompress.
#include "seal.h"

#include <algorithm>
#include <cstring>
#include <initializer_list>
#include <memory>

#include "arguments.h"
#include "batch-work.h"
#include "primitives.h"

namespace vault {
namespace {

struct Span {
  uint64_t offset;
  uint64_t length;
};

std::vector<Span> ReadSpans(const Napi::Value& value, const Bytes& memory) {
  const std::vector<uint64_t> numbers = ReadNumbers(value, "spans", 2);
  std::vector<Span> spans;
  spans.reserve(numbers.size() / 2);
  for (size_t i = 0; i < numbers.size(); i += 2) {
    CheckRange(value.Env(), memory, numbers[i], numbers[i + 1], "memory");
    if (numbers[i + 1] == 0 || numbers[i + 1] > kMaximumPlainBytes) throw Napi::RangeError::New(value.Env(), "A span holds 1 byte to 256 MiB");
    spans.push_back({numbers[i], numbers[i + 1]});
  }
  return spans;
}

// Null where the environment makes no more objects.
template <typename Number>
napi_value ToTypedArray(napi_env env, napi_typedarray_type type, const std::vector<Number>& numbers) {
  const size_t bytes = numbers.size() * sizeof(Number);
  void* data = nullptr;
  napi_value memory = nullptr;
  napi_value array = nullptr;
  if (napi_create_arraybuffer(env, bytes, &data, &memory) != napi_ok) return nullptr;
  if (bytes > 0) std::memcpy(data, numbers.data(), bytes);
  return napi_create_typedarray(env, type, numbers.size(), memory, 0, &array) == napi_ok ? array : nullptr;
}

napi_value ToUint8Array(napi_env env, const std::vector<uint8_t>& bytes) { return ToTypedArray(env, napi_uint8_array, bytes); }
napi_value ToUint32Array(napi_env env, const std::vector<uint32_t>& numbers) { return ToTypedArray(env, napi_uint32_array, numbers); }

struct Field {
  const char* name;
  napi_value value;
};

napi_value ToObject(napi_env env, std::initializer_list<Field> fields) {
  napi_value object = nullptr;
  if (napi_create_object(env, &object) != napi_ok) return nullptr;
  for (const Field& field : fields) {
    if (field.value == nullptr || napi_set_named_property(env, object, field.name, field.value) != napi_ok) return nullptr;
  }
  return object;
}

class InspectWork final : public BatchWork {
 public:
  InspectWork(Napi::Env env, Bytes memory, std::vector<Span> spans, Bytes key)
      : BatchWork(env), memory_(memory), spans_(std::move(spans)), key_(key.data, key.data + key.length) {}

 protected:
  void Execute() override {
    zero_.resize(spans_.size());
    digests_.resize(spans_.size() * kDigestBytes);
    std::vector<Message> messages;
    for (size_t i = 0; i < spans_.size(); ++i) {
      const uint8_t* data = memory_.data + spans_[i].offset;
      zero_[i] = IsZero(data, spans_[i].length) ? 1 : 0;
      if (zero_[i] == 0) messages.push_back({data, spans_[i].length, &digests_[i * kDigestBytes]});
    }
    KeyedDigests(key_.data(), key_.size(), messages);
  }
  napi_value Result(napi_env env) override {
    return ToObject(env, {{"zero", ToUint8Array(env, zero_)}, {"digests", ToUint8Array(env, digests_)}});
  }

 private:
  Bytes memory_;
  std::vector<Span> spans_;
  std::vector<uint8_t> key_;
  std::vector<uint8_t> zero_;
  std::vector<uint8_t> digests_;
};

// inspect(memory, spans, digestKey) -> Promise<{zero, digests}>
Napi::Value Inspect(const Napi::CallbackInfo& info) {
  const Bytes memory = ReadBytes(info[0], "memory");
  std::vector<Span> spans = ReadSpans(info[1], memory);
  const Bytes key = ReadRows(info[2], "digestKey", 1, kKeyBytes);
  auto work = std::make_unique<InspectWork>(info.Env(), memory, std::move(spans), key);
  work->Hold(info[0]);
  return work.release()->Start();
}

// Keys, nonces and AADs are copied: they are small, and a caller may wipe or reuse his at once.
struct Secrets {
  std::vector<uint8_t> key;
  std::vector<uint8_t> nonces;
  std::vector<uint8_t> aads;
  size_t key_step = 0;
  size_t aad_width = 0;

  // One key for all of them, or a row of key_value a record.
  enum class Keys { kOne, kRows };
  Secrets(Keys keys, const Napi::Value& key_value, const Napi::Value& nonces_value, const Napi::Value& aads_value, size_t count)
      : key_step(keys == Keys::kRows ? kKeyBytes : 0) {
    const Bytes key_bytes = keys == Keys::kRows ? ReadRows(key_value, "keys", count, kKeyBytes) : ReadRows(key_value, "key", 1, kKeyBytes);
    const Bytes nonce_bytes = ReadRows(nonces_value, "nonces", count, kNonceBytes);
    const Bytes aad_bytes = ReadBytes(aads_value, "aads");
    if (count > 0 && (aad_bytes.length == 0 || aad_bytes.length % count != 0 || aad_bytes.length / count > 4096)) {
      throw Napi::RangeError::New(aads_value.Env(), "aads must hold rows of equal width, 1 to 4096 bytes, one a record");
    }
    aad_width = count == 0 ? 0 : aad_bytes.length / count;
    key.assign(key_bytes.data, key_bytes.data + key_bytes.length);
    nonces.assign(nonce_bytes.data, nonce_bytes.data + nonce_bytes.length);
    aads.assign(aad_bytes.data, aad_bytes.data + aad_bytes.length);
  }
  SealParameters At(size_t i) const { return {&key[i * key_step], &nonces[i * kNonceBytes], &aads[i * aad_width], aad_width}; }
};

// Where in the caller's record header what only sealing knows belongs. Numbers are little-endian.
struct HeaderFields {
  uint8_t codec_at;           // 1 byte
  uint8_t payload_length_at;  // 4 bytes
  uint8_t checksum_at;        // 4 bytes: CRC-32 of the whole record but these four
};

// Where the next record goes. Batches of one output run at the same time: each record takes its place
// when its length is known, so nothing is copied and nothing lies between two records.
class Room {
 public:
  Room(Bytes output, uint32_t* cursor) : output_(output), cursor_(cursor) {}
  uint32_t Take(size_t length) const {
    const uint32_t at = __atomic_fetch_add(cursor_, static_cast<uint32_t>(length), __ATOMIC_RELAXED);
    if (at > output_.length || length > output_.length - at) throw std::runtime_error("The output has no room for the record");
    return at;
  }
  uint8_t* At(uint32_t offset) const { return output_.data + offset; }

 private:
  Bytes output_;
  uint32_t* cursor_;
};

class SealWork final : public BatchWork {
 public:
  SealWork(Napi::Env env, Bytes memory, std::vector<Span> spans, Secrets secrets, int level, std::vector<uint8_t> headers, HeaderFields fields, Room room)
      : BatchWork(env),
        memory_(memory),
        spans_(std::move(spans)),
        secrets_(std::move(secrets)),
        level_(level),
        headers_(std::move(headers)),
        fields_(fields),
        room_(room) {}

 protected:
  void Execute() override {
    offsets_.resize(spans_.size());
    lengths_.resize(spans_.size());
    for (size_t i = 0; i < spans_.size(); ++i) SealOne(i);
  }
  napi_value Result(napi_env env) override {
    return ToObject(env, {{"offsets", ToUint32Array(env, offsets_)}, {"lengths", ToUint32Array(env, lengths_)}});
  }

 private:
  void SealOne(size_t i) {
    const size_t header_bytes = headers_.size() / spans_.size();
    const Packed packed = Pack(level_, memory_.data + spans_[i].offset, spans_[i].length);
    const size_t payload_bytes = packed.length + kTagBytes;
    lengths_[i] = static_cast<uint32_t>(header_bytes + payload_bytes);
    offsets_[i] = room_.Take(lengths_[i]);
    uint8_t* record = room_.At(offsets_[i]);
    vault::Seal(secrets_.At(i), packed, record + header_bytes);
    std::memcpy(record, &headers_[i * header_bytes], header_bytes);
    record[fields_.codec_at] = packed.codec;
    const auto payload_length = static_cast<uint32_t>(payload_bytes);
    std::memcpy(record + fields_.payload_length_at, &payload_length, sizeof payload_length);
    uint32_t checksum = Checksum(0, record, fields_.checksum_at);
    const size_t rest = fields_.checksum_at + sizeof checksum;
    checksum = Checksum(checksum, record + rest, lengths_[i] - rest);
    std::memcpy(record + fields_.checksum_at, &checksum, sizeof checksum);
  }

  Bytes memory_;
  std::vector<Span> spans_;
  Secrets secrets_;
  int level_;
  std::vector<uint8_t> headers_;
  HeaderFields fields_;
  Room room_;
  std::vector<uint32_t> offsets_;
  std::vector<uint32_t> lengths_;
};

HeaderFields ReadFields(const Napi::Value& value, size_t header_bytes) {
  const Bytes fields = ReadRows(value, "fields", 3, 1);
  for (size_t i = 0; i < 3; ++i) {
    if (fields.data[i] + (i == 0 ? 1u : 4u) > header_bytes) throw Napi::RangeError::New(value.Env(), "fields must lie inside the header");
  }
  return {fields.data[0], fields.data[1], fields.data[2]};
}

// seal(memory, spans, key, nonces, aads, level, headers, fields, output, cursor) -> Promise<{offsets, lengths}>
Napi::Value SealBatch(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  constexpr size_t kLargestHeaderBytes = 4096;
  constexpr size_t kLargestOutputBytes = UINT32_MAX;
  const Bytes memory = ReadBytes(info[0], "memory");
  std::vector<Span> spans = ReadSpans(info[1], memory);
  if (spans.empty()) throw Napi::RangeError::New(env, "A batch seals one record or more");
  Secrets secrets(Secrets::Keys::kOne, info[2], info[3], info[4], spans.size());
  const int level = ReadInteger(info[5], "level", 1, 19);
  const Bytes headers = ReadBytes(info[6], "headers");
  const size_t header_bytes = headers.length / spans.size();
  if (header_bytes * spans.size() != headers.length || header_bytes > kLargestHeaderBytes) throw Napi::RangeError::New(env, "headers must hold a row a span");
  const HeaderFields fields = ReadFields(info[7], header_bytes);
  const Bytes output = ReadBytes(info[8], "output");
  if (output.length > kLargestOutputBytes) throw Napi::RangeError::New(env, "output must be smaller than 4 GiB");
  if (!info[9].IsTypedArray() || info[9].As<Napi::TypedArray>().TypedArrayType() != napi_uint32_array || info[9].As<Napi::Uint32Array>().ElementLength() != 1) {
    throw Napi::TypeError::New(env, "cursor must be a Uint32Array of one number");
  }
  uint32_t* cursor = info[9].As<Napi::Uint32Array>().Data();
  uint64_t needed = 0;
  for (const Span& span : spans) needed += header_bytes + span.length + kTagBytes;
  CheckRange(env, output, __atomic_load_n(cursor, __ATOMIC_RELAXED), needed, "output");
  std::vector<uint8_t> header_rows(headers.data, headers.data + headers.length);
  auto work = std::make_unique<SealWork>(env, memory, std::move(spans), std::move(secrets), level, std::move(header_rows), fields, Room(output, cursor));
  work->Hold(info[0]);
  work->Hold(info[8]);
  work->Hold(info[9]);
  return work.release()->Start();
}

struct SealedRecord {
  uint64_t source_offset;
  uint64_t payload_length;
  uint64_t target_offset;
  uint64_t plain_length;
};

class UnsealWork final : public BatchWork {
 public:
  UnsealWork(Napi::Env env, Bytes source, std::vector<SealedRecord> records, std::vector<uint8_t> codecs, Secrets secrets, Bytes digest_key,
             Bytes digests, Bytes target)
      : BatchWork(env),
        source_(source),
        records_(std::move(records)),
        codecs_(std::move(codecs)),
        secrets_(std::move(secrets)),
        digest_key_(digest_key.data, digest_key.data + digest_key.length),
        digests_(digests.data, digests.data + digests.length),
        target_(target) {}

 protected:
  void Execute() override {
    statuses_.resize(records_.size());
    // As many as are digested at once, so that they are still in the cache.
    for (size_t i = 0; i < records_.size(); i += kCheckRooms) Check(i, std::min(i + kCheckRooms, records_.size()));
  }
  napi_value Result(napi_env env) override { return ToUint8Array(env, statuses_); }

 private:
  void Check(size_t begin, size_t end) {
    uint8_t digests[kCheckRooms][kDigestBytes];
    std::vector<Message> messages;
    for (size_t i = begin; i < end; ++i) {
      const SealedRecord& r = records_[i];
      statuses_[i] = Open(secrets_.At(i), static_cast<Codec>(codecs_[i]), source_.data + r.source_offset, r.payload_length, Place(i, begin), r.plain_length);
      if (statuses_[i] == kUnsealed) messages.push_back({Place(i, begin), r.plain_length, digests[i - begin]});
    }
    KeyedDigests(digest_key_.data(), digest_key_.size(), messages);
    for (size_t i = begin; i < end; ++i) {
      if (statuses_[i] == kUnsealed && std::memcmp(digests[i - begin], &digests_[i * kDigestBytes], kDigestBytes) != 0) statuses_[i] = kDigestMismatch;
      if (statuses_[i] != kUnsealed) std::memset(Place(i, begin), 0, records_[i].plain_length);
    }
  }

  uint8_t* Place(size_t i, size_t begin) {
    const SealedRecord& r = records_[i];
    return target_.data == nullptr ? CheckRoom(i - begin, r.plain_length) : target_.data + r.target_offset;
  }

  Bytes source_;
  std::vector<SealedRecord> records_;
  std::vector<uint8_t> codecs_;
  Secrets secrets_;
  std::vector<uint8_t> digest_key_;
  std::vector<uint8_t> digests_;
  Bytes target_;
  std::vector<uint8_t> statuses_;
};

// unseal(source, records, codecs, keys, nonces, aads, digestKey, digests, target) -> Promise<statuses>; target null: only to be checked
Napi::Value UnsealBatch(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const Bytes source = ReadBytes(info[0], "source");
  const std::vector<uint64_t> numbers = ReadNumbers(info[1], "records", 4);
  const size_t count = numbers.size() / 4;
  const Bytes codecs = ReadRows(info[2], "codecs", count, 1);
  Secrets secrets(Secrets::Keys::kRows, info[3], info[4], info[5], count);
  const Bytes digest_key = ReadRows(info[6], "digestKey", 1, kKeyBytes);
  const Bytes digests = ReadRows(info[7], "digests", count, kDigestBytes);
  const bool only_check = info[8].IsNull();
  const Bytes target = only_check ? Bytes{} : ReadBytes(info[8], "target");
  std::vector<SealedRecord> records;
  records.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    const uint64_t* row = &numbers[i * 4];
    if (codecs.data[i] > kCodecZstd) throw Napi::RangeError::New(env, "codec " + std::to_string(codecs.data[i]) + " is unknown");
    if (row[1] < kTagBytes || row[1] > kMaximumPlainBytes + kTagBytes) throw Napi::RangeError::New(env, "A sealed record holds 16 bytes to 256 MiB");
    if (row[3] == 0 || row[3] > kMaximumPlainBytes) throw Napi::RangeError::New(env, "A record's plaintext holds 1 byte to 256 MiB");
    CheckRange(env, source, row[0], row[1], "source");
    if (!only_check) CheckRange(env, target, row[2], row[3], "target");
    records.push_back({row[0], row[1], row[2], row[3]});
  }
  std::vector<uint8_t> codec_rows(codecs.data, codecs.data + codecs.length);
  auto work = std::make_unique<UnsealWork>(env, source, std::move(records), std::move(codec_rows), std::move(secrets), digest_key, digests, target);
  work->Hold(info[0]);
  if (!only_check) work->Hold(info[8]);
  return work.release()->Start();
}

// decompress(frame, plainLength) -> Buffer. For tools that read the format; small, on the calling thread.
Napi::Value DecompressFrame(const Napi::CallbackInfo& info) {
  const Bytes frame = ReadBytes(info[0], "frame");
  const size_t plain_length = static_cast<size_t>(ReadInteger(info[1], "plainLength", 1, static_cast<int32_t>(kMaximumPlainBytes)));
  auto plain = Napi::Buffer<uint8_t>::New(info.Env(), plain_length);
  if (!Decompress(frame.data, frame.length, plain.Data(), plain_length)) {
    throw Napi::Error::New(info.Env(), "The zstd frame does not hold " + std::to_string(plain_length) + " bytes");
  }
  return plain;
}

}  // namespace

void RegisterSeal(Napi::Env env, Napi::Object exports) {
  exports.Set("inspect", Napi::Function::New(env, Inspect, "inspect"));
  exports.Set("seal", Napi::Function::New(env, SealBatch, "seal"));
  exports.Set("unseal", Napi::Function::New(env, UnsealBatch, "unseal"));
  exports.Set("decompress", Napi::Function::New(env, DecompressFrame, "decompress"));
}

}  // namespace vault
