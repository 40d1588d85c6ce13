#include "primitives.h"

#include <array>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <vector>

#include "evp.h"
#include "sha256-pair.h"
#include "zstd.h"

namespace vault {
namespace {

template <typename T, auto Free>
struct Freed {
  void operator()(T* pointer) const { Free(pointer); }
};

using DigestContext = std::unique_ptr<EVP_MD_CTX, Freed<EVP_MD_CTX, EVP_MD_CTX_free>>;
using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, Freed<EVP_CIPHER_CTX, EVP_CIPHER_CTX_free>>;
using Compressor = std::unique_ptr<ZSTD_CCtx, Freed<ZSTD_CCtx, ZSTD_freeCCtx>>;
using Decompressor = std::unique_ptr<ZSTD_DCtx, Freed<ZSTD_DCtx, ZSTD_freeDCtx>>;

void Require(bool ok, const char* what) {
  if (!ok) throw std::runtime_error(what);
}

// HMAC-SHA256 (RFC 2104) with the two states that depend on the key alone kept: OpenSSL's own looks
// the algorithm up and hashes the padded key again for every message.
class KeyedDigester {
 public:
  void UseKey(const uint8_t* key, size_t key_length) {
    if (work_ && key_.size() == key_length && std::memcmp(key_.data(), key, key_length) == 0) return;
    Require(key_length <= kSha256BlockBytes, "A digest key is longer than a block of SHA-256");
    work_.reset(EVP_MD_CTX_new());
    const auto inner = Padded(key, key_length, 0x36), outer = Padded(key, key_length, 0x5c);
    inner_ = Begun(inner.data());
    outer_ = Begun(outer.data());
    if (CanDigestPairs()) {
      inner_state_ = AfterBlock(inner.data());
      outer_state_ = AfterBlock(outer.data());
    }
    key_.assign(key, key + key_length);
  }

  void Digest(const Message& message) {
    unsigned int written = 0;
    uint8_t inner[kDigestBytes];
    bool ok = EVP_MD_CTX_copy_ex(work_.get(), inner_.get()) == 1 && EVP_DigestUpdate(work_.get(), message.data, message.length) == 1 &&
              EVP_DigestFinal_ex(work_.get(), inner, &written) == 1 && EVP_MD_CTX_copy_ex(work_.get(), outer_.get()) == 1 &&
              EVP_DigestUpdate(work_.get(), inner, sizeof inner) == 1 && EVP_DigestFinal_ex(work_.get(), message.digest, &written) == 1;
    Require(ok && written == kDigestBytes, "HMAC-SHA256 failed");
  }

  void DigestTwo(const Message& first, const Message& second) {
    const uint8_t* const data[2] = {first.data, second.data};
    const size_t lengths[2] = {first.length, second.length};
    uint8_t inner[2][kDigestBytes], outer[2][kDigestBytes];
    DigestPair(inner_state_, kSha256BlockBytes, data, lengths, inner);
    const uint8_t* const inner_data[2] = {inner[0], inner[1]};
    const size_t inner_lengths[2] = {kDigestBytes, kDigestBytes};
    DigestPair(outer_state_, kSha256BlockBytes, inner_data, inner_lengths, outer);
    std::memcpy(first.digest, outer[0], kDigestBytes);
    std::memcpy(second.digest, outer[1], kDigestBytes);
  }

 private:
  using Block = std::array<uint8_t, kSha256BlockBytes>;

  static Block Padded(const uint8_t* key, size_t key_length, uint8_t pad) {
    Block block;
    for (size_t i = 0; i < block.size(); ++i) block[i] = (i < key_length ? key[i] : 0) ^ pad;
    return block;
  }

  static DigestContext Begun(const uint8_t block[kSha256BlockBytes]) {
    DigestContext context(EVP_MD_CTX_new());
    Require(context && EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) == 1 &&
                EVP_DigestUpdate(context.get(), block, kSha256BlockBytes) == 1,
            "SHA-256 is not available");
    return context;
  }

  std::vector<uint8_t> key_;
  DigestContext work_, inner_, outer_;
  Sha256State inner_state_, outer_state_;
};

// Pool threads live as long as the process, so each keeps its contexts: making a zstd context
// costs more than compressing a small chunk. The scratch is trimmed when one huge record grew it.
struct ThreadState {
  KeyedDigester digester;
  CipherContext encrypt;
  CipherContext decrypt;
  Compressor compressor;
  Decompressor decompressor;
  std::vector<uint8_t> scratch;
  std::vector<uint8_t> rooms[kCheckRooms];

  uint8_t* Scratch(size_t length) {
    constexpr size_t kKeptBytes = 8u << 20;
    if (scratch.size() > kKeptBytes && length <= kKeptBytes) std::vector<uint8_t>().swap(scratch);
    if (scratch.size() < length) scratch.resize(length);
    return scratch.data();
  }
};

ThreadState& State() {
  thread_local ThreadState state;
  return state;
}

size_t Encrypt(const SealParameters& p, const uint8_t* data, size_t length, uint8_t* out) {
  auto& context = State().encrypt;
  if (!context) {
    context.reset(EVP_CIPHER_CTX_new());
    Require(context && EVP_EncryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, nullptr, nullptr) == 1, "AES-256-GCM is not available");
  }
  int written = 0;
  Require(EVP_EncryptInit_ex(context.get(), nullptr, nullptr, p.key, p.nonce) == 1, "AES-256-GCM key was refused");
  Require(EVP_EncryptUpdate(context.get(), nullptr, &written, p.aad, static_cast<int>(p.aad_length)) == 1, "AES-256-GCM refused the AAD");
  Require(EVP_EncryptUpdate(context.get(), out, &written, data, static_cast<int>(length)) == 1, "AES-256-GCM encryption failed");
  int final_written = 0;
  Require(EVP_EncryptFinal_ex(context.get(), out + written, &final_written) == 1, "AES-256-GCM encryption failed");
  Require(EVP_CIPHER_CTX_ctrl(context.get(), kEvpCtrlAeadGetTag, kTagBytes, out + length) == 1, "AES-256-GCM gave no tag");
  return length + kTagBytes;
}

