// One batch on a thread of the pool; it keeps the buffers it works in alive and settles one promise.
#pragma once

#include <napi.h>

#include <string>
#include <vector>

#include "kept-memory.h"

namespace vault {

class BatchWork {
 public:
  // Owns itself from here on.
  Napi::Value Start();
  // A typed array that Execute works in: it stays alive, and its memory there.
  void Hold(const Napi::Value& value);
  virtual ~BatchWork() = default;
  BatchWork(const BatchWork&) = delete;
  BatchWork& operator=(const BatchWork&) = delete;

 protected:
  explicit BatchWork(Napi::Env env) : env_(env) {}
  // On a thread of the pool; what it throws rejects the promise.
  virtual void Execute() = 0;
  // Null where JavaScript can no longer be given anything: a worker that is being terminated.
  virtual napi_value Result(napi_env env) = 0;

 private:
  friend class Completions;
  void Run();
  // By the C interface alone: in an environment that is being terminated every call may fail, and an exception would end the process.
  void Settle(napi_env env);
  // The environment is gone, and the references with it.
  void Abandon();

  Napi::Env env_;
  napi_deferred deferred_ = nullptr;
  std::vector<Napi::ObjectReference> held_;
  std::vector<Pin> pins_;
  std::string error_;
  bool failed_ = false;
};

// What brings finished batches back to JavaScript; once an environment, before the first batch.
void RegisterBatchWork(Napi::Env env, Napi::Object exports);

}  // namespace vault
