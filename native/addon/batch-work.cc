#include "batch-work.h"

#include <condition_variable>
#include <memory>
#include <mutex>

#include "arguments.h"
#include "work-pool.h"

namespace vault {

// Finished batches of one environment on their way back to its thread. The environment stays alive
// while a batch is under way, and its end waits for them: they work in its buffers.
class Completions {
 public:
  explicit Completions(napi_env env) {
    napi_value name;
    napi_create_string_utf8(env, "vapp-vault batch", NAPI_AUTO_LENGTH, &name);
    napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr, nullptr, Settle, &function_);
    napi_unref_threadsafe_function(env, function_);
    napi_add_env_cleanup_hook(env, [](void* data) { static_cast<Completions*>(data)->Wait(); }, this);
  }

  static Completions& Of(Napi::Env env) { return *env.GetInstanceData<Completions>(); }

  void Begin(napi_env env, BatchWork* work) {
    if (pending_++ == 0) napi_ref_threadsafe_function(env, function_);
    {
      std::lock_guard<std::mutex> lock(mutex_);
      running_ += 1;
    }
    WorkPool::Shared().Submit([this, work] {
      work->Run();
      std::lock_guard<std::mutex> lock(mutex_);
      // Refused when the environment is ending: nobody is left to tell, and it frees the batch's buffers itself.
      napi_call_threadsafe_function(function_, work, napi_tsfn_nonblocking);
      running_ -= 1;
      idle_.notify_all();
    });
  }

 private:
  static void Settle(napi_env env, napi_value, void*, void* data) {
    std::unique_ptr<BatchWork> work(static_cast<BatchWork*>(data));
    if (env == nullptr) {
      // Its references died with the environment.
      work.release();
      return;
    }
    Completions& completions = Of(env);
    if (--completions.pending_ == 0) napi_unref_threadsafe_function(env, completions.function_);
    Napi::HandleScope scope(env);
    work->Settle(env);
  }

  void Wait() {
    std::unique_lock<std::mutex> lock(mutex_);
    idle_.wait(lock, [this] { return running_ == 0; });
  }

  napi_threadsafe_function function_ = nullptr;
  // Of the environment's thread alone.
  size_t pending_ = 0;
  std::mutex mutex_;
  std::condition_variable idle_;
  size_t running_ = 0;
};

Napi::Promise BatchWork::Start() {
  Napi::Promise promise = deferred_.Promise();
  Completions::Of(env_).Begin(env_, this);
  return promise;
}

void BatchWork::Run() {
  try {
    Execute();
  } catch (const std::exception& error) {
    failed_ = true;
    error_ = error.what();
  }
}

void BatchWork::Settle(Napi::Env env) {
  if (failed_) deferred_.Reject(Napi::Error::New(env, error_).Value());
  else deferred_.Resolve(Result(env));
}

// useWorkThreads(count): batches run on that many threads at once, at least.
static void UseWorkThreads(const Napi::CallbackInfo& info) {
  constexpr int32_t kMostThreads = 256;
  WorkPool::Shared().Grow(static_cast<size_t>(ReadInteger(info[0], "count", 1, kMostThreads)));
}

void RegisterBatchWork(Napi::Env env, Napi::Object exports) {
  WorkPool::Shared().Grow(1);
  env.SetInstanceData(new Completions(env));
  exports.Set("useWorkThreads", Napi::Function::New(env, UseWorkThreads, "useWorkThreads"));
}

}  // namespace vault
