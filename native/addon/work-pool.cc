#include "work-pool.h"

#include <cstdlib>
#include <pthread.h>
#include <system_error>
#include <thread>

namespace vault {

// process.exit() ends the process under its threads, and OpenSSL takes itself down before: what is under way must end first.
// Handlers run in reverse order, and node's OpenSSL was there before this.
WorkPool::WorkPool() {
  std::atexit([] { Shared().Rest(); });
}

void WorkPool::Rest() {
  std::unique_lock<std::mutex> lock(mutex_);
  resting_ = true;
  rested_.wait(lock, [this] { return working_ == 0; });
}

WorkPool& WorkPool::Shared() {
  // Never destroyed: its threads may be at work when the process ends.
  static auto* pool = new WorkPool();
  return *pool;
}

bool WorkPool::Grow(size_t threads) {
  std::lock_guard<std::mutex> lock(mutex_);
  try {
    for (; threads_ < threads; ++threads_) {
      std::thread thread([this] { Work(); });
      pthread_setname_np(thread.native_handle(), "vault-work");
      thread.detach();
    }
  } catch (const std::system_error&) {
    return false;
  }
  return true;
}

void WorkPool::Submit(std::function<void()> job) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    jobs_.push_back(std::move(job));
  }
  wake_.notify_one();
}

void WorkPool::Work() {
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return !jobs_.empty() && !resting_; });
    std::function<void()> job = std::move(jobs_.front());
    jobs_.pop_front();
    working_ += 1;
    lock.unlock();
    job();
    lock.lock();
    if (--working_ == 0) rested_.notify_all();
  }
}

}  // namespace vault
