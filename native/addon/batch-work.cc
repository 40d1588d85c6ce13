#include "batch-work.h"

#include <condition_variable>
#include <memory>
#include <mutex>

#include "arguments.h"
#include "work-pool.h"

namespace vault {

// Finished batches of one environment on their way back to its thread. The environment stays alive
// while a batch is under way, and its end (a worker that is terminated) waits for them: they work in its memory.
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
      // Refused when the environment is ending: nobody is left to tell.
      if (napi_call_threadsafe_function(function_, work, napi_tsfn_nonblocking) != napi_ok) work->Abandon();
      running_ -= 1;
      idle_.notify_all();
    });
  }

 private:
  static void Settle(napi_env env, napi_value, void*, void* data) {
    auto* finished = static_cast<BatchWork*>(data);
    if (env == nullptr) {
      finished->Abandon();
      return;
    }
    std::unique_ptr<BatchWork> work(finished);
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

Napi::Value BatchWork::Start() {
  std::unique_ptr<BatchWork> work(this);
  napi_value promise = nullptr;
  if (napi_create_promise(env_, &deferred_, &promise) != napi_ok) throw Napi::Error::New(env_, "No promise could be made");
  Completions::Of(env_).Begin(env_, work.release());
  return Napi::Value(env_, promise);
}

void BatchWork::Hold(const Napi::Value& value) {
  held_.push_back(Napi::Persistent(value.As<Napi::Object>()));
  void* data = nullptr;
  napi_get_typedarray_info(env_, value, nullptr, nullptr, &data, nullptr, nullptr);
  if (Pin pin = PinMemory(data)) pins_.push_back(std::move(pin));
}

void BatchWork::Run() {
  try {
    Execute();
  } catch (const std::exception& error) {
    failed_ = true;
    error_ = error.what();
  }
  pins_.clear();
}

void BatchWork::Settle(napi_env env) {
  if (!failed_) {
    if (napi_value result = Result(env)) napi_resolve_deferred(env, deferred_, result);
    return;
  }
  napi_value message = nullptr;
  napi_value error = nullptr;
  if (napi_create_string_utf8(env, error_.data(), error_.size(), &message) == napi_ok && napi_create_error(env, nullptr, message, &error) == napi_ok) {
    napi_reject_deferred(env, deferred_, error);
  }
}

void BatchWork::Abandon() {
  for (Napi::ObjectReference& reference : held_) reference.SuppressDestruct();
  delete this;
}

static void GrowPool(Napi::Env env, int32_t threads) {
  if (!WorkPool::Shared().Grow(static_cast<size_t>(threads))) {
    throw Napi::Error::New(env, "The system gives this process no more threads; raise its limit of processes");
  }
}

// useWorkThreads(count): batches run on that many threads at once, at least.
static void UseWorkThreads(const Napi::CallbackInfo& info) {
  constexpr int32_t kMostThreads = 256;
  GrowPool(info.Env(), ReadInteger(info[0], "count", 1, kMostThreads));
}

void RegisterBatchWork(Napi::Env env, Napi::Object exports) {
  GrowPool(env, 1);
  env.SetInstanceData(new Completions(env));
  exports.Set("useWorkThreads", Napi::Function::New(env, UseWorkThreads, "useWorkThreads"));
}

}  // namespace vault