bool Decrypt(const SealParameters& p, const uint8_t* payload, size_t length, uint8_t* out) {
  auto& context = State().decrypt;
  if (!context) {
    context.reset(EVP_CIPHER_CTX_new());
    Require(context && EVP_DecryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, nullptr, nullptr) == 1, "AES-256-GCM is not available");
  }
  int written = 0;
  Require(EVP_DecryptInit_ex(context.get(), nullptr, nullptr, p.key, p.nonce) == 1, "AES-256-GCM key was refused");
  Require(EVP_DecryptUpdate(context.get(), nullptr, &written, p.aad, static_cast<int>(p.aad_length)) == 1, "AES-256-GCM refused the AAD");
  Require(EVP_DecryptUpdate(context.get(), out, &written, payload, static_cast<int>(length)) == 1, "AES-256-GCM decryption failed");
  // SET_TAG only reads the tag; the C interface takes it without const.
  Require(EVP_CIPHER_CTX_ctrl(context.get(), kEvpCtrlAeadSetTag, kTagBytes, const_cast<uint8_t*>(payload) + length) == 1,
          "AES-256-GCM refused the tag");
  int final_written = 0;
  return EVP_DecryptFinal_ex(context.get(), out + written, &final_written) == 1;
}

}  // namespace

bool IsZero(const uint8_t* data, size_t length) {
  constexpr size_t kBlock = 4096;
  while (length >= kBlock) {
    uint64_t any = 0;
    for (size_t i = 0; i < kBlock; i += 8) {
      uint64_t word;
      std::memcpy(&word, data + i, 8);
      any |= word;
    }
    if (any != 0) return false;
    data += kBlock;
    length -= kBlock;
  }
  for (size_t i = 0; i < length; ++i) {
    if (data[i] != 0) return false;
  }
  return true;
}

void KeyedDigests(const uint8_t* key, size_t key_length, const std::vector<Message>& messages) {
  KeyedDigester& digester = State().digester;
  digester.UseKey(key, key_length);
  size_t i = 0;
  if (CanDigestPairs()) {
    for (; i + 1 < messages.size(); i += 2) digester.DigestTwo(messages[i], messages[i + 1]);
  }
  for (; i < messages.size(); ++i) digester.Digest(messages[i]);
}

Packed Pack(int level, const uint8_t* data, size_t length) {
  ThreadState& state = State();
  if (!state.compressor) {
    state.compressor.reset(ZSTD_createCCtx());
    Require(state.compressor != nullptr, "No memory for a zstd context");
  }
  // A destination of 97 % makes zstd itself give up as soon as the saving falls below 3 %.
  const size_t worthwhile = length - (length / 100 * 3 + (length % 100 * 3 + 99) / 100);
  uint8_t* compressed = state.Scratch(worthwhile + 1);
  const size_t size = ZSTD_compressCCtx(state.compressor.get(), compressed, worthwhile, data, length, level);
  if (ZSTD_isError(size)) return {data, length, kCodecRaw};
  return {compressed, size, kCodecZstd};
}

void Seal(const SealParameters& p, const Packed& packed, uint8_t* out) { Encrypt(p, packed.data, packed.length, out); }

uint32_t Checksum(uint32_t before, const uint8_t* data, size_t length) { return static_cast<uint32_t>(crc32_z(before, data, length)); }

bool Decompress(const uint8_t* data, size_t length, uint8_t* out, size_t plain_length) {
  ThreadState& state = State();
  if (!state.decompressor) {
    state.decompressor.reset(ZSTD_createDCtx());
    Require(state.decompressor != nullptr, "No memory for a zstd context");
  }
  return ZSTD_decompressDCtx(state.decompressor.get(), out, plain_length, data, length) == plain_length;
}

uint8_t* CheckRoom(size_t number, size_t length) {
  auto& room = State().rooms[number];
  if (room.size() < length) room.resize(length);
  return room.data();
}

UnsealStatus Open(const SealParameters& p, Codec codec, const uint8_t* payload, size_t payload_length, uint8_t* out, size_t plain_length) {
  const size_t length = payload_length - kTagBytes;
  if (codec == kCodecRaw) {
    if (length != plain_length) return kDecompressionFailed;
    return Decrypt(p, payload, length, out) ? kUnsealed : kTagMismatch;
  }
  uint8_t* compressed = State().Scratch(length + 1);
  if (!Decrypt(p, payload, length, compressed)) return kTagMismatch;
  return Decompress(compressed, length, out, plain_length) ? kUnsealed : kDecompressionFailed;
}

}  // namespace vault
