#include "arguments.h"

#include <cmath>

namespace vault {

Bytes ReadBytes(const Napi::Value& value, const char* name) {
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
    throw Napi::TypeError::New(value.Env(), std::string(name) + " must be a Buffer or Uint8Array");
  }
  auto array = value.As<Napi::Uint8Array>();
  return {array.Data(), array.ByteLength()};
}

Bytes ReadRows(const Napi::Value& value, const char* name, size_t count, size_t width) {
  Bytes bytes = ReadBytes(value, name);
  if (bytes.length != count * width) {
    throw Napi::RangeError::New(value.Env(), std::string(name) + " must hold " + std::to_string(count) + " rows of " + std::to_string(width) +
                                                 " bytes, not " + std::to_string(bytes.length) + " bytes");
  }
  return bytes;
}

std::vector<uint64_t> ReadNumbers(const Napi::Value& value, const char* name, size_t width) {
  constexpr double kExact = 9007199254740992.0;
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_float64_array) {
    throw Napi::TypeError::New(value.Env(), std::string(name) + " must be a Float64Array");
  }
  auto array = value.As<Napi::Float64Array>();
  const size_t count = array.ElementLength();
  if (count % width != 0) throw Napi::RangeError::New(value.Env(), std::string(name) + " must hold whole rows");
  std::vector<uint64_t> numbers(count);
  const double* data = array.Data();
  for (size_t i = 0; i < count; ++i) {
    if (!(data[i] >= 0 && data[i] < kExact) || std::floor(data[i]) != data[i]) {
      throw Napi::RangeError::New(value.Env(), std::string(name) + " must hold whole numbers from 0 to 2^53");
    }
    numbers[i] = static_cast<uint64_t>(data[i]);
  }
  return numbers;
}

int32_t ReadInteger(const Napi::Value& value, const char* name, int32_t minimum, int32_t maximum) {
  if (!value.IsNumber()) throw Napi::TypeError::New(value.Env(), std::string(name) + " must be a number");
  const double number = value.As<Napi::Number>().DoubleValue();
  if (!(number >= minimum && number <= maximum) || std::floor(number) != number) {
    throw Napi::RangeError::New(value.Env(),
                                std::string(name) + " must be a whole number from " + std::to_string(minimum) + " to " + std::to_string(maximum));
  }
  return static_cast<int32_t>(number);
}

void CheckRange(Napi::Env env, const Bytes& bytes, uint64_t offset, uint64_t length, const char* name) {
  if (offset > bytes.length || length > bytes.length - offset) {
    throw Napi::RangeError::New(env, std::to_string(length) + " bytes at " + std::to_string(offset) + " lie outside " + name + " of " +
                                         std::to_string(bytes.length) + " bytes");
  }
}

}  // namespace vault
