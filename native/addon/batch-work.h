// One batch on a thread of the pool; it keeps the buffers it works on alive and settles one promise.
#pragma once

#include <napi.h>

#include <string>
#include <vector>

namespace vault {

class BatchWork {
 public:
  // Owns itself from here on.
  Napi::Promise Start();
  void Hold(const Napi::Value& value) { held_.push_back(Napi::Persistent(value.As<Napi::Object>())); }
  virtual ~BatchWork() = default;
  BatchWork(const BatchWork&) = delete;
  BatchWork& operator=(const BatchWork&) = delete;

 protected:
  explicit BatchWork(Napi::Env env) : env_(env), deferred_(env) {}
  // On a thread of the pool; what it throws rejects the promise.
  virtual void Execute() = 0;
  virtual Napi::Value Result(Napi::Env env) = 0;

 private:
  friend class Completions;
  void Run();
  void Settle(Napi::Env env);

  Napi::Env env_;
  Napi::Promise::Deferred deferred_;
  std::vector<Napi::ObjectReference> held_;
  std::string error_;
  bool failed_ = false;
};

// What brings finished batches back to JavaScript; once an environment, before the first batch.
void RegisterBatchWork(Napi::Env env, Napi::Object exports);

}  // namespace vault
