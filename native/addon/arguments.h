// Arguments from JavaScript, checked: whatever a caller passes, the answer is a TypeError or a
// RangeError, never a read or write outside a buffer.
#pragma once

#include <napi.h>

#include <cstdint>
#include <string>
#include <vector>

namespace vault {

struct Bytes {
  uint8_t* data = nullptr;
  size_t length = 0;
};

// A Uint8Array or Buffer. A detached one has no bytes, so every range in it is refused.
Bytes ReadBytes(const Napi::Value& value, const char* name);

// A Uint8Array of exactly count * width bytes.
Bytes ReadRows(const Napi::Value& value, const char* name, size_t count, size_t width);

// Float64Array of `width` numbers a row: whole, not negative, exact to 2^53.
std::vector<uint64_t> ReadNumbers(const Napi::Value& value, const char* name, size_t width);

int32_t ReadInteger(const Napi::Value& value, const char* name, int32_t minimum, int32_t maximum);

// Throws RangeError unless [offset, offset + length) lies inside `bytes`.
void CheckRange(Napi::Env env, const Bytes& bytes, uint64_t offset, uint64_t length, const char* name);

}  // namespace vault
