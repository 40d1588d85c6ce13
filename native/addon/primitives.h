// The work on one chunk: zero test, keyed digest, compression, authenticated encryption.
// Knows no JavaScript; safe on any thread (contexts are per thread and reused).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace vault {

constexpr size_t kDigestBytes = 32;
constexpr size_t kKeyBytes = 32;
constexpr size_t kNonceBytes = 12;
constexpr size_t kTagBytes = 16;
// EVP counts in int; anything near this is a mistake of the caller, not a chunk.
constexpr size_t kMaximumPlainBytes = 256u << 20;

enum Codec : uint8_t { kCodecRaw = 0, kCodecZstd = 1 };

enum UnsealStatus : uint8_t {
  kUnsealed = 0,
  kTagMismatch = 1,
  kDecompressionFailed = 2,
  kDigestMismatch = 3,
};

bool IsZero(const uint8_t* data, size_t length);

struct Message {
  const uint8_t* data;
  size_t length;
  // Receives kDigestBytes.
  uint8_t* digest;
};

// HMAC-SHA256 of each, two at a time where the processor can. Throws std::runtime_error when OpenSSL refuses.
void KeyedDigests(const uint8_t* key, size_t key_length, const std::vector<Message>& messages);

struct SealParameters {
  const uint8_t* key;
  const uint8_t* nonce;
  const uint8_t* aad;
  size_t aad_length;
};

struct Packed {
  // The plaintext itself, or room of the calling thread that the next call overwrites.
  const uint8_t* data;
  size_t length;
  Codec codec;
};

// Compresses where that saves 3 % or more.
Packed Pack(int level, const uint8_t* data, size_t length);

// Encrypts into `out`, which has room for packed.length + kTagBytes, and appends the tag.
void Seal(const SealParameters& parameters, const Packed& packed, uint8_t* out);

// CRC-32 as zlib's: of what came before, and of this.
uint32_t Checksum(uint32_t before, const uint8_t* data, size_t length);

// The reverse but for the digest; `out` receives exactly plain_length bytes that the tag vouches for, or anything.
UnsealStatus Open(const SealParameters& parameters, Codec codec, const uint8_t* payload, size_t payload_length, uint8_t* out, size_t plain_length);

// For records that are only checked: memory of the calling thread that stays in its cache, until the same room is asked for again.
constexpr size_t kCheckRooms = 2;
uint8_t* CheckRoom(size_t number, size_t length);

// Answers false unless the frame holds exactly plain_length bytes.
bool Decompress(const uint8_t* data, size_t length, uint8_t* out, size_t plain_length);

}  // namespace vault
