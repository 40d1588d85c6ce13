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

// One batch on a libuv pool thread; keeps the buffers it works on alive; settles one promise.
class BatchWork : public Napi::AsyncWorker {
 public:
  Napi::Promise Start() {
    Napi::Promise promise = deferred_.Promise();
    Queue();
    return promise;
  }
  void Hold(const Napi::Value& value) { held_.push_back(Napi::Persistent(value.As<Napi::Object>())); }

 protected:
  explicit BatchWork(Napi::Env env) : Napi::AsyncWorker(env, "vapp-vault batch"), deferred_(env) {}
  virtual Napi::Value Result(Napi::Env env) = 0;
  void OnOK() override {
    Napi::HandleScope scope(Env());
    deferred_.Resolve(Result(Env()));
  }
  void OnError(const Napi::Error& error) override { deferred_.Reject(error.Value()); }

 private:
  Napi::Promise::Deferred deferred_;
  std::vector<Napi::ObjectReference> held_;
};

}  // namespace vault
