#include "sha256-pair.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace vault {

#if defined(__x86_64__)

namespace {

#define VAULT_SHA __attribute__((target("sha,sse4.1,ssse3")))

// FIPS 180-4, 4.2.2 and 5.3.3.
alignas(16) constexpr uint32_t kRoundConstants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
    0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
    0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
    0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
    0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
    0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};
constexpr Sha256State kInitial = {{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19}};

// Each lane's state as the instructions want it: words a b e f in one register, c d g h in the other.
template <int Lanes>
VAULT_SHA void Compress(Sha256State* states, const uint8_t* const* data, size_t blocks) {
  const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0bLL, 0x0405060700010203LL);
  __m128i abef[Lanes], cdgh[Lanes];
  for (int lane = 0; lane < Lanes; ++lane) {
    const auto* words = reinterpret_cast<const __m128i*>(states[lane].words);
    const __m128i cdab = _mm_shuffle_epi32(_mm_loadu_si128(words), 0xb1);
    const __m128i efgh = _mm_shuffle_epi32(_mm_loadu_si128(words + 1), 0x1b);
    abef[lane] = _mm_alignr_epi8(cdab, efgh, 8);
    cdgh[lane] = _mm_blend_epi16(efgh, cdab, 0xf0);
  }
  for (size_t block = 0; block < blocks; ++block) {
    __m128i abef_before[Lanes], cdgh_before[Lanes], schedule[Lanes][4];
    for (int lane = 0; lane < Lanes; ++lane) {
      abef_before[lane] = abef[lane];
      cdgh_before[lane] = cdgh[lane];
    }
#pragma GCC unroll 16
    for (int four = 0; four < 16; ++four) {
#pragma GCC unroll 2
      for (int lane = 0; lane < Lanes; ++lane) {
        __m128i* w = schedule[lane];
        __m128i& next = w[four & 3];
        if (four < 4) {
          const uint8_t* from = data[lane] + block * kSha256BlockBytes + four * 16;
          next = _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)), big_endian);
        } else {
          const __m128i& last = w[(four + 3) & 3];
          const __m128i sum = _mm_add_epi32(_mm_sha256msg1_epu32(next, w[(four + 1) & 3]), _mm_alignr_epi8(last, w[(four + 2) & 3], 4));
          next = _mm_sha256msg2_epu32(sum, last);
        }
        const __m128i constants = _mm_load_si128(reinterpret_cast<const __m128i*>(kRoundConstants + four * 4));
        const __m128i input = _mm_add_epi32(next, constants);
        cdgh[lane] = _mm_sha256rnds2_epu32(cdgh[lane], abef[lane], input);
        abef[lane] = _mm_sha256rnds2_epu32(abef[lane], cdgh[lane], _mm_shuffle_epi32(input, 0x0e));
      }
    }
    for (int lane = 0; lane < Lanes; ++lane) {
      abef[lane] = _mm_add_epi32(abef[lane], abef_before[lane]);
      cdgh[lane] = _mm_add_epi32(cdgh[lane], cdgh_before[lane]);
    }
  }
  for (int lane = 0; lane < Lanes; ++lane) {
    const __m128i feba = _mm_shuffle_epi32(abef[lane], 0x1b);
    const __m128i dchg = _mm_shuffle_epi32(cdgh[lane], 0xb1);
    auto* words = reinterpret_cast<__m128i*>(states[lane].words);
    _mm_storeu_si128(words, _mm_blend_epi16(feba, dchg, 0xf0));
    _mm_storeu_si128(words + 1, _mm_alignr_epi8(dchg, feba, 8));
  }
}

// The bytes after the last whole block, a one bit, zeros, and the number of bits (FIPS 180-4, 5.1.1).
void Finish(Sha256State state, const uint8_t* rest, size_t rest_bytes, uint64_t total_bytes, uint8_t out[kSha256Bytes]) {
  uint8_t tail[2 * kSha256BlockBytes] = {};
  if (rest_bytes > 0) std::memcpy(tail, rest, rest_bytes);
  tail[rest_bytes] = 0x80;
  const size_t tail_bytes = rest_bytes + 9 <= kSha256BlockBytes ? kSha256BlockBytes : 2 * kSha256BlockBytes;
  const uint64_t bits = __builtin_bswap64(total_bytes * 8);
  std::memcpy(tail + tail_bytes - sizeof bits, &bits, sizeof bits);
  const uint8_t* const data[1] = {tail};
  Compress<1>(&state, data, tail_bytes / kSha256BlockBytes);
  for (size_t i = 0; i < 8; ++i) {
    const uint32_t word = __builtin_bswap32(state.words[i]);
    std::memcpy(out + i * sizeof word, &word, sizeof word);
  }
}

}  // namespace

bool CanDigestPairs() {
  static const bool can = [] {
    unsigned int a, b, c, d;
    constexpr unsigned int kSsse3 = 1u << 9, kSse41 = 1u << 19, kSha = 1u << 29;
    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & kSsse3) == 0 || (c & kSse41) == 0) return false;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b & kSha) != 0;
  }();
  return can;
}

Sha256State AfterBlock(const uint8_t block[kSha256BlockBytes]) {
  Sha256State state = kInitial;
  const uint8_t* const data[1] = {block};
  Compress<1>(&state, data, 1);
  return state;
}

void DigestPair(const Sha256State& before, uint64_t before_bytes, const uint8_t* const data[2], const size_t lengths[2], uint8_t out[2][kSha256Bytes]) {
  Sha256State states[2] = {before, before};
  const size_t common = std::min(lengths[0], lengths[1]) / kSha256BlockBytes;
  Compress<2>(states, data, common);
  for (int lane = 0; lane < 2; ++lane) {
    const size_t blocks = lengths[lane] / kSha256BlockBytes;
    const uint8_t* const rest[1] = {data[lane] + common * kSha256BlockBytes};
    Compress<1>(&states[lane], rest, blocks - common);
    const size_t whole = blocks * kSha256BlockBytes;
    Finish(states[lane], data[lane] + whole, lengths[lane] - whole, before_bytes + lengths[lane], out[lane]);
  }
}

#else

bool CanDigestPairs() { return false; }
// Never called where pairs cannot be digested.
Sha256State AfterBlock(const uint8_t*) { std::abort(); }
void DigestPair(const Sha256State&, uint64_t, const uint8_t* const*, const size_t*, uint8_t (*)[kSha256Bytes]) { std::abort(); }

#endif

}  // namespace vault
